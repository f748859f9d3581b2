// Causal self-attention with grouped key/value heads   (Vaswani et al. 2017, section 3.2; Ainslie et al. 2023).

import type { KeyValueCache } from "../backend/kernels.ts";
import { attention, dropout, rope, selectRows } from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { InitScheme } from "./init.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

const ROPE_BASE = 10_000;

export interface AttentionConfig {
  readonly hiddenDim: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Turn queries and keys by their position. */
  readonly rotary: boolean;
  readonly bias: boolean;
  /** Of softmax weights and of the output. */
  readonly dropout: number;
}

/**
 * Where the rows of activations stand that are kept once though several sequences need them: those of a common
 * beginning are equal bit for bit, because attention is causal and all else works row by row.
 */
export interface RowLayout {
  /** (B, T) i32: the row at each position. */
  readonly rowAt: Tensor;
  /** (N) i32: of each row of the result, a position b*T + t where it stands. */
  readonly positions: Tensor;
}

export class CausalSelfAttention extends Module {
  /** Queries, keys and values in one product. */
  readonly qkv: Linear;
  readonly output: Linear;
  private readonly headDim: number;

  constructor(
    readonly config: AttentionConfig,
    scheme: InitScheme,
    numLayers: number,
  ) {
    super();
    const { hiddenDim: C, numHeads: H, numKvHeads: Hkv, bias } = config;
    this.headDim = C / H;
    this.qkv = new Linear(C, (H + 2 * Hkv) * this.headDim, { bias, init: scheme.linear(C) });
    this.output = new Linear(C, C, { bias, init: scheme.residual(C, numLayers) });
  }

  /**
   * residual + attention(x), both (B, T, C); with a layout, x has its rows and residual those of the result. With a cache, x follows
   * the positions in it.
   */
  forward(x: Tensor, residual: Tensor, layout?: RowLayout, cache?: KeyValueCache): Tensor {
    const { numHeads, numKvHeads, rotary, dropout: probability } = this.config;
    const { headDim } = this;
    let qkv = this.qkv.forward(x); // (B, T, (H + 2 Hkv) D)
    if (layout) qkv = selectRows(qkv, layout.rowAt);
    const firstPosition = cache?.firstPosition;
    if (rotary) qkv = rope(qkv, { heads: numHeads + numKvHeads, headDim, base: ROPE_BASE, firstPosition });
    let y = attention(qkv, { numHeads, numKvHeads, headDim, dropout: probability, cache }); // (B, T, C)
    if (layout) y = selectRows(y, layout.positions);
    if (probability === 0) return this.output.forward(y, residual);
    return dropout(this.output.forward(y), probability, residual);
  }
}
