// Runs what the planner says is not settled: in parallel, longest remaining path first, each stage in its own process.
// The same planNode() that answers a dry run decides here, asked again for each node once its inputs are there.

import os from "node:os";
import type { Store } from "../store/store.ts";
import type { Digest } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import type { Failed, Outcome, RunEvent, Skipped } from "./events.ts";
import { nativeHolds } from "./fingerprint.ts";
import { noteInstances } from "./instances.ts";
import { Journal } from "./journal.ts";
import { actionPreimage, deviceOf, stageKey } from "./key.ts";
import type { StageNode } from "./node.ts";
import { type PlanContext, type PlanOptions, planContext, planNode, type Settled, type Stale } from "./planner.ts";
import { publishReports } from "./publish.ts";
import { runStage, type StagePlace } from "./run-stage.ts";
import { neededFor, upstreamOf } from "./selection.ts";
import { asSystemError } from "./system-error.ts";

export interface RunOptions extends PlanOptions {
  /** Stages at once. Default: one per processor. */
  readonly jobs?: number | undefined;
  /** After a failure, go on with what does not depend on it. Default: let running stages end and start no new ones. */
  readonly keepGoing?: boolean;
  readonly dataDir?: string | undefined;
  /** Ids of the GPUs to hand out, as CUDA_VISIBLE_DEVICES wants them. Default: that variable's, else the first. */
  readonly gpus?: readonly string[] | undefined;
  /** Aborted: running stages are asked to stop, and killed after `graceMs`. */
  readonly signal?: AbortSignal | undefined;
  readonly graceMs?: number | undefined;
  readonly onEvent?: (event: RunEvent) => void;
}

export interface RunResult {
  /** How every asked-for instance ended, in topological order. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly failed: boolean;
  readonly interrupted: boolean;
  /** Folders of `reports/` that were written anew; empty where they held the same already. */
  readonly published: readonly string[];
}

/**
 * Brings the targets up to date. A stage's failure is an outcome, not an exception; thrown are UserErrors about the
 * request: UNKNOWN_TARGET, MISSING_DEP, NOT_ENOUGH_GPUS, and what the store refuses.
 */
export async function runPipeline(options: RunOptions): Promise<RunResult> {
  const run = new Run(options);
  try {
    await run.toEnd();
  } catch (error) {
    await run.stopAll();
    throw error;
  }
  return run.finish();
}

class Run {
  private readonly nodes: readonly StageNode[];
  private readonly context: PlanContext;
  private readonly outcomes = new Map<string, Outcome>();
  private readonly ready: Stale[] = [];
  private readonly queued = new Set<string>();
  private readonly running = new Map<string, Promise<void>>();
  private readonly freeGpus: string[];
  private readonly jobs: number;
  /** Ours, for what stops a run from inside: a full disk, a dep that vanished. */
  private readonly halt = new AbortController();
  private readonly signal: AbortSignal;
  private journal: Journal | undefined;
  private remaining: ReadonlyMap<string, number> | undefined;
  private firstFailure: string | undefined;

  constructor(private readonly options: RunOptions) {
    this.nodes = neededFor(options.pipeline, options.targets ?? []);
    this.context = planContext(options);
    this.jobs = Math.max(1, options.jobs ?? os.availableParallelism());
    this.signal = AbortSignal.any([this.halt.signal, ...(options.signal ? [options.signal] : [])]);
    const onGpus = this.nodes.filter((node) => deviceOf(node, options.device) === "cuda");
    this.freeGpus = onGpus.length > 0 ? [...(options.gpus ?? visibleGpus())] : [];
    checkGpus(onGpus, this.freeGpus.length);
  }

  async toEnd(): Promise<void> {
    this.tidy(() => this.options.store.sweepStaging()); // what killed runs left half-written
    for (;;) {
      await this.advance();
      this.start();
      if (this.running.size === 0) return;
      await Promise.race(this.running.values());
    }
  }

  async stopAll(): Promise<void> {
    this.halt.abort();
    await Promise.allSettled(this.running.values());
  }

  finish(): RunResult {
    const ordered = this.nodes.map((node) => this.outcomes.get(node.id)!);
    const outcomes = new Map(ordered.map((outcome) => [outcome.id, outcome]));
    const { store, pipeline } = this.options;
    const done = ordered.filter((outcome) => "outputs" in outcome);
    let published: readonly string[] = [];
    this.book(() => {
      noteInstances(store.root, Object.fromEntries(done.map((outcome) => [outcome.id, outcome.key])));
      for (const outcome of done) linkLatest(store, outcome.id, outcome.outputs);
      published = publishReports(pipeline, store, (id) => outputsOf(outcomes.get(id)));
    });
    this.book(() => this.journal?.end(ordered));
    store.flush();
    this.context.files.flush();
    return {
      outcomes,
      failed: ordered.some((outcome) => outcome.type === "failed"),
      interrupted: this.signal.aborted,
      published,
    };
  }

  /** What is written about results, beside them. A stage that met the same refusal (a full disk) has told it already. */
  private book(write: () => void): void {
    try {
      write();
    } catch (thrown) {
      const error = asSystemError(thrown, this.options.store.root);
      const failures = [...this.outcomes.values()].filter((outcome) => outcome.type === "failed");
      const isTold = error instanceof UserError && failures.some((failure) => failure.error.code === error.code);
      if (!isTold) throw error;
    }
  }

  /** Settles every node that can be settled now, and queues those that have to run. Inputs come first, so one pass does. */
  private async advance(): Promise<void> {
    for (const node of this.nodes) {
      if (this.outcomes.has(node.id) || this.queued.has(node.id)) continue;
      const upstream = upstreamOf(node).map((id) => this.outcomes.get(id));
      const lost = upstream.filter((outcome) => outcome?.type === "failed" || outcome?.type === "skipped");
      if (lost.length > 0) {
        this.settle({ type: "skipped", id: node.id, reason: this.skipReason(lost) });
      } else if (!upstream.includes(undefined)) {
        await this.decide(node);
      }
    }
  }

  /** Mends what need not be mended: a lab that cannot be written to may still be fresh. */
  private tidy(mend: () => void): void {
    try {
      mend();
    } catch (error) {
      if (!(error instanceof UserError && error.code === "STORE_NOT_WRITABLE")) throw error;
    }
  }

  private async decide(node: StageNode): Promise<void> {
    const planned = await planNode(node, (id) => outputsOf(this.outcomes.get(id)), this.context);
    if (planned.state === "stale") {
      this.queued.add(node.id);
      this.ready.push(planned);
    } else if (planned.state !== "blocked") {
      this.tidy(() => this.options.store.noteLostLog(planned.record));
      this.settle(settledOutcome(planned));
    }
  }

  private start(): void {
    if (this.ready.length === 0) return;
    const stopped = this.stopReason();
    if (stopped) {
      for (const { node } of this.ready.splice(0)) this.settle({ type: "skipped", id: node.id, reason: stopped });
      for (const node of this.nodes) {
        if (!this.outcomes.has(node.id) && !this.running.has(node.id)) {
          this.settle({ type: "skipped", id: node.id, reason: stopped });
        }
      }
      return;
    }
    this.remaining ??= remainingPaths(this.nodes, (node) => this.lastDurationMs(node));
    const length = (planned: Stale) => this.remaining!.get(planned.node.id)!;
    this.ready.sort((a, b) => length(b) - length(a));
    for (const planned of [...this.ready]) {
      if (this.running.size >= this.jobs) return;
      const gpus = deviceOf(planned.node, this.options.device) === "cuda" ? gpusOf(planned.node) : 0;
      if (gpus > this.freeGpus.length) continue;
      this.launch(planned, this.freeGpus.splice(0, gpus));
    }
  }

  private launch(planned: Stale, gpus: readonly string[]): void {
    const { node } = planned;
    const { pipeline, store, dataDir, graceMs } = this.options;
    this.journal ??= Journal.begin(store, this.options);
    const abreast = Math.min(this.jobs, this.running.size + this.ready.length);
    this.ready.splice(this.ready.indexOf(planned), 1);
    const place: StagePlace = {
      store,
      pipeline,
      device: deviceOf(node, this.options.device),
      dataDir,
      threads: Math.max(1, Math.floor(os.availableParallelism() / abreast)),
      gpus: gpus.length > 0 ? gpus : undefined,
      signal: this.signal,
      graceMs,
      isUnchanged: () =>
        (node.work.kind === "command" || nativeHolds(node.work.module)) &&
        stageKey(actionPreimage(node, planned.preimage.inputs, this.context)) === planned.key,
      emit: (event) => this.emit(event),
    };
    const ended = runStage(planned, place).then((outcome) => {
      this.running.delete(node.id);
      this.freeGpus.push(...gpus);
      if (outcome.type === "failed") this.firstFailure ??= node.id;
      this.settle(outcome);
      this.book(() => this.journal!.stage(outcome));
    });
    this.running.set(node.id, ended);
  }

  private settle(outcome: Outcome): void {
    this.outcomes.set(outcome.id, outcome);
    this.emit(outcome);
  }

  private emit(event: RunEvent): void {
    this.options.onEvent?.(event);
  }

  private stopReason() {
    if (this.signal.aborted) return { kind: "interrupted", wasRunning: false } as const;
    if (this.firstFailure === undefined || this.options.keepGoing) return undefined;
    return { kind: "stopped-after-failure", stage: this.firstFailure } as const;
  }

  private skipReason(lost: readonly (Failed | Skipped)[]): Skipped["reason"] {
    const stages = [...new Set(lost.flatMap(failedBehind))];
    // Whatever else is lost, nobody mends an interruption by looking at a stage.
    return stages.length > 0 ? { kind: "upstream-failed", stages } : { kind: "interrupted", wasRunning: false };
  }

  private lastDurationMs(node: StageNode): number {
    const key = this.context.instances[node.id];
    return (key && this.options.store.readAction(key)?.provenance.durationMs) || 1000;
  }
}

function outputsOf(outcome: Outcome | undefined): Readonly<Record<string, Digest>> | undefined {
  return outcome && "outputs" in outcome ? outcome.outputs : undefined;
}

/** The failures that an outcome goes back to. */
function failedBehind(outcome: Failed | Skipped): readonly string[] {
  if (outcome.type === "failed") return [outcome.id];
  if (outcome.reason.kind === "upstream-failed") return outcome.reason.stages;
  return outcome.reason.kind === "stopped-after-failure" ? [outcome.reason.stage] : [];
}

function settledOutcome({ node, state, key, outputs }: Settled): Outcome {
  return state === "fresh"
    ? { type: "fresh", id: node.id, key, outputs }
    : { type: "cached", id: node.id, key, outputs, from: "store" };
}

/** Longest time from the start of each node to the end of the last that needs it, in milliseconds. */
function remainingPaths(nodes: readonly StageNode[], duration: (node: StageNode) => number): Map<string, number> {
  const remaining = new Map<string, number>();
  const below = new Map<string, number>();
  for (const node of [...nodes].reverse()) {
    const length = duration(node) + (below.get(node.id) ?? 0);
    remaining.set(node.id, length);
    for (const id of upstreamOf(node)) below.set(id, Math.max(below.get(id) ?? 0, length));
  }
  return remaining;
}

function linkLatest(store: Store, id: string, outputs: Readonly<Record<string, Digest>>): void {
  const names = Object.keys(outputs);
  for (const name of names) store.setLatest(names.length === 1 ? id : `${id}/${name}`, outputs[name]!);
}

function gpusOf(node: StageNode): number {
  return node.resources["gpu"] ?? 0;
}

function visibleGpus(): string[] {
  const declared = process.env["CUDA_VISIBLE_DEVICES"];
  return declared === undefined ? ["0"] : declared.split(",").filter((id) => id !== "");
}

function checkGpus(nodes: readonly StageNode[], available: number): void {
  const node = nodes.find((candidate) => gpusOf(candidate) > available);
  if (!node) return;
  throw new UserError(`Stage "${node.id}" needs ${gpusOf(node)} GPUs, and there are ${available} to hand out.`, {
    code: "NOT_ENOUGH_GPUS",
    where: node.where,
    hint: "Lower its resources.gpu, or name more devices in CUDA_VISIBLE_DEVICES.",
  });
}
