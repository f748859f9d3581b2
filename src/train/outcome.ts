// What a step's sums say: loss, gradient norm, the factor of its gradients, and whether training goes on. The kernel
// `clipScale` decides the same on the device, from the same sums in the same order.

import { clipScale, total } from "./clip.ts";

export interface StepResult {
  /** The number of the update, 1 for the first. */
  readonly step: number;
  /** Nats per token before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** Why the update was not made; the weights are those of the step before. */
  readonly diverged: string | undefined;
}

/** Sums of losses, one a micro-batch; then sums of squared gradients, one a parameter. */
export interface StepSums {
  readonly losses: Float32Array;
  readonly squares: Float32Array;
}

/** What decides. */
export interface Bounds {
  readonly batchTokens: number;
  readonly clip: number;
  /** Infinity where there is none; a float32, since the device compares with one. */
  readonly maxLoss: number;
}

export interface Outcome {
  readonly loss: number;
  readonly gradientNorm: number;
  /** NaN where the step is not to be made. */
  readonly gradientScale: number;
  /** Why it is not, to be followed by the step. */
  readonly divergence: string | undefined;
}

export function outcomeOf({ losses, squares }: StepSums, { batchTokens, clip, maxLoss }: Bounds): Outcome {
  const loss = total(losses) / batchTokens;
  const gradientNorm = Math.sqrt(total(squares));
  const divergence = !Number.isFinite(loss)
    ? `the loss is ${loss}`
    : !Number.isFinite(gradientNorm)
      ? `the gradient norm is ${gradientNorm}`
      : loss > maxLoss
        ? `the loss ${loss.toFixed(3)} is above the bound ${Number(maxLoss.toPrecision(7))}`
        : undefined;
  const gradientScale = divergence === undefined ? clipScale(gradientNorm, clip) : Number.NaN;
  return { loss, gradientNorm, gradientScale, divergence };
}
