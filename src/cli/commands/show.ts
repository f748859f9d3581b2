// `show`: one action record: what decided it, what it made, what it cost, what it printed.

import { existsSync } from "node:fs";
import path from "node:path";
import type { ActionPreimage } from "../../pipeline/key.ts";
import { RunLog } from "../../store/run-log.ts";
import type { ActionRecord, Store } from "../../store/store.ts";
import { prettyCanonicalJson } from "../../util/canonical-json.ts";
import { hexOf, isDigest, shortDigest } from "../../util/digest.ts";
import { UserError } from "../../util/errors.ts";
import { formatBytes, formatCount, formatDuration } from "../../util/format.ts";
import { openLabStore } from "../lab.ts";
import { columns, print, printJson } from "../output.ts";
import { newestRecord } from "../records.ts";

export async function show(name: string, options: { directory: string; json: boolean; log: boolean }): Promise<number> {
  const store = openLabStore(options.directory);
  const record = findRecord(store, name);
  if (options.log) {
    const { log, lostLog } = record.provenance;
    const failure = failureSince(store, record.stage, record.provenance.startedAt);
    if (failure) process.stderr.write(`A later run of ${record.stage} failed: ${failure}\n`);
    const absent = lostLog ? `The log was lost: object ${shortDigest(lostLog)} was damaged.` : "No log was captured.";
    print(log ? store.readBytes(log).toString("utf8") : absent);
  } else if (options.json) printJson(record);
  else print(describe(record, store));
  return 0;
}

/** The newest record of an instance, or the one whose key or output begins with the given digits. */
function findRecord(store: Store, name: string): ActionRecord {
  const named = newestRecord(store, name);
  if (named !== undefined) return named;
  const records = store.listActions();
  const byTime = (a: ActionRecord, b: ActionRecord) => a.provenance.startedAt.localeCompare(b.provenance.startedAt);
  if (/^(sha256:)?[0-9a-f]{4,64}$/.test(name)) {
    const digests = new Set<string>(store.resolve(name));
    const found = records.filter(
      (record) => digests.has(record.key) || Object.values(record.outputs).some((output) => digests.has(output)),
    );
    if (found.length > 0) return found.sort(byTime).at(-1)!;
  }
  const failure = failureSince(store, name);
  if (failure)
    throw new UserError(`No run of ${name} has succeeded.`, { code: "UNKNOWN_RUN", hint: `The last one: ${failure}` });
  const stages = [...new Set(records.map((record) => record.stage))].sort();
  throw new UserError(`No run is called "${name}", and no key or output begins so.`, {
    code: "UNKNOWN_RUN",
    hint: stages.length > 0 ? `There are: ${stages.join(", ")}` : "Nothing has run yet: `stlm-pipeline repro`.",
  });
}

/** How the newest run of a stage ended and where its log is, if that was a failure after the given time. */
function failureSince(store: Store, stage: string, since = ""): string | undefined {
  if (!existsSync(store.root)) return undefined;
  const last = new RunLog(store).readAll().findLast(({ record }) => record["stage"] === stage);
  if (last?.record["state"] !== "failed" || last.at <= since) return undefined;
  const { error, code, key } = last.record;
  const log = typeof key === "string" && isDigest(key) ? path.join(store.layout.work, hexOf(key), "log.txt") : "";
  const place = existsSync(log) ? `\n  Log: ${path.relative(process.cwd(), log)}` : "";
  return `${error} (${code})${place}`;
}

function describe(record: ActionRecord, store: Store): string {
  const { key, stage, preimage, outputs, provenance } = record;
  const failure = failureSince(store, stage, provenance.startedAt);
  const facts: string[][] = [
    ["stage", stage],
    ["key", key],
    ...Object.entries(outputs).map(([name, digest]) => [`output ${name}`, `${digest}`]),
    ...Object.entries(outputs).flatMap(([name, digest]) => {
      const folder = store.latestFolder(stage, name, digest);
      return folder === undefined ? [] : [[`files of ${name}`, path.relative(process.cwd(), folder)]];
    }),
    ["started", provenance.startedAt],
    ["took", formatDuration(provenance.durationMs)],
    ...(provenance.device && !("device" in provenance.measures) ? [["device", provenance.device]] : []),
    ...Object.entries(provenance.measures).map(([name, value]) => [name, measureText(name, value)]),
    ...(failure ? [["later", `a newer run failed: ${failure.replace("\n ", ".")}`]] : []),
    ["attempt", String(provenance.attempt)],
    ["version", provenance.version],
    ...(provenance.log ? [["log", `${shortDigest(provenance.log)} (--log prints it)`]] : []),
    ...(provenance.lostLog ? [["log", `${shortDigest(provenance.lostLog)} (lost)`]] : []),
  ];
  return `${columns(facts)}\n\nwhat decided the key:\n${prettyCanonicalJson(inBrief(preimage as Partial<ActionPreimage>))}`;
}

/** Native sources by their number: a list of fifty digests hides the parameters. */
function inBrief(preimage: Partial<ActionPreimage>): unknown {
  const { code } = preimage;
  if (code === undefined || !("bundle" in code)) return preimage;
  const count = Object.keys(code.native).length;
  return { ...preimage, code: { ...code, native: `${count} source files; --json lists them` } };
}

function measureText(name: string, value: number | string): string {
  if (typeof value === "string") return value;
  if (name.endsWith("_bytes") || name === "bytes") return formatBytes(value);
  return value >= 1000 ? formatCount(value) : String(Number(value.toPrecision(4)));
}
