// The audit: every byte hashed again, every record recomputed, the log's chain walked; and for any one digest, what
// made it and what it fed.

import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { type Digest, isDigest, shortDigest } from "../util/digest.ts";
import { type ActionRecord, RETIRED } from "./actions.ts";
import { editedReports } from "./audit-reports.ts";
import type { ObjectState } from "./objects.ts";
import { LOG_OUTPUT, type Origin, ProvenanceGraph } from "./provenance.ts";
import { type LogEntry, RunLog } from "./run-log.ts";
import type { Store } from "./store.ts";

export interface AuditFinding {
  /**
   * `record-missing`: the log tells of a run whose record is gone. `runs-diverged`: one stage key gave two different
   * outputs. `report-edited`: a file of reports/ is not what a stage made.
   */
  readonly kind:
    | "object-damaged"
    | "object-missing"
    | "record-damaged"
    | "record-missing"
    | "log-broken"
    | "runs-diverged"
    | "report-edited";
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
  /** Records that no log entry names. A kill between the two leaves one, so this alone is no finding. */
  readonly unloggedRecords: number;
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
  const entries = log.readAll();
  const keys = store.listActionKeys();
  const loggedKeys = new Set(
    entries.flatMap(({ record }) => (record["state"] === "ran" ? [String(record["key"])] : [])),
  );
  const findings = [
    ...damaged.map((digest) => objectFinding(store, graph, digest, "damaged")),
    ...missingObjects(store, records, states).map((digest) => objectFinding(store, graph, digest, "missing")),
    ...damagedRecords(store),
    ...missingRecords(store, entries),
    ...divergences(store),
    ...brokenLog(store, log, entries.length),
    ...editedReports(store, records),
  ];
  store.flush();
  return {
    findings,
    objects: objects.length,
    records: keys.length,
    logEntries: entries.length,
    unloggedRecords: keys.filter((key) => !loggedKeys.has(key)).length,
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
    detail: `${state === "damaged" ? "The bytes do not match the name." : "It is not in the store."} ${consequence(store, origins)}`,
    artifacts: unique(origins.map((origin) => `${origin.record.stage} ${path.posix.join(origin.output, origin.path)}`)),
    madeBy: unique(origins.map((origin) => origin.record.stage)),
    fedInto: unique(graph.fedInto(digest).map((record) => record.stage)),
  };
}

function consequence(store: Store, origins: readonly Origin[]): string {
  if (origins.length === 0) return "No record needs it.";
  const files = unique(origins.map(({ record }) => recordPath(store, record.key)));
  const shown = files.length > 3 ? `${files.slice(0, 3).join(", ")} and ${files.length - 3} more` : files.join(", ");
  const isLog = origins.every(({ output }) => output === LOG_OUTPUT);
  const remedy = isLog
    ? "It is the captured log of a run, and no result rests on it: `repro` notes in the record that it is lost"
    : "`repro` makes it again";
  const settings = `the settings that made it (\`stlm-pipeline show ${shortDigest(origins[0]!.record.key)}\` prints them)`;
  return `${remedy}, but only with ${settings}. If you want those no more, add ${RETIRED} to the name of each record that needs it: ${shown}.`;
}

/** Relative to the store. */
function recordPath(store: Store, key: Digest): string {
  return path.relative(store.root, store.actions.file(key));
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

/** Records are written before the log's entry, so an entry without one means that the record was taken out. */
function missingRecords(store: Store, entries: readonly LogEntry[]): AuditFinding[] {
  const found = new Map<string, AuditFinding>();
  for (const { record } of entries) {
    const { kind, state, key, stage } = record;
    if (kind !== "stage" || state !== "ran" || typeof key !== "string" || !isDigest(key)) continue;
    if (store.inspectAction(key).state !== "missing" || store.actions.isRetired(key)) continue;
    const file = recordPath(store, key);
    found.set(key, {
      kind: "record-missing",
      digest: key,
      path: file,
      detail: `The log says that ${String(stage)} ran, but its record is gone. \`repro\` makes it again, but only with the same settings. If it was taken out on purpose, an empty file ${path.basename(file)}${RETIRED} in its place says so.`,
      artifacts: [],
      madeBy: [String(stage)],
      fedInto: [],
    });
  }
  return [...found.values()];
}

function divergences(store: Store): AuditFinding[] {
  return store.listDivergent().map((record): AuditFinding => {
    const inForce = store.readAction(record.key)?.outputs ?? {};
    const names = Object.keys(record.outputs).filter((name) => record.outputs[name] !== inForce[name]);
    const file = path.relative(store.root, store.actions.divergentFile(record));
    return {
      kind: "runs-diverged",
      digest: record.key,
      path: file,
      detail: `Two runs of stage key ${shortDigest(record.key)} gave different outputs: ${names.join(", ")}. No run mends that: compare this record with ${recordPath(store, record.key)}, which is in force, and once you know the cause delete ${path.basename(file)}.`,
      artifacts: names.map((name) => `${record.stage} ${name}`),
      madeBy: [record.stage],
      fedInto: [],
    };
  });
}

function brokenLog(store: Store, log: RunLog, entries: number): AuditFinding[] {
  const file = path.relative(store.root, log.file);
  const finding = (detail: string): AuditFinding[] => [
    { kind: "log-broken", path: file, detail, artifacts: [], madeBy: [], fedInto: [] },
  ];
  const found = log.verify();
  if (found !== undefined) return finding(`The run log is broken at line ${found.line}: ${found.reason}.`);
  // A run writes its first entry before its first record.
  const isGone = entries === 0 && store.listActionKeys().length > 0;
  return isGone ? finding("The run log is gone: there are records, and no entry tells of a run.") : [];
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
