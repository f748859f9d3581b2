// A whole run: steps, evaluations and checkpoints in a fixed order, from the last checkpoint on, until the end, a
// divergence or a signal. Knows nothing of files but checkpoints, and nothing of models.

import { setImmediate } from "node:timers/promises";
import type { Checkpoints } from "./checkpoint.ts";
import { type EvaluationMetrics, finiteOrNull, MetricsLog, type StepMetrics } from "./metrics.ts";
import type { StepResult } from "./outcome.ts";
import type { Trainer } from "./trainer.ts";

/** Of the held-out slice that is watched during training. */
export interface Evaluation {
  /** Nats per token. */
  readonly loss: number;
  readonly bitsPerByte: number;
}

export interface LoopOptions {
  readonly steps: number;
  /** Evaluate after each so many steps, and always at the end. */
  readonly evalEvery: number;
  /** Save after each so many steps. */
  readonly checkpointEvery: number;
  readonly checkpoints: Checkpoints;
  /** Must not change weights, moments or the trainer. */
  evaluate(signal: AbortSignal): Promise<Evaluation>;
  readonly signal: AbortSignal;
  /**
   * After each step, for people: how many are made, and the record of this one. `stepMs` is measured: the time since the result
   * of the step before.
   */
  progress(step: number, record: StepMetrics, stepMs: number): void;
}

export interface LoopResult {
  readonly metrics: MetricsLog;
  /** Why training ended early, or undefined. */
  readonly diverged: string | undefined;
  /** Mean loss of the last steps. */
  readonly trainLoss: number | undefined;
  /** Of the final weights. */
  readonly evaluation: EvaluationMetrics;
  /** What this process did, which is less than the run where it was resumed. */
  readonly measured: { readonly steps: number; readonly trainingMs: number; readonly resumedFrom: number };
}

/** Steps over which the final training loss is averaged: single batches are noisy. */
const TRAIN_LOSS_STEPS = 20;

/**
 * Steps that may wait for their results on a device that works ahead: enough that it never waits for this thread, few
 * enough that little is lost when a divergence or a signal comes in between.
 */
const STEPS_AHEAD = 8;

/** Run the trainer to its end. When the signal is aborted, saves a checkpoint and throws the signal's reason. */
export async function train(trainer: Trainer, options: LoopOptions): Promise<LoopResult> {
  const { steps, evalEvery, checkpointEvery, checkpoints, signal } = options;
  const metrics = checkpoints.restore(trainer) ?? new MetricsLog();
  const resumedFrom = trainer.step;
  const stopwatch = new Stopwatch();
  const queued: Promise<StepResult>[] = [];
  let saved = trainer.step;
  let diverged: string | undefined;

  const save = () => {
    if (trainer.step === saved) return;
    checkpoints.save(trainer, metrics);
    saved = trainer.step;
  };
  /** Take results, in order, until at most `remaining` are awaited. What was queued after a divergence was not done. */
  const settle = async (remaining: number) => {
    while (queued.length > remaining && diverged === undefined) {
      const { step, loss, learningRate: lr, gradientNorm, diverged: reason } = await queued.shift()!;
      diverged = reason;
      const tokens = step * trainer.options.batchTokens;
      const record = { step, tokens, loss: finiteOrNull(loss), lr, grad_norm: finiteOrNull(gradientNorm) };
      metrics.append(record);
      options.progress(reason === undefined ? step : step - 1, record, stopwatch.lap());
    }
  };
  try {
    while (trainer.queuedSteps < steps && diverged === undefined) {
      const isEvaluated = trainer.queuedSteps > 0 && trainer.queuedSteps % evalEvery === 0;
      const isSaved = trainer.queuedSteps % checkpointEvery === 0;
      if (isEvaluated || isSaved) {
        await stopwatch.run(() => settle(0));
        if (diverged !== undefined) break;
      }
      // First what belongs to the step before: a checkpoint made on a signal may lack its evaluation.
      if (isEvaluated) await evaluate(trainer, metrics, options);
      if (isSaved) save();
      await setImmediate(); // lets signals in
      signal.throwIfAborted();

      await stopwatch.run(() => {
        const result = trainer.queueStep();
        result.catch(() => undefined); // it is awaited later, and thrown then
        queued.push(result);
        return settle(trainer.queuesAhead ? STEPS_AHEAD : 0);
      });
    }
    await stopwatch.run(() => settle(0));
    const evaluation = await evaluate(trainer, metrics, options);
    const measured = { steps: trainer.step - resumedFrom, trainingMs: stopwatch.elapsedMs, resumedFrom };
    return { metrics, diverged, trainLoss: metrics.meanLoss(TRAIN_LOSS_STEPS), evaluation, measured };
  } catch (error) {
    if (signal.aborted) {
      await settle(0);
      if (diverged === undefined) save();
    }
    throw error;
  }
}

/** Time spent on steps, evaluations and checkpoints not counted. */
class Stopwatch {
  elapsedMs = 0;
  private startedAt = 0;
  private lapAt = 0;

  async run(work: () => Promise<void>): Promise<void> {
    this.startedAt = performance.now();
    try {
      await work();
    } finally {
      this.elapsedMs += performance.now() - this.startedAt;
    }
  }

  /** Milliseconds since the lap before; called within `run`. */
  lap(): number {
    const now = this.elapsedMs + performance.now() - this.startedAt;
    const lap = now - this.lapAt;
    this.lapAt = now;
    return lap;
  }
}

/** The evaluation of the weights as they are, made now unless the curve has it. */
async function evaluate(trainer: Trainer, metrics: MetricsLog, options: LoopOptions): Promise<EvaluationMetrics> {
  const known = metrics.evaluationAt(trainer.step);
  if (known) return known;
  const { loss, bitsPerByte } = await options.evaluate(options.signal);
  const record = {
    step: trainer.step,
    tokens: trainer.tokens,
    val_loss: finiteOrNull(loss),
    val_bits_per_byte: finiteOrNull(bitsPerByte),
  };
  metrics.append(record);
  return record;
}
