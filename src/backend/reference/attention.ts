// Causal attention with grouped heads   (Vaswani et al. 2017, section 3.2; Ainslie et al. 2023), one row at a time.

import { type RealArray, reals } from "../host-memory.ts";
import type { AttentionArgs, AttentionGradientArgs, KeyValueCache } from "../kernels.ts";
import { dropper } from "./dropout.ts";

/** Where query, key and value of head h at row n start in the packed projections. */
function layout({ H, Hkv, D }: AttentionArgs | AttentionGradientArgs) {
  const stride = (H + 2 * Hkv) * D;
  const group = H / Hkv;
  return {
    stride,
    q: (n: number, h: number) => n * stride + h * D,
    k: (n: number, h: number) => n * stride + (H + Math.floor(h / group)) * D,
    v: (n: number, h: number) => n * stride + (H + Hkv + Math.floor(h / group)) * D,
  };
}

export function attention(args: AttentionArgs): void {
  const { B, T, H, D, scale } = args;
  const at = layout(args);
  const y = reals(args.y, B * T * H * D, "attention.y");
  const logSumExp = reals(args.logSumExp, B * H * T, "attention.logSumExp");
  const qkv = reals(args.qkv, B * T * at.stride, "attention.qkv");
  const drop = dropper(args.dropout, B * H * T * T);
  const { values: kv, first, keyAt, valueAt } = appendToCache(args, qkv);
  const weights = new Float64Array(first + T);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < T; t++) {
        const row = (b * H + h) * T + t;
        let max = Number.NEGATIVE_INFINITY;
        for (let s = 0; s <= first + t; s++) {
          let score = 0;
          for (let d = 0; d < D; d++) score += qkv[at.q(b * T + t, h) + d]! * kv[keyAt(b, s, h) + d]!;
          weights[s] = score * scale;
          max = Math.max(max, weights[s]!);
        }
        let sum = 0;
        for (let s = 0; s <= first + t; s++) {
          weights[s] = Math.exp(weights[s]! - max);
          sum += weights[s]!;
        }
        logSumExp[row] = max + Math.log(sum);
        for (let d = 0; d < D; d++) {
          let value = 0;
          for (let s = 0; s <= first + t; s++) {
            value += drop(weights[s]! / sum, row * T + s) * kv[valueAt(b, s, h) + d]!;
          }
          y[((b * T + t) * H + h) * D + d] = value;
        }
      }
    }
  }
}

/** Where keys and values stand: in the cache, to which those of this call are added first, or beside the queries. */
function appendToCache(args: AttentionArgs, qkv: RealArray) {
  const { B, T, H, Hkv, D, cache } = args;
  const at = layout(args);
  if (!cache) {
    const keyAt = (b: number, s: number, h: number) => at.k(b * T + s, h);
    return { values: qkv, first: 0, keyAt, valueAt: (b: number, s: number, h: number) => at.v(b * T + s, h) };
  }
  const { capacity, firstPosition: first } = cache;
  const values = keysValuesOf(cache, args);
  const width = 2 * Hkv * D;
  for (let n = 0; n < B * T; n++) {
    const row = Math.floor(n / T) * capacity + first + (n % T);
    for (let i = 0; i < width; i++) values[row * width + i] = qkv[n * at.stride + H * D + i]!;
  }
  const keyAt = (b: number, s: number, h: number) => (b * capacity + s) * width + Math.floor(h / (H / Hkv)) * D;
  return { values, first, keyAt, valueAt: (b: number, s: number, h: number) => keyAt(b, s, h) + Hkv * D };
}

/** The cache's numbers. Throws a RangeError where this call does not fit it, or drops weights. */
export function keysValuesOf(
  { keysValues, capacity, firstPosition }: KeyValueCache,
  { B, T, Hkv, D, dropout }: Pick<AttentionArgs, "B" | "T" | "Hkv" | "D" | "dropout">,
): RealArray {
  if (dropout) throw new RangeError("attention: a call with a cache cannot drop weights");
  if (firstPosition + T > capacity) {
    throw new RangeError(`attention: positions up to ${firstPosition + T} do not fit a cache of ${capacity}`);
  }
  return reals(keysValues, B * capacity * 2 * Hkv * D, "attention.cache");
}

/**
 * With P the softmax and M dropout: dV = M(P)^T dY; dP = M(dY V^T); dS = P (dP - rowsum(dY Y));
 * dQ = scale dS K; dK = scale dS^T Q. Keys and values sum over the query heads of their group.
 */
export function attentionGradient(args: AttentionGradientArgs): void {
  const { B, T, H, D, scale } = args;
  const at = layout(args);
  const dqkv = reals(args.dqkv, B * T * at.stride, "attentionGradient.dqkv");
  const dy = reals(args.dy, B * T * H * D, "attentionGradient.dy");
  const y = reals(args.y, B * T * H * D, "attentionGradient.y");
  const logSumExp = reals(args.logSumExp, B * H * T, "attentionGradient.logSumExp");
  const qkv = reals(args.qkv, B * T * at.stride, "attentionGradient.qkv");
  const drop = dropper(args.dropout, B * H * T * T);
  const sums = new Float64Array(B * T * at.stride);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < T; t++) {
        const row = (b * H + h) * T + t;
        const out = ((b * T + t) * H + h) * D;
        const q = at.q(b * T + t, h);
        let delta = 0;
        for (let d = 0; d < D; d++) delta += dy[out + d]! * y[out + d]!;
        for (let s = 0; s <= t; s++) {
          const k = at.k(b * T + s, h);
          const v = at.v(b * T + s, h);
          let score = 0;
          let dWeight = 0;
          for (let d = 0; d < D; d++) {
            score += qkv[q + d]! * qkv[k + d]!;
            dWeight += dy[out + d]! * qkv[v + d]!;
          }
          const weight = Math.exp(score * scale - logSumExp[row]!);
          const kept = drop(weight, row * T + s);
          const dScore = weight * (drop(dWeight, row * T + s) - delta) * scale;
          for (let d = 0; d < D; d++) {
            sums[v + d]! += kept * dy[out + d]!;
            sums[q + d]! += dScore * qkv[k + d]!;
            sums[k + d]! += dScore * qkv[q + d]!;
          }
        }
      }
    }
  }
  dqkv.set(sums);
}
