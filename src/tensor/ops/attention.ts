// Causal scaled dot-product attention with grouped heads   (Vaswani et al. 2017, section 3.2; Ainslie et al. 2023).

import type { KeyValueCache } from "../../backend/kernels.ts";
import { ShapeError } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface AttentionOptions {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Probability with which a softmax weight is dropped in training. */
  readonly dropout: number;
  /** In generation: holds earlier positions, and gets those of this call. */
  readonly cache?: KeyValueCache | undefined;
}

/** qkv (B, T, (H + 2 Hkv) D), packed as queries, keys, values, gives (B, T, H D). */
export function attention(qkv: Tensor, options: AttentionOptions): Tensor {
  const { numHeads: H, numKvHeads: Hkv, headDim: D } = options;
  const { tape } = qkv;
  const [B, T, width] = qkv.shape as [number, number, number];
  if (width !== (H + 2 * Hkv) * D) {
    throw new ShapeError("attention", ["qkv", qkv.shape], ["heads (H + 2 Hkv, D)", [H + 2 * Hkv, D]], "the last axis");
  }
  const y = tape.output([B, T, H * D]);
  const logSumExp = tape.acquire(B * H * T);
  const sizes = { B, T, H, Hkv, D, scale: 1 / Math.sqrt(D), dropout: tape.nextDropout(options.dropout) };
  tape.kernels.attention({ y: y.buffer, logSumExp, qkv: qkv.buffer, ...sizes, cache: options.cache });

  tape.record(
    y,
    (dy) => {
      tape.writeGradient(qkv, (dqkv) => {
        tape.kernels.attentionGradient({ dqkv, dy, y: y.buffer, logSumExp, qkv: qkv.buffer, ...sizes });
      });
    },
    { saved: [logSumExp] },
  );
  return y;
}
