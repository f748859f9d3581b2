// The signature of every kernel: the contract of all devices. Add a kernel here, then in `reference/`; the compiler
// names each device that lacks it. Those of a model are in this file, those around it in step-kernels.ts.
//
// Conventions. Matrices are row-major and dense; shapes stand beside each field as (rows, columns). Axes: B batch,
// T time, N = B*T rows, C hiddenDim, H query heads, Hkv key/value heads, D headDim, F ffnDim, V vocabulary.
// Gradients of *parameters* (dw, dTable, db) are ADDED to what the buffer holds, so micro-batches accumulate.
// Gradients of *activations* (dx) are written, or added where `accumulate` is true.
// Output buffers never alias inputs unless a field says so. Everything is f32 unless a field says i32, but that activations and
// their gradients (x, y, dx, dy, qkv, dqkv, residual, a and b of add) may be bf16 on devices that keep them so; parameters and
// their gradients, statistics (rstd, mean, logSumExp), losses and sums never are. Statistics and long sums are kept so that
// the result has at least f32 accuracy. Results never depend on the thread count.

import type { DeviceBuffer } from "./backend.ts";
import type { Scalar } from "./scalar.ts";
import type {
  AdamWArgs,
  ClearArgs,
  ClipScaleArgs,
  CutWindowsArgs,
  IncrementArgs,
  SumSquaresArgs,
} from "./step-kernels.ts";

export type { DeviceScalar, Scalar } from "./scalar.ts";
export type * from "./step-kernels.ts";

/** c = op(a) op(b) [+ bias] [+ residual], or c += op(a) op(b) where `accumulate`. */
export interface MatmulArgs {
  readonly c: DeviceBuffer; // (M, N)
  readonly a: DeviceBuffer; // (M, K), or (K, M) where transposeA
  readonly b: DeviceBuffer; // (K, N), or (N, K) where transposeB
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly accumulate?: boolean;
  readonly bias?: DeviceBuffer | undefined; // (N)
  readonly residual?: DeviceBuffer | undefined; // (M, N); may be the same buffer as c
}

/**
 * y[n] = table[ids[n]] [+ positions[firstPosition + n mod T]]. For an id outside 0..V-1 throws a RangeError or, on a device that
 * runs its kernels later, writes a row of NaNs.
 */
export interface EmbeddingArgs {
  readonly y: DeviceBuffer; // (N, C)
  readonly table: DeviceBuffer; // (V, C); of the type of y where it is no parameter, but activations whose rows are chosen
  readonly ids: DeviceBuffer; // (N) i32
  readonly positions?: DeviceBuffer | undefined; // (>= firstPosition + T, C)
  readonly firstPosition?: number; // 0
  readonly N: number;
  readonly T: number;
  readonly C: number;
  readonly V: number;
}

/** dTable[ids[n]] += dy[n], rows in the order of n; dPositions[n mod T] += dy[n]. */
export interface EmbeddingGradientArgs {
  readonly dTable: DeviceBuffer; // (V, C)
  readonly dPositions?: DeviceBuffer | undefined; // (>= T, C)
  readonly dy: DeviceBuffer; // (N, C)
  readonly ids: DeviceBuffer; // (N) i32
  readonly N: number;
  readonly T: number;
  readonly C: number;
  readonly V: number;
}

/**
 * y[n,c] = w[c] x[n,c] rstd[n], rstd[n] = 1 / sqrt(mean_c x[n,c]^2 + eps)   (Zhang & Sennrich 2019).
 * NaN in rows whose sum of squares is no finite float32.
 */
export interface RmsNormArgs {
  readonly y: DeviceBuffer; // (N, C)
  readonly rstd: DeviceBuffer; // (N), written
  readonly x: DeviceBuffer; // (N, C)
  readonly w: DeviceBuffer; // (C)
  readonly N: number;
  readonly C: number;
  readonly eps: number;
}

export interface RmsNormGradientArgs {
  readonly dx: DeviceBuffer; // (N, C)
  readonly dw: DeviceBuffer; // (C)
  readonly dy: DeviceBuffer; // (N, C)
  readonly x: DeviceBuffer; // (N, C)
  readonly w: DeviceBuffer; // (C)
  readonly rstd: DeviceBuffer; // (N)
  readonly N: number;
  readonly C: number;
  readonly accumulate?: boolean; // of dx
}

/**
 * y[n,c] = w[c] (x[n,c] - mean[n]) rstd[n] [+ b[c]], with the biased variance   (Ba, Kiros & Hinton 2016).
 * NaN in rows whose sum, or sum of squared differences, is no finite float32.
 */
export interface LayerNormArgs {
  readonly y: DeviceBuffer; // (N, C)
  readonly mean: DeviceBuffer; // (N), written
  readonly rstd: DeviceBuffer; // (N), written
  readonly x: DeviceBuffer; // (N, C)
  readonly w: DeviceBuffer; // (C)
  readonly b?: DeviceBuffer | undefined; // (C)
  readonly N: number;
  readonly C: number;
  readonly eps: number;
}

export interface LayerNormGradientArgs {
  readonly dx: DeviceBuffer; // (N, C)
  readonly dw: DeviceBuffer; // (C)
  readonly db?: DeviceBuffer | undefined; // (C)
  readonly dy: DeviceBuffer; // (N, C)
  readonly x: DeviceBuffer; // (N, C)
  readonly w: DeviceBuffer; // (C)
  readonly mean: DeviceBuffer; // (N)
  readonly rstd: DeviceBuffer; // (N)
  readonly N: number;
  readonly C: number;
  readonly accumulate?: boolean; // of dx
}

/**
 * Rotary positions in place, adjacent pairs (2i, 2i+1) of the first `heads` heads of each row   (Su et al. 2021).
 * Row n = b*T + t has position t + firstPosition and angle position * base^(-2i/D). `inverse` rotates back: the gradient.
 */
export interface RopeArgs {
  readonly x: DeviceBuffer; // (N, stride), changed in place
  readonly N: number;
  readonly T: number;
  readonly heads: number; // H + Hkv for packed queries and keys
  readonly D: number; // even
  readonly stride: number; // elements per row
  readonly base: number; // 10000
  readonly firstPosition?: number; // 0
  readonly inverse?: boolean;
}

/**
 * Where the zeros of a dropout mask come from: Philox4x32-10, key (seed, PURPOSE.dropout), for element i of the call
 * counter (first + (i >> 2), step, site, 0). The micro-batches of a step follow each other in the first word, first =
 * microBatch * microBatchSize * ceil(elements of a sequence / 4), so that a sequence meets the same mask however its step
 * is cut, if the elements of a sequence are a multiple of 4. The word wraps at 2^32.
 */
export interface DropoutKey {
  readonly probability: Scalar; // 0 <= p < 1
  readonly seed: number;
  readonly step: Scalar; // i32
  /** Counts within the step. */
  readonly microBatch: Scalar; // i32
  /** Sequences in each micro-batch before this one. */
  readonly microBatchSize?: number; // sequences
  /** Sequences in this call. */
  readonly sequences?: number; // 1
  /** A number of its own for each place in the model. */
  readonly site: number;
}

/**
 * Causal attention with grouped heads over packed projections: row n of qkv holds H query heads, then Hkv key heads, then
 * Hkv value heads, each D wide; query head h reads key/value head floor(h / (H / Hkv)). y[n, h*D..] = softmax(scale q k^T) v.
 * The T x T matrix is never kept. Dropout drops softmax weights: element index ((b*H + h)*T + t)*T + s, kept ones divided by 1 - p.
 */
export interface AttentionArgs {
  readonly y: DeviceBuffer; // (N, H*D)
  readonly logSumExp: DeviceBuffer; // (B, H, T), written, for the gradient
  readonly qkv: DeviceBuffer; // (N, (H + 2 Hkv) * D)
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
  readonly scale: number; // 1 / sqrt(D)
  readonly dropout?: DropoutKey | undefined;
  /** In generation: earlier positions are read from here, and those of this call are written here first. No gradient. */
  readonly cache?: KeyValueCache | undefined;
}

/** Keys and values of the positions of B sequences so far: row (b, p) holds Hkv key heads, then Hkv value heads, each D wide. */
export interface KeyValueCache {
  readonly keysValues: DeviceBuffer; // (B, capacity, 2 Hkv D)
  readonly capacity: number;
  /** Row t of a sequence in the call is its position firstPosition + t, and reads positions 0..firstPosition + t. */
  readonly firstPosition: number;
}

export interface AttentionGradientArgs {
  readonly dqkv: DeviceBuffer; // (N, (H + 2 Hkv) * D), written
  readonly dy: DeviceBuffer; // (N, H*D)
  readonly y: DeviceBuffer; // (N, H*D)
  readonly logSumExp: DeviceBuffer; // (B, H, T)
  readonly qkv: DeviceBuffer; // (N, (H + 2 Hkv) * D)
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
  readonly scale: number;
  readonly dropout?: DropoutKey | undefined;
}

/** y[n,f] = silu(x[n,f]) x[n,F+f]: row n of x holds the gate, then the value   (Shazeer 2020, SwiGLU). */
export interface SwigluArgs {
  readonly y: DeviceBuffer; // (N, F)
  readonly x: DeviceBuffer; // (N, 2F)
  readonly N: number;
  readonly F: number;
}

export interface SwigluGradientArgs {
  readonly dx: DeviceBuffer; // (N, 2F), written
  readonly dy: DeviceBuffer; // (N, F)
  readonly x: DeviceBuffer; // (N, 2F)
  readonly N: number;
  readonly F: number;
}

/** y = x Phi(x), with the error function, not the tanh approximation   (Hendrycks & Gimpel 2016). */
export interface GeluArgs {
  readonly y: DeviceBuffer; // (length)
  readonly x: DeviceBuffer; // (length)
  readonly length: number;
}

export interface GeluGradientArgs {
  readonly dx: DeviceBuffer; // (length), written
  readonly dy: DeviceBuffer; // (length)
  readonly x: DeviceBuffer; // (length)
  readonly length: number;
}

/**
 * Output projection and cross-entropy without whole logits: losses[n] = -log softmax(x[n] w^T)[targets[n]] in nats;
 * a target of -1 gives loss 0 and no gradient, another outside 0..V-1 a RangeError or, on a device that runs later, NaNs. With dx and dw (both or neither) the gradients of
 * gradientScale * sum_n losses[n] are computed in the same pass: dx written, dw added to.
 */
export interface HeadLossArgs {
  readonly losses: DeviceBuffer; // (N), written
  readonly x: DeviceBuffer; // (N, C)
  readonly w: DeviceBuffer; // (V, C)
  readonly targets: DeviceBuffer; // (N) i32
  readonly N: number;
  readonly C: number;
  readonly V: number;
  readonly dx?: DeviceBuffer | undefined; // (N, C)
  readonly dw?: DeviceBuffer | undefined; // (V, C)
  readonly gradientScale?: number;
}

/** y = [residual +] dropout(x): kept values divided by 1 - p. The gradient is the same call on dy without residual. y may be x. */
export interface DropoutArgs {
  readonly y: DeviceBuffer; // (length)
  readonly x: DeviceBuffer; // (length)
  readonly residual?: DeviceBuffer | undefined; // (length); may be y
  readonly length: number;
  readonly dropout: DropoutKey;
}

/** y = a + b; y may be a or b. */
export interface AddArgs {
  readonly y: DeviceBuffer;
  readonly a: DeviceBuffer;
  readonly b: DeviceBuffer;
  readonly length: number;
}

/** y = factor * x; y may be x. */
export interface ScaleArgs {
  readonly y: DeviceBuffer;
  readonly x: DeviceBuffer;
  readonly factor: number;
  readonly length: number;
}

export interface FillArgs {
  readonly y: DeviceBuffer;
  readonly value: number;
  readonly length: number;
}

export interface CopyArgs {
  readonly y: DeviceBuffer;
  readonly x: DeviceBuffer;
  readonly length: number;
}

/** db[c] += sum_n dy[n,c]: the gradient of a bias. */
export interface ColumnSumArgs {
  readonly db: DeviceBuffer; // (C)
  readonly dy: DeviceBuffer; // (N, C)
  readonly N: number;
  readonly C: number;
}

/** out[index] = sum_i x[i], or sum_i x[i]^2 where `squared`, in a fixed order with f64 partial sums. */
export interface SumArgs {
  readonly out: DeviceBuffer;
  readonly index: Scalar; // i32
  readonly x: DeviceBuffer;
  readonly length: number;
  readonly squared?: boolean;
}

export interface Kernels {
  matmul(args: MatmulArgs): void;
  embedding(args: EmbeddingArgs): void;
  embeddingGradient(args: EmbeddingGradientArgs): void;
  rmsNorm(args: RmsNormArgs): void;
  rmsNormGradient(args: RmsNormGradientArgs): void;
  layerNorm(args: LayerNormArgs): void;
  layerNormGradient(args: LayerNormGradientArgs): void;
  rope(args: RopeArgs): void;
  attention(args: AttentionArgs): void;
  attentionGradient(args: AttentionGradientArgs): void;
  swiglu(args: SwigluArgs): void;
  swigluGradient(args: SwigluGradientArgs): void;
  gelu(args: GeluArgs): void;
  geluGradient(args: GeluGradientArgs): void;
  headLoss(args: HeadLossArgs): void;
  dropout(args: DropoutArgs): void;
  add(args: AddArgs): void;
  scale(args: ScaleArgs): void;
  fill(args: FillArgs): void;
  copy(args: CopyArgs): void;
  columnSum(args: ColumnSumArgs): void;
  sum(args: SumArgs): void;
  cutWindows(args: CutWindowsArgs): void;
  increment(args: IncrementArgs): void;
  sumSquares(args: SumSquaresArgs): void;
  clipScale(args: ClipScaleArgs): void;
  adamW(args: AdamWArgs): void;
  clear(args: ClearArgs): void;
}
