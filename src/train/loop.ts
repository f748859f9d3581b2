// A whole run: steps, evaluations and checkpoints in a fixed order, from the last checkpoint on, until the end, a
// divergence or a signal. Knows nothing of files but checkpoints, and nothing of models.

import { setImmediate } from "node:timers/promises";
import type { Checkpoints } from "./checkpoint.ts";
import { type EvaluationMetrics, finiteOrNull, MetricsLog } from "./metrics.ts";
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
  /** After each step, for people. */
  progress(step: number, note: string): void;
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

/** Run the trainer to its end. When the signal is aborted, saves a checkpoint and throws the signal's reason. */
export async function train(trainer: Trainer, options: LoopOptions): Promise<LoopResult> {
  const { steps, evalEvery, checkpointEvery, checkpoints, signal } = options;
  const metrics = checkpoints.restore(trainer) ?? new MetricsLog();
  const resumedFrom = trainer.step;
  let saved = trainer.step;
  let trainingMs = 0;
  let diverged: string | undefined;

  const save = () => {
    if (trainer.step === saved) return;
    checkpoints.save(trainer, metrics);
    saved = trainer.step;
  };
  try {
    while (trainer.step < steps && diverged === undefined) {
      // First what belongs to the step before: a checkpoint made on a signal may lack its evaluation.
      if (trainer.step > 0 && trainer.step % evalEvery === 0) await evaluate(trainer, metrics, options);
      if (trainer.step % checkpointEvery === 0) save();
      await setImmediate(); // lets signals in
      signal.throwIfAborted();

      const started = performance.now();
      const { loss, learningRate: lr, gradientNorm, diverged: reason } = trainer.runStep();
      trainingMs += performance.now() - started;
      diverged = reason;
      const step = diverged === undefined ? trainer.step : trainer.step + 1;
      const tokens = step * trainer.options.batchTokens;
      metrics.append({ step, tokens, loss: finiteOrNull(loss), lr, grad_norm: finiteOrNull(gradientNorm) });
      options.progress(trainer.step, `loss ${loss.toFixed(4)}, gradient norm ${gradientNorm.toFixed(2)}`);
    }
    const evaluation = await evaluate(trainer, metrics, options);
    const measured = { steps: trainer.step - resumedFrom, trainingMs, resumedFrom };
    return { metrics, diverged, trainLoss: metrics.meanLoss(TRAIN_LOSS_STEPS), evaluation, measured };
  } catch (error) {
    if (signal.aborted && diverged === undefined) save();
    throw error;
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
