// A linear layer with or without bias.

import { linear } from "../tensor/ops/index.ts";
import type { Initialiser } from "../tensor/random.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import { zeros } from "./init.ts";
import { Module } from "./module.ts";

/** y = x W^T [+ b] [+ residual]. */
export class Linear extends Module {
  readonly weight: Parameter; // (outputs, inputs)
  readonly bias: Parameter | undefined; // (outputs)

  constructor(inputs: number, outputs: number, options: { readonly bias: boolean; readonly init: Initialiser }) {
    super();
    this.weight = new Parameter([outputs, inputs], options.init);
    this.bias = options.bias ? new Parameter([outputs], zeros) : undefined;
  }

  /** (..., inputs) -> (..., outputs); `residual`, of the result's shape, is added. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    return linear(x, this.weight, { bias: this.bias, residual });
  }
}
