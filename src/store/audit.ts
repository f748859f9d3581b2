// The audit: every byte hashed again, every record recomputed, the log's chain walked; and for any one digest, what
// made it and what it fed.

import path from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Digest } from "../util/digest.ts";
import { shortDigest } from "../util/digest.ts";
import type { ActionRecord } from "./actions.ts";
import type { ObjectState } from "./objects.ts";
import { LOG_OUTPUT, type Origin, ProvenanceGraph } from "./provenance.ts";
import { RunLog } from "./run-log.ts";
import type { Store } from "./store.ts";

export interface AuditFinding {
  /** `runs-diverged`: one stage key gave two different outputs. */
  readonly kind: "object-damaged" | "object-missing" | "record-damaged" | "log-broken" | "runs-diverged";
  /** The object or stage key; absent for the log. */
  readonly digest?: Digest;
  /** The file, relative to the store; a damaged object has been moved from there to quarantine/. */
  readonly path: string;
  /** What is wrong, one sentence. */
  readonly detail: string;
  /** Ids of the stages that made it, with the output and file: `train[seed=1] model/model.safetensors`. */
  readonly artifacts: readonly string[];
  /** Ids of the stages that made it. */
  readonly madeBy: readonly string[];
  /** Ids of the stages that it reached, directly or through others. */
  readonly fedInto: readonly string[];
}

export interface AuditReport {
  /** Empty when all is well. */
  readonly findings: readonly AuditFinding[];
  /** How many were checked. */
  readonly objects: number;
  readonly records: number;
  readonly logEntries: number;
}

export interface AuditOptions {
  /** Called after each object. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Checks the whole store. Damaged objects are moved to quarantine, so the next run makes them again. */
export async function auditStore(store: Store, { onProgress, signal }: AuditOptions = {}): Promise<AuditReport> {
  const states = new Map<Digest, ObjectState>();
  const objects = store.listObjects();
  for (const digest of objects) {
    signal?.throwIfAborted();
    states.set(digest, store.checkObject(digest, { full: true }));
    onProgress?.(states.size, objects.length);
    // Lets Ctrl-C and the progress line in between two objects.
    await setImmediate();
  }
  const damaged = objects.filter((digest) => states.get(digest) === "damaged");
  const records = store.listActions();
  const graph = new ProvenanceGraph(store, records);
  const log = new RunLog(store);
  const findings = [
    ...damaged.map((digest) => objectFinding(store, graph, digest, "damaged")),
    ...missingObjects(store, records, states).map((digest) => objectFinding(store, graph, digest, "missing")),
    ...damagedRecords(store),
    ...divergences(store),
    ...brokenLog(store, log),
  ];
  store.flush();
  return {
    findings,
    objects: objects.length,
    records: store.listActionKeys().length,
    logEntries: log.readAll().length,
  };
}

export interface Trace {
  readonly digest: Digest;
  /** `key`: it names a run. `unknown`: neither an object here nor a key. */
  readonly kind: "tree" | "blob" | "key" | "unknown";
  /** Of the object, hashed now; for a key, of the worst of its outputs. */
  readonly state: ObjectState;
  readonly madeBy: readonly Origin[];
  /** Nearest first. */
  readonly fed: readonly ActionRecord[];
}

/** What made an object or was run under a key, and everything that it reached. */
export function traceDigest(store: Store, digest: Digest): Trace {
  const state = store.checkObject(digest, { full: true });
  const graph = new ProvenanceGraph(store, store.listActions());
  const record = store.readAction(digest);
  if (record !== undefined) {
    const outputs = Object.entries(record.outputs);
    const madeBy = outputs.map(([output]): Origin => ({ record, output, path: "" }));
    const fed = [...new Set(outputs.flatMap(([, tree]) => graph.fedInto(tree)))];
    return { digest, kind: "key", state: outputsState(store, record), madeBy, fed };
  }
  const madeBy = graph.madeBy(digest);
  const isTree = madeBy.some(
    ({ output, path: file, record: maker }) => file === "" && maker.outputs[output] === digest,
  );
  const kind = isTree ? "tree" : state === "missing" && madeBy.length === 0 ? "unknown" : "blob";
  return { digest, kind, state, madeBy, fed: graph.fedInto(digest) };
}

function outputsState(store: Store, record: ActionRecord): ObjectState {
  const checks = Object.values(record.outputs).map((digest) => store.checkTree(digest, { full: true }));
  if (checks.some((check) => check.damaged.length > 0)) return "damaged";
  return checks.some((check) => check.missing.length > 0) ? "missing" : "ok";
}

function objectFinding(
  store: Store,
  graph: ProvenanceGraph,
  digest: Digest,
  state: "damaged" | "missing",
): AuditFinding {
  const origins = graph.madeBy(digest);
  return {
    kind: `object-${state}`,
    digest,
    path: path.relative(store.root, store.objectPath(digest)),
    detail: `${state === "damaged" ? "The bytes do not match the name." : "It is not in the store."} ${consequence(origins)}`,
    artifacts: unique(origins.map((origin) => `${origin.record.stage} ${path.posix.join(origin.output, origin.path)}`)),
    madeBy: unique(origins.map((origin) => origin.record.stage)),
    fedInto: unique(graph.fedInto(digest).map((record) => record.stage)),
  };
}

function consequence(origins: readonly Origin[]): string {
  if (origins.length === 0) return "No record needs it.";
  if (origins.every(({ output }) => output === LOG_OUTPUT))
    return "It is the captured log of a run, and no result rests on it: the next `repro` notes in the record that it is lost.";
  return "The next `repro` makes it again.";
}

/** What the records name and the store lacks, apart from what this audit has just put in quarantine. */
function missingObjects(store: Store, records: readonly ActionRecord[], states: Map<Digest, ObjectState>): Digest[] {
  const missing = new Set<Digest>();
  for (const record of records) {
    for (const digest of Object.values(record.outputs))
      for (const gone of store.checkTree(digest).missing) missing.add(gone);
    const { log } = record.provenance;
    if (log !== undefined && store.checkObject(log) === "missing") missing.add(log);
  }
  return [...missing].filter((digest) => states.get(digest) !== "damaged");
}

function damagedRecords(store: Store): AuditFinding[] {
  return store.listActionKeys().flatMap((key): AuditFinding[] => {
    const found = store.inspectAction(key);
    if (found.state !== "damaged") return [];
    const file = path.relative(store.root, found.file);
    const detail = `The record cannot be trusted: ${found.reason}. The stage runs again.`;
    return [{ kind: "record-damaged", digest: key, path: file, detail, artifacts: [], madeBy: [], fedInto: [] }];
  });
}

function divergences(store: Store): AuditFinding[] {
  return store.listDivergent().map((record): AuditFinding => {
    const inForce = store.readAction(record.key)?.outputs ?? {};
    const names = Object.keys(record.outputs).filter((name) => record.outputs[name] !== inForce[name]);
    return {
      kind: "runs-diverged",
      digest: record.key,
      path: path.relative(store.root, store.layout.divergent),
      detail: `Two runs of stage key ${shortDigest(record.key)} gave different outputs: ${names.join(", ")}.`,
      artifacts: names.map((name) => `${record.stage} ${name}`),
      madeBy: [record.stage],
      fedInto: [],
    };
  });
}

function brokenLog(store: Store, log: RunLog): AuditFinding[] {
  const found = log.verify();
  if (found === undefined) return [];
  const detail = `The run log is broken at line ${found.line}: ${found.reason}.`;
  const file = path.relative(store.root, log.file);
  return [{ kind: "log-broken", path: file, detail, artifacts: [], madeBy: [], fedInto: [] }];
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
