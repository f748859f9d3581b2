// The part of the contract of kernels.ts that is a training step around the model: which sequences come next, the norm of all
// gradients, the update. Those that go over all parameters take them all at once: a GPU then has a few kernels to start, not hundreds.

import type { DeviceBuffer } from "./backend.ts";
import type { Scalar } from "./scalar.ts";

/**
 * The ids and targets of one micro-batch, cut out of all windows of its step: with n = microBatch * size + b, ids[b T + t] =
 * windows[n, t] and targets[b T + t] = windows[n, t + 1]. Where there is no window n throws a RangeError or, on a device that runs
 * later, writes -2, which embedding and headLoss turn into NaNs.
 */
export interface CutWindowsArgs {
  readonly ids: DeviceBuffer; // (B, T) i32, written
  readonly targets: DeviceBuffer; // (B, T) i32, written
  readonly windows: DeviceBuffer; // (any, T + 1) i32
  readonly microBatch: Scalar; // i32; counts within the step
  /** Windows of a micro-batch; the last one, of B windows, may be smaller. */
  readonly size: number;
  readonly B: number;
  readonly T: number;
}

/** counters[index] += 1: recorded work counts its replays. */
export interface IncrementArgs {
  readonly counters: DeviceBuffer; // i32
  readonly index: number;
}

/** out[first + i] = the sum of the squares of all elements of xs[i], as `sum` has it. */
export interface SumSquaresArgs {
  readonly out: DeviceBuffer; // (>= first + xs.length), written
  readonly first: number;
  readonly xs: readonly DeviceBuffer[];
}

/**
 * What a step's gradients are multiplied by, decided on the device   (Pascanu, Mikolov & Bengio 2013, section 3.2). With
 * loss = sum(sums[0..numLosses-1]) / numTokens and norm = sqrt(sum(sums[numLosses..numLosses+numSquares-1])), each added up in
 * float64 in the order of the index, out[0] = loss, out[1] = norm, and
 * out[3] = 1 if it was 1 before, or loss or norm is not finite, or loss > maxLoss; else it keeps its 0;
 * out[2] = NaN where out[3] is 1: adamW then changes nothing, from the first diverged step on; else min(1, clip / (norm + 1e-6)).
 */
export interface ClipScaleArgs {
  readonly out: DeviceBuffer; // (4), written
  readonly sums: DeviceBuffer; // (>= numLosses + numSquares)
  readonly numLosses: number;
  readonly numSquares: number;
  readonly numTokens: number;
  readonly clip: number;
  readonly maxLoss: Scalar; // Infinity: no bound
}

/** What AdamW keeps of one parameter; all of (length). */
export interface AdamWTensor {
  readonly p: DeviceBuffer;
  readonly g: DeviceBuffer;
  readonly m: DeviceBuffer;
  readonly v: DeviceBuffer;
  readonly length: number;
  readonly weightDecay: number;
}

/**
 * One AdamW update in place   (Loshchilov & Hutter 2019, algorithm 2, decay decoupled), of each tensor:
 * g' = gradientScale g; m = beta1 m + (1-beta1) g'; v = beta2 v + (1-beta2) g'^2;
 * p -= lr (m / (1-beta1^step)) / (sqrt(v / (1-beta2^step)) + eps) + lr weightDecay p.
 * A gradientScale of NaN leaves p, m and v as they are.
 */
export interface AdamWArgs {
  readonly tensors: readonly AdamWTensor[];
  readonly lr: Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly step: Scalar; // i32; 1 for the first update
  readonly gradientScale: Scalar; // of clipping by the global norm; 1 where nothing is clipped
}

/** ys[i] = 0 everywhere, for each i. */
export interface ClearArgs {
  readonly ys: readonly DeviceBuffer[]; // f32
}
