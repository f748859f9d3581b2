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

/** Run the trainer to its end. Throws the signal's reason when it is aborted, after saving a checkpoint. */
export async function train(trainer: Trainer, options: LoopOptions): Promise<LoopResult> {
  const { steps, evalEvery, checkpointEvery, checkpoints, signal } = options;
  const metrics = checkpoints.restore(trainer) ?? new MetricsLog();
  const resumedFrom = trainer.step;
  let saved = trainer.step;
  let trainingMs = 0;
  let diverged: string | undefined;

  const save = () => {
    checkpoints.save(trainer, metrics);
    saved = trainer.step;
  };
  while (trainer.step < steps && diverged === undefined) {
    await setImmediate(); // lets signals in
    if (signal.aborted && trainer.step > saved) save();
    signal.throwIfAborted();

    const started = performance.now();
    const result = trainer.runStep();
    trainingMs += performance.now() - started;
    diverged = result.diverged;
    const { learningRate: lr, gradientNorm } = result;
    metrics.append({
      step: diverged === undefined ? trainer.step : trainer.step + 1,
      tokens: trainer.tokens,
      loss: finiteOrNull(result.loss),
      lr,
      grad_norm: finiteOrNull(gradientNorm),
    });
    options.progress(trainer.step, `loss ${result.loss.toFixed(4)}, gradient norm ${gradientNorm.toFixed(2)}`);
    if (diverged !== undefined || trainer.step === steps) break;
    if (trainer.step % evalEvery === 0) await evaluate(trainer, metrics, options);
    if (trainer.step % checkpointEvery === 0) save();
  }
  const evaluation = await evaluate(trainer, metrics, options);
  return {
    metrics,
    diverged,
    trainLoss: metrics.meanLoss(TRAIN_LOSS_STEPS),
    evaluation,
    measured: { steps: trainer.step - resumedFrom, trainingMs, resumedFrom },
  };
}

async function evaluate(trainer: Trainer, metrics: MetricsLog, options: LoopOptions): Promise<EvaluationMetrics> {
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
