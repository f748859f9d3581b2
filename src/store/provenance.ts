// Which stage made which bytes, and where they went: the action records read as a graph.

import { type Digest, isDigest } from "../util/digest.ts";
import type { ActionRecord } from "./actions.ts";
import type { Store } from "./store.ts";
import { ObjectError } from "./store-errors.ts";

/** Stands for the captured log of a run; no output can have this name. */
export const LOG_OUTPUT = "(log)";

/** How a record comes to hold a digest. */
export interface Origin {
  readonly record: ActionRecord;
  /** Name of the output, or LOG_OUTPUT. */
  readonly output: string;
  /** Path inside the output's tree; empty for the tree itself and for the log. */
  readonly path: string;
}

export class ProvenanceGraph {
  private readonly origins = new Map<Digest, Origin[]>();
  private readonly consumers = new Map<Digest, ActionRecord[]>();

  constructor(
    store: Store,
    readonly records: readonly ActionRecord[],
  ) {
    for (const record of records) {
      for (const [output, digest] of Object.entries(record.outputs)) {
        push(this.origins, digest, { record, output, path: "" });
        for (const entry of entriesOf(store, digest))
          if (entry.type === "file") push(this.origins, entry.digest, { record, output, path: entry.path });
      }
      if (record.provenance.log) push(this.origins, record.provenance.log, { record, output: LOG_OUTPUT, path: "" });
      for (const digest of inputDigests(record.preimage)) push(this.consumers, digest, record);
    }
  }

  /** What made these bytes, in the order of the records. */
  madeBy(digest: Digest): readonly Origin[] {
    return this.origins.get(digest) ?? [];
  }

  /** Every record that these bytes reached, nearest first: a tree directly, a blob through the trees that hold it. */
  fedInto(digest: Digest): readonly ActionRecord[] {
    const reached = new Set<ActionRecord>();
    const trees = [digest, ...this.madeBy(digest).flatMap(({ record, output }) => record.outputs[output] ?? [])];
    const queue = [...new Set(trees)];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const record of this.consumers.get(next) ?? []) {
        if (reached.has(record)) continue;
        reached.add(record);
        queue.push(...Object.values(record.outputs));
      }
    }
    return [...reached];
  }
}

/** Every digest under `inputs` of a key's preimage: `{ shards: digest }`, `{ runs: [{ name, digest }] }`. */
export function inputDigests(preimage: unknown): Digest[] {
  const found = new Set<Digest>();
  const visit = (value: unknown) => {
    if (typeof value === "string" && isDigest(value)) found.add(value);
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(visit);
  };
  if (typeof preimage === "object" && preimage !== null && "inputs" in preimage) visit(preimage.inputs);
  return [...found];
}

/** A tree that cannot be read tells nothing of its files; the audit reports it by itself. */
function entriesOf(store: Store, digest: Digest) {
  try {
    return store.readTree(digest).entries;
  } catch (error) {
    if (error instanceof ObjectError) return [];
    throw error;
  }
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
