// The feed-forward half of a block: gated SwiGLU (Shazeer 2020), or plain GELU. No dropout, as in the paper's code.

import { gelu, swiglu } from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { InitScheme } from "./init.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

export interface FeedForwardConfig {
  readonly kind: "swiglu" | "gelu";
  readonly hiddenDim: number;
  readonly ffnDim: number;
  readonly bias: boolean;
}

export class FeedForward extends Module {
  /** SwiGLU: gate and value in one product, (2 F, C). */
  readonly input: Linear;
  readonly output: Linear;

  constructor(
    readonly config: FeedForwardConfig,
    scheme: InitScheme,
    numLayers: number,
  ) {
    super();
    const { kind, hiddenDim: C, ffnDim: F, bias } = config;
    this.input = new Linear(C, kind === "swiglu" ? 2 * F : F, { bias, init: scheme.linear(C) });
    this.output = new Linear(F, C, { bias, init: scheme.residual(F, numLayers) });
  }

  /** residual + feedForward(x), both (B, T, C). */
  forward(x: Tensor, residual: Tensor): Tensor {
    const h = this.input.forward(x);
    return this.output.forward(this.config.kind === "swiglu" ? swiglu(h) : gelu(h), residual);
  }
}
