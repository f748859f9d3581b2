// The kernels of the cpu device: each checks its buffers' lengths (C would read on regardless) and calls its C function.

import { PURPOSE } from "../../util/philox.ts";
import {
  integerScalar,
  integers,
  optionalReals,
  outOfMemory,
  type RealArray,
  realScalar,
  reals,
} from "../host-memory.ts";
import type { AttentionArgs, DropoutKey, Kernels } from "../kernels.ts";
import { keysValuesOf } from "../reference/attention.ts";
import { clipScale } from "../reference/clip-scale.ts";
import { dropoutNumbers } from "../reference/dropout.ts";
import { clear, copy, fill } from "../reference/elementwise.ts";
import { checkId } from "../reference/embedding.ts";
import { checkTarget } from "../reference/head-loss.ts";
import { cutWindows, increment } from "../reference/micro-batch.ts";
import type { NativeKernels, NativeKey, Pointer } from "./native.ts";

const TRANSPOSE_A = 1;
const TRANSPOSE_B = 2;
const ACCUMULATE = 4;
const NO_CACHE = { capacity: 0, firstPosition: 0 };
const NO_DROPOUT: NativeKey = [0, 0, 0, 0, 0, 0, 1];

export interface NativeAccess {
  readonly native: NativeKernels;
  /** Throws once the backend is closed. */
  context(): Pointer;
  /** Cosines and sines of at least `positions` positions. */
  ropeTable(D: number, base: number, positions: number): Float32Array;
}

/** An f32 buffer of this device is a Float32Array: only tests of the reference make others. */
const f32 = (array: RealArray | null) => array as Float32Array;
const need = (...args: Parameters<typeof reals>) => f32(reals(...args));
const may = (...args: Parameters<typeof optionalReals>) => optionalReals(...args) as Float32Array | null;

function done(status: number, kernel: string): void {
  if (status !== 0) throw outOfMemory("cpu", `the scratch memory of ${kernel}`);
}

/** Words below p * 2^32 are dropped, as uniform < p says. */
function nativeKey(key: DropoutKey, length: number): NativeKey {
  const { probability, seed, first, step, site } = dropoutNumbers(key, length);
  const threshold = Math.min(Math.ceil(probability * 4294967296), 4294967295);
  return [seed >>> 0, PURPOSE.dropout, first, step >>> 0, site >>> 0, threshold, 1 / (1 - probability)];
}

function attentionSizes({ B, T, H, Hkv, D }: Pick<AttentionArgs, "B" | "T" | "H" | "Hkv" | "D">) {
  if (H % Hkv !== 0) throw new RangeError(`attention: ${H} query heads do not divide among ${Hkv} key/value heads`);
  return { qkv: B * T * (H + 2 * Hkv) * D, y: B * T * H * D, rows: B * H * T };
}

/** beta^step by squaring: the same bits whatever the JavaScript engine's pow does. */
function power(beta: number, step: number): number {
  let result = 1;
  for (let square = beta, n = step; n > 0; n = Math.floor(n / 2), square *= square) if (n % 2 === 1) result *= square;
  return result;
}

export function cpuKernels({ native, context, ropeTable }: NativeAccess): Kernels {
  const sum: Kernels["sum"] = ({ length, squared = false, ...a }) => {
    const index = integerScalar(a.index, "sum.index");
    const out = need(a.out, index + 1, "sum.out").subarray(index);
    done(native.sum(context(), out, need(a.x, length, "sum.x"), length, squared ? 1 : 0), "sum");
  };
  return {
    matmul({ M, N, K, ...a }) {
      const flags =
        (a.transposeA ? TRANSPOSE_A : 0) | (a.transposeB ? TRANSPOSE_B : 0) | (a.accumulate ? ACCUMULATE : 0);
      const c = need(a.c, M * N, "matmul.c");
      const left = need(a.a, M * K, "matmul.a");
      const right = need(a.b, K * N, "matmul.b");
      const bias = may(a.bias, N, "matmul.bias");
      const residual = may(a.residual, M * N, "matmul.residual");
      done(native.matmul(context(), c, left, right, bias, residual, M, N, K, flags), "matmul");
    },
    embedding({ N, T, C, V, firstPosition = 0, ...a }) {
      const ids = integers(a.ids, N, "embedding.ids");
      const bad = native.find_bad_id(ids, N, 0, V);
      if (bad >= 0) checkId(ids[bad]!, bad, V, "embedding");
      const y = need(a.y, N * C, "embedding.y");
      const table = need(a.table, V * C, "embedding.table");
      const positions = may(a.positions, (firstPosition + Math.min(N, T)) * C, "embedding.positions");
      done(native.embedding(context(), y, table, ids, positions, firstPosition, N, T, C), "embedding");
    },
    embeddingGradient({ N, T, C, V, ...a }) {
      const ids = integers(a.ids, N, "embeddingGradient.ids");
      const bad = native.find_bad_id(ids, N, 0, V);
      if (bad >= 0) checkId(ids[bad]!, bad, V, "embeddingGradient");
      const dTable = need(a.dTable, V * C, "embeddingGradient.dTable");
      const dPositions = may(a.dPositions, Math.min(N, T) * C, "embeddingGradient.dPositions");
      const dy = need(a.dy, N * C, "embeddingGradient.dy");
      done(native.embedding_gradient(context(), dTable, dPositions, dy, ids, N, T, C), "embeddingGradient");
    },
    rmsNorm({ N, C, eps, ...a }) {
      const y = need(a.y, N * C, "rmsNorm.y");
      const rstd = need(a.rstd, N, "rmsNorm.rstd");
      const x = need(a.x, N * C, "rmsNorm.x");
      done(native.rms_norm(context(), y, rstd, x, need(a.w, C, "rmsNorm.w"), N, C, eps), "rmsNorm");
    },
    rmsNormGradient({ N, C, accumulate = false, ...a }) {
      const dx = need(a.dx, N * C, "rmsNormGradient.dx");
      const dw = need(a.dw, C, "rmsNormGradient.dw");
      const dy = need(a.dy, N * C, "rmsNormGradient.dy");
      const x = need(a.x, N * C, "rmsNormGradient.x");
      const w = need(a.w, C, "rmsNormGradient.w");
      const rstd = need(a.rstd, N, "rmsNormGradient.rstd");
      done(native.rms_norm_gradient(context(), dx, dw, dy, x, w, rstd, N, C, accumulate ? 1 : 0), "rmsNormGradient");
    },
    layerNorm({ N, C, eps, ...a }) {
      const y = need(a.y, N * C, "layerNorm.y");
      const mean = need(a.mean, N, "layerNorm.mean");
      const rstd = need(a.rstd, N, "layerNorm.rstd");
      const x = need(a.x, N * C, "layerNorm.x");
      const w = need(a.w, C, "layerNorm.w");
      done(native.layer_norm(context(), y, mean, rstd, x, w, may(a.b, C, "layerNorm.b"), N, C, eps), "layerNorm");
    },
    layerNormGradient({ N, C, accumulate = false, ...a }) {
      const dx = need(a.dx, N * C, "layerNormGradient.dx");
      const dw = need(a.dw, C, "layerNormGradient.dw");
      const db = may(a.db, C, "layerNormGradient.db");
      const dy = need(a.dy, N * C, "layerNormGradient.dy");
      const x = need(a.x, N * C, "layerNormGradient.x");
      const w = need(a.w, C, "layerNormGradient.w");
      const mean = need(a.mean, N, "layerNormGradient.mean");
      const rstd = need(a.rstd, N, "layerNormGradient.rstd");
      const add = accumulate ? 1 : 0;
      done(native.layer_norm_gradient(context(), dx, dw, db, dy, x, w, mean, rstd, N, C, add), "layerNormGradient");
    },
    rope({ N, T, heads, D, stride, base, firstPosition = 0, inverse = false, ...a }) {
      if (D % 2 !== 0) throw new RangeError(`rope: pairs need an even head width, got ${D}`);
      if (N === 0) return;
      const x = need(a.x, (N - 1) * stride + heads * D, "rope.x");
      const table = ropeTable(D, base, firstPosition + Math.min(N, T));
      done(native.rope(context(), x, table, N, T, heads, D, stride, firstPosition, inverse ? 1 : 0), "rope");
    },
    attention({ B, T, H, Hkv, D, scale, dropout, cache, ...a }) {
      const sizes = attentionSizes({ B, T, H, Hkv, D });
      const y = need(a.y, sizes.y, "attention.y");
      const lse = need(a.logSumExp, sizes.rows, "attention.logSumExp");
      const qkv = need(a.qkv, sizes.qkv, "attention.qkv");
      const key = dropout ? nativeKey(dropout, B * H * T * T) : NO_DROPOUT;
      const keysValues = cache ? f32(keysValuesOf(cache, { B, T, Hkv, D, dropout })) : null;
      const { capacity, firstPosition: past } = cache ?? NO_CACHE;
      const drops = dropout ? 1 : 0;
      done(
        native.attention(context(), y, lse, qkv, keysValues, capacity, past, B, T, H, Hkv, D, scale, drops, ...key),
        "attention",
      );
    },
    attentionGradient({ B, T, H, Hkv, D, scale, dropout, ...a }) {
      const sizes = attentionSizes({ B, T, H, Hkv, D });
      const dqkv = need(a.dqkv, sizes.qkv, "attentionGradient.dqkv");
      const dy = need(a.dy, sizes.y, "attentionGradient.dy");
      const y = need(a.y, sizes.y, "attentionGradient.y");
      const lse = need(a.logSumExp, sizes.rows, "attentionGradient.logSumExp");
      const qkv = need(a.qkv, sizes.qkv, "attentionGradient.qkv");
      const key = dropout ? nativeKey(dropout, B * H * T * T) : NO_DROPOUT;
      done(
        native.attention_gradient(context(), dqkv, dy, y, lse, qkv, B, T, H, Hkv, D, scale, dropout ? 1 : 0, ...key),
        "attentionGradient",
      );
    },
    swiglu({ N, F, ...a }) {
      const y = need(a.y, N * F, "swiglu.y");
      done(native.swiglu(context(), y, need(a.x, N * 2 * F, "swiglu.x"), N, F), "swiglu");
    },
    swigluGradient({ N, F, ...a }) {
      const dx = need(a.dx, N * 2 * F, "swigluGradient.dx");
      const dy = need(a.dy, N * F, "swigluGradient.dy");
      const x = need(a.x, N * 2 * F, "swigluGradient.x");
      done(native.swiglu_gradient(context(), dx, dy, x, N, F), "swigluGradient");
    },
    gelu({ length, ...a }) {
      done(native.gelu(context(), need(a.y, length, "gelu.y"), need(a.x, length, "gelu.x"), length), "gelu");
    },
    geluGradient({ length, ...a }) {
      const dx = need(a.dx, length, "geluGradient.dx");
      const dy = need(a.dy, length, "geluGradient.dy");
      done(native.gelu_gradient(context(), dx, dy, need(a.x, length, "geluGradient.x"), length), "geluGradient");
    },
    headLoss({ N, C, V, gradientScale = 1, ...a }) {
      const targets = integers(a.targets, N, "headLoss.targets");
      const bad = native.find_bad_id(targets, N, -1, V);
      if (bad >= 0) checkTarget(targets[bad]!, bad, V);
      const losses = need(a.losses, N, "headLoss.losses");
      const x = need(a.x, N * C, "headLoss.x");
      const w = need(a.w, V * C, "headLoss.w");
      const dx = may(a.dx, N * C, "headLoss.dx");
      const dw = may(a.dw, V * C, "headLoss.dw");
      if ((dx === null) !== (dw === null)) throw new TypeError("headLoss: dx and dw must be given together");
      done(native.head_loss(context(), losses, x, w, targets, N, C, V, dx, dw, gradientScale), "headLoss");
    },
    dropout({ length, dropout, ...a }) {
      const y = need(a.y, length, "dropout.y");
      const x = need(a.x, length, "dropout.x");
      const residual = may(a.residual, length, "dropout.residual");
      done(native.dropout(context(), y, x, residual, length, ...nativeKey(dropout, length)), "dropout");
    },
    add({ length, ...a }) {
      const y = need(a.y, length, "add.y");
      done(native.add(context(), y, need(a.a, length, "add.a"), need(a.b, length, "add.b"), length), "add");
    },
    scale({ length, factor, ...a }) {
      const y = need(a.y, length, "scale.y");
      done(native.scale(context(), y, need(a.x, length, "scale.x"), factor, length), "scale");
    },
    fill,
    copy,
    columnSum({ N, C, ...a }) {
      const db = need(a.db, C, "columnSum.db");
      done(native.column_sum(context(), db, need(a.dy, N * C, "columnSum.dy"), N, C), "columnSum");
    },
    sum,
    sumSquares({ out, first, xs }) {
      for (const [i, x] of xs.entries()) sum({ out, index: first + i, x, length: x.length, squared: true });
    },
    clipScale,
    adamW({ tensors, beta1, beta2, eps, ...a }) {
      const lr = realScalar(a.lr, "adamW.lr");
      const step = integerScalar(a.step, "adamW.step");
      const gradientScale = realScalar(a.gradientScale, "adamW.gradientScale");
      const rate = lr / (1 - power(beta1, step));
      const inverse2 = 1 / (1 - power(beta2, step));
      for (const { length, weightDecay, ...tensor } of tensors) {
        const p = need(tensor.p, length, "adamW.p");
        const g = need(tensor.g, length, "adamW.g");
        const m = need(tensor.m, length, "adamW.m");
        const v = need(tensor.v, length, "adamW.v");
        if (Number.isNaN(gradientScale)) continue;
        const decay = lr * weightDecay;
        done(
          native.adamw(context(), p, g, m, v, length, beta1, beta2, rate, inverse2, eps, decay, gradientScale),
          "adamW",
        );
      }
    },
    clear,
    cutWindows,
    increment,
  };
}
