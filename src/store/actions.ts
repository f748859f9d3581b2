// Action records: what a stage key gave. One JSON file per key, written after all its objects are durable. A record
// is only a claim: it counts if its outputs exist and verify, which checkTree() says.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { canonicalJson, prettyCanonicalJson } from "../util/canonical-json.ts";
import { type Digest, digestOf, hexOf, isDigest } from "../util/digest.ts";
import { messageOf, systemErrorCode } from "../util/errors.ts";
import { replaceDurably } from "./durable.ts";
import type { StoreLayout } from "./layout.ts";
import { guardStore } from "./store-errors.ts";

export const ACTION_RECORD_TYPE = "stlm.action-record.v1";
/** The type tag of a stage key's preimage. */
export const ACTION_TYPE = "stlm.action.v1";

/** Behind a record's file name: somebody looked at it and put it aside. */
export const RETIRED = ".retired";

export interface Provenance {
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  /** What the stage measured about its run. */
  readonly measures: Readonly<Record<string, number | string>>;
  readonly device?: string;
  /** The captured output of the run, a blob. */
  readonly log?: Digest;
  /** Stands for `log` once the blob is damaged or gone: what was captured cannot be captured again. */
  readonly lostLog?: Digest;
  /** 1-based. */
  readonly attempt: number;
  /** Of this package. */
  readonly version: string;
}

export interface ActionRecord {
  readonly type: typeof ACTION_RECORD_TYPE;
  readonly key: Digest;
  /** The instance's id, `train[model=baseline,seed=1]`. */
  readonly stage: string;
  /** All that decided the key: digestOf("stlm.action.v1", preimage) === key. */
  readonly preimage: unknown;
  /** Tree digest of each output by name. */
  readonly outputs: Readonly<Record<string, Digest>>;
  readonly provenance: Provenance;
}

export type ActionState =
  | { readonly state: "ok"; readonly record: ActionRecord }
  | { readonly state: "missing" }
  | { readonly state: "damaged"; readonly file: string; readonly reason: string };

/** What became of a record that was written. */
export interface WrittenAction {
  /** The record that readAction() gives from now on. */
  readonly inForce: ActionRecord;
  /** Set when the same key gave other outputs before: both are kept, this is the one not in force. */
  readonly divergent?: ActionRecord;
}

export class ActionStore {
  constructor(private readonly layout: StoreLayout) {}

  file(key: Digest): string {
    return path.join(this.layout.actions, `${hexOf(key)}.json`);
  }

  inspect(key: Digest): ActionState {
    return this.parse(this.file(key), key);
  }

  /**
   * Writes a record durably. If the key already has one with other outputs, the run was not deterministic: the first
   * stays in force as long as `isComplete` says that its outputs can be served, and the other is kept beside it.
   * Throws when the key is not the digest of the preimage.
   */
  write(record: ActionRecord, isComplete: (record: ActionRecord) => boolean): WrittenAction {
    if (digestOf(ACTION_TYPE, record.preimage) !== record.key)
      throw new Error(`The key of ${record.stage} is not the digest of its preimage`);
    return guardStore(this.layout.root, () => {
      const existing = this.inspect(record.key);
      const isDivergent =
        existing.state === "ok" && canonicalJson(existing.record.outputs) !== canonicalJson(record.outputs);
      if (!isDivergent) {
        replaceDurably(this.layout, this.file(record.key), encode(record));
        return { inForce: record };
      }
      const [inForce, divergent] = isComplete(existing.record) ? [existing.record, record] : [record, existing.record];
      replaceDurably(this.layout, this.divergentFile(divergent), encode(divergent));
      if (inForce === record) replaceDurably(this.layout, this.file(record.key), encode(record));
      return { inForce, divergent };
    });
  }

  /** Keys that have a record, readable or not, sorted. */
  keys(): Digest[] {
    return jsonFiles(this.layout.actions)
      .map((name) => `sha256:${name.slice(0, -".json".length)}`)
      .filter(isDigest);
  }

  /** Whether a record was put aside by hand: its file has `.retired` behind its name, and counts no more. */
  isRetired(key: Digest): boolean {
    return existsSync(`${this.file(key)}${RETIRED}`);
  }

  /** Records of runs whose outputs differ from the record in force. */
  divergent(): ActionRecord[] {
    return jsonFiles(this.layout.divergent).flatMap((name) => {
      const state = this.parse(path.join(this.layout.divergent, name));
      return state.state === "ok" ? [state.record] : [];
    });
  }

  /** Where the record of outputs that are not in force is kept. */
  divergentFile(record: ActionRecord): string {
    const outputs = hexOf(digestOf("stlm.outputs.v1", record.outputs)).slice(0, 12);
    return path.join(this.layout.divergent, `${hexOf(record.key)}.${outputs}.json`);
  }

  private parse(file: string, key?: Digest): ActionState {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") return { state: "missing" };
      return { state: "damaged", file, reason: messageOf(error) };
    }
    try {
      return { state: "ok", record: decode(text, key) };
    } catch (error) {
      return { state: "damaged", file, reason: messageOf(error) };
    }
  }
}

/** The file carries a digest of the record, since the key vouches for the preimage alone. */
function encode(record: ActionRecord): string {
  return prettyCanonicalJson({ ...record, check: digestOf(ACTION_RECORD_TYPE, record) });
}

function decode(text: string, key?: Digest): ActionRecord {
  const { check, ...record } = JSON.parse(text) as ActionRecord & { check: Digest };
  if (record.type !== ACTION_RECORD_TYPE) throw new Error(`it is not of type ${ACTION_RECORD_TYPE}`);
  if (digestOf(ACTION_RECORD_TYPE, record) !== check) throw new Error("its own digest does not match");
  if (digestOf(ACTION_TYPE, record.preimage) !== record.key)
    throw new Error("its key is not the digest of its preimage");
  if (key !== undefined && record.key !== key) throw new Error("it is the record of another key");
  return record;
}

function jsonFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}
