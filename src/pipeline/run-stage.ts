// Runs one stage instance from its key to its record: lease, clean folders, process, store, record. Nothing that looks
// finished exists before the last step, and the work folder with its checkpoints stays until then.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { latestName } from "../store/latest.ts";
import { acquireLease, type Lease } from "../store/lease.ts";
import type { ActionRecord, Store } from "../store/store.ts";
import { shortDigest } from "../util/digest.ts";
import { packageVersion } from "../util/package-root.ts";
import type { ChildInput, ChildRequest } from "./child-request.ts";
import { COMMAND_OUTPUT } from "./command.ts";
import { childEnvironment } from "./environment.ts";
import type { Divergent, Failed, Outcome, RunEvent, Skipped, StageError } from "./events.ts";
import { filesBelow, type NamedInput } from "./key.ts";
import type { Pipeline, StageNode } from "./node.ts";
import { findResult, type Stale } from "./planner.ts";
import { childEntry, type ProcessEnd, runProcess } from "./process.ts";
import type { DeterminismClass, DeviceName } from "./stage.ts";
import { diskFullError, stageErrorOf } from "./system-error.ts";

export interface StagePlace {
  readonly store: Store;
  readonly pipeline: Pipeline;
  readonly device: DeviceName;
  readonly dataDir?: string | undefined;
  readonly threads: number;
  readonly gpus?: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly graceMs?: number | undefined;
  /** Whether the files that decide the key still have the bytes that it was made of. */
  readonly isUnchanged: () => boolean;
  readonly emit: (event: RunEvent) => void;
}

/** In the work folder: what the stage keeps there, and that it was begun under --force. */
const STATE = "state";
const FORCED_MARK = "forced";
const LAST_LINES = 20;
/** A chatty stage's log is kept from its end. */
const MAX_LOG_BYTES = 4 << 20;

const FILES_CHANGED: StageError = {
  message: "A file that the stage reads, or a source that it compiles, was changed during the run.",
  code: "FILES_CHANGED",
  hint: "Nothing was kept of this run. Run the same command again once the files stay as they are.",
  expected: true,
};
const UNEXPLAINED: ReadonlySet<string> = new Set(["COMMAND_FAILED", "STAGE_CRASHED"]);

/** Never throws for what a stage does: the outcome says it. */
export async function runStage(planned: Stale, place: StagePlace): Promise<Outcome> {
  const { node, key } = planned;
  let lease: Lease | undefined;
  try {
    lease = await acquireLease(place.store, key, {
      signal: place.signal,
      onWait: (holder) => place.emit({ type: "waiting", id: node.id, key, holder: holderText(holder) }),
    });
    const made = planned.reason.kind === "forced" ? undefined : findResult(key, place.store);
    if (made && "record" in made) {
      return { type: "cached", id: node.id, key, outputs: made.record.outputs, from: "other-process" };
    }
    return await execute(planned, lease, place);
  } catch (error) {
    if (place.signal.aborted) return interrupted(node, lease !== undefined);
    return failure(planned, { error: describe(error, place.store.root) });
  } finally {
    lease?.release();
  }
}

async function execute(planned: Stale, lease: Lease, place: StagePlace): Promise<Outcome> {
  const { node, key } = planned;
  const { store } = place;
  const work = openWork(planned, store);
  const staging = store.stagingFolder(node.id);
  const logFile = path.join(work, "log.txt");
  try {
    const attempt = countAttempt(work);
    const request = prepare(planned, staging, work, place);
    if (!place.isUnchanged()) return failure(planned, { error: FILES_CHANGED });
    writeFileSync(logFile, `--- ${node.id}, attempt ${attempt}\n`, { flag: "a" });
    const logStart = statSync(logFile).size;
    place.emit({ type: "started", id: node.id, key, reason: planned.reason, log: logFile, attempt });
    const startedAt = new Date().toISOString();
    const startedMs = performance.now();
    const end = await runProcess({
      entry: await childEntry(store.root),
      request,
      requestFile: path.join(staging, "request.json"),
      environment: childEnvironment({
        determinism: determinismOf(node),
        usesDevice: usesDevice(node),
        gpus: place.gpus,
        dataDir: place.dataDir,
        from: process.env,
      }),
      logFile,
      onMessage: (message) => place.emit({ id: node.id, ...message }),
      signal: place.signal,
      ...(place.graceMs === undefined ? {} : { graceMs: place.graceMs }),
    });
    const durationMs = Math.round(performance.now() - startedMs);
    const error = errorOf(end, request, lease) ?? (place.isUnchanged() ? undefined : FILES_CHANGED);
    if (error && place.signal.aborted) return interrupted(node, true);
    if (error) return failure(planned, { error, log: logFile, from: logStart });
    const outputs = Object.fromEntries(
      Object.entries(request.outputs).map(([name, folder]) => [name, store.putTree(folder).digest]),
    );
    const measures = end.answer!.measures;
    const record: ActionRecord = {
      type: "stlm.action-record.v1",
      key,
      stage: node.id,
      preimage: planned.preimage,
      outputs,
      provenance: {
        startedAt,
        durationMs,
        measures,
        ...(usesDevice(node) ? { device: place.device } : {}),
        log: store.putBytes(readEnd(logFile)),
        attempt,
        version: packageVersion(),
      },
    };
    const inForce = publish(record, node, place);
    if (inForce !== record && determinismOf(node) === "bitwise") {
      const failed = failure(planned, { error: divergence(node, record, inForce), log: logFile, from: logStart });
      // The run finished: nothing may go on from here. Its log stays, for the failure names it.
      rmSync(path.join(work, STATE), { recursive: true, force: true });
      rmSync(path.join(work, FORCED_MARK), { force: true });
      return failed;
    }
    store.removeWork(key);
    return { type: "ran", id: node.id, key, outputs: inForce.outputs, reason: planned.reason, durationMs, measures };
  } finally {
    store.removeFolder(staging);
  }
}

/** What is forced starts anew, and goes on only from an earlier attempt that was forced too and did not finish. */
function openWork({ key, reason }: Stale, store: Store): string {
  const work = store.workFolder(key);
  const mark = path.join(work, FORCED_MARK);
  if (reason.kind !== "forced" || existsSync(mark)) return work;
  store.removeWork(key);
  store.workFolder(key);
  writeFileSync(mark, "");
  return work;
}

/** The folders of one run, all below its staging folder: inputs read-only, outputs empty, a command's deps copied. */
function prepare(planned: Stale, staging: string, work: string, place: StagePlace): ChildRequest {
  const { node, preimage } = planned;
  const folder = (...parts: string[]) => {
    const made = path.join(staging, ...parts);
    mkdirSync(made, { recursive: true });
    return made;
  };
  const outputNames = node.work.kind === "module" ? Object.keys(node.work.module.definition.outputs) : [COMMAND_OUTPUT];
  const outputs = Object.fromEntries(outputNames.map((name) => [name, folder("outputs", name)]));
  const common = {
    id: node.id,
    params: node.params,
    inputs: placeInputs(preimage.inputs, folder("inputs"), place),
    outputs,
    seed: node.seed,
    device: place.device,
    threads: place.threads,
    workFolder: path.join(work, STATE),
    dataDir: place.dataDir,
    root: place.pipeline.root,
    artifacts: place.store.root,
  };
  mkdirSync(common.workFolder, { recursive: true });
  if (node.work.kind === "module") {
    return { ...common, work: { kind: "module", bundleFile: node.work.module.bundleFile } };
  }
  const commandFolder = folder("command");
  for (const dep of node.work.command.deps) {
    for (const file of filesBelow(place.pipeline.root, dep, node)) {
      cpSync(path.join(place.pipeline.root, file), path.join(commandFolder, file), { dereference: true });
    }
  }
  return { ...common, work: node.work, commandFolder };
}

/** Fresh copies or links of verified objects for every run: an edited copy of an artifact can never flow downstream. */
function placeInputs(inputs: Stale["preimage"]["inputs"], folder: string, place: StagePlace): ChildRequest["inputs"] {
  const put = (input: NamedInput, destination: string): ChildInput => {
    place.store.materialise(input.digest, destination, { readOnly: true });
    const matrix = place.pipeline.byId.get(input.stage)!.matrix;
    return { folder: destination, digest: input.digest, stage: input.stage, matrix };
  };
  return Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => {
      const destination = path.join(folder, name);
      if ("digest" in input) return [name, put(input, destination)];
      const taken = new Set<string>();
      const list = input.map((item, index) => {
        const label = latestName(item.stage);
        const own = taken.has(label) ? `${label}.${index}` : label; // two outputs of one instance
        taken.add(own);
        return put(item, path.join(destination, own));
      });
      return [name, list];
    }),
  );
}

/** Why the run does not count, or undefined. */
function errorOf(end: ProcessEnd, request: ChildRequest, lease: Lease): StageError | undefined {
  // Neither a killed process nor a command can say that the disk was full.
  if (!end.answer || UNEXPLAINED.has(end.answer.error?.code ?? "")) {
    const full = diskFullError(request.artifacts);
    if (full) return full;
  }
  if (!end.answer) {
    const hint =
      "A process that vanishes is most often out of memory. What it finished is kept: run the same command again.";
    return { message: `The stage's process ended by ${end.how}.`, code: "STAGE_KILLED", hint, expected: true };
  }
  if (end.answer.error) return end.answer.error;
  const empty = Object.entries(request.outputs).find(([, folder]) => readdirSync(folder).length === 0);
  if (empty) {
    return { message: `The stage wrote nothing to its output "${empty[0]}".`, code: "EMPTY_OUTPUT", expected: false };
  }
  if (!lease.isHeld()) {
    const hint = "Run the same command again: it takes the other process's result.";
    return { message: "Another process took over this stage meanwhile.", code: "LEASE_LOST", hint, expected: true };
  }
  return undefined;
}

/** Writes the record, last of all; says so where the key had given other bytes before. Returns the record in force. */
function publish(record: ActionRecord, node: StageNode, place: StagePlace): ActionRecord {
  const isPromised = determinismOf(node) === "bitwise";
  const before = place.store.readAction(record.key);
  const { inForce, divergent } = place.store.writeAction(record, { replace: !isPromised });
  if (divergent && before) {
    for (const [output, recorded] of Object.entries(before.outputs)) {
      const found = record.outputs[output]!;
      if (found === recorded) continue;
      const kept: Divergent["kept"] = inForce === record ? "found" : "recorded";
      place.emit({ type: "divergent", id: node.id, key: record.key, output, recorded, found, kept });
    }
  }
  return inForce;
}

function divergence(node: StageNode, record: ActionRecord, inForce: ActionRecord): StageError {
  const [output, found] = Object.entries(record.outputs).find(([name, digest]) => inForce.outputs[name] !== digest)!;
  return {
    message: `${node.id} promises equal bytes, but its output "${output}" is ${shortDigest(found)} and was ${shortDigest(inForce.outputs[output]!)}.`,
    code: "STAGE_DIVERGED",
    hint: "Both are in the store, and the earlier one stays in force. Look for a clock, an unseeded draw or an unsorted folder.",
    expected: true,
  };
}

function failure(planned: Stale, about: { error: StageError; log?: string; from?: number }): Failed {
  const { error, log, from } = about;
  return {
    type: "failed",
    id: planned.node.id,
    key: planned.key,
    error,
    ...(log === undefined ? {} : { log }),
    lastLines: log === undefined ? [] : lastLines(log, from ?? 0),
  };
}

function interrupted(node: StageNode, wasRunning: boolean): Skipped {
  return { type: "skipped", id: node.id, reason: { kind: "interrupted", wasRunning } };
}

/** Of what the executor itself met; a bug carries its stack, for it has no log. */
function describe(error: unknown, artifacts: string): StageError {
  const described = stageErrorOf(error, artifacts, "BUG");
  return described.expected || !(error instanceof Error)
    ? described
    : { ...described, message: error.stack ?? error.message };
}

function lastLines(file: string, from: number): string[] {
  const text = readFileSync(file).subarray(from).toString("utf8").trimEnd();
  return text === "" ? [] : text.split("\n").slice(-LAST_LINES);
}

function readEnd(file: string): Buffer {
  return readFileSync(file).subarray(-MAX_LOG_BYTES);
}

/** 1 for the first attempt at a key whose work folder is new. */
function countAttempt(work: string): number {
  const file = path.join(work, "attempts");
  writeFileSync(file, "x", { flag: "a" });
  return statSync(file).size;
}

function determinismOf(node: StageNode): DeterminismClass {
  return node.work.kind === "module" ? node.work.module.definition.determinism : "bitwise";
}

function usesDevice(node: StageNode): boolean {
  return node.work.kind === "module" && node.work.module.definition.device === true;
}

function holderText(holder: { readonly pid: number | undefined; readonly host: string | undefined }): string {
  return holder.pid === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
}
