// Normalisation over the hidden axis, with the paper's constants (eps 1e-6 for RMSNorm, 1e-5 for LayerNorm).

import { layerNorm, rmsNorm } from "../tensor/ops/index.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import { ones, zeros } from "./init.ts";
import { Module } from "./module.ts";

export class RmsNorm extends Module {
  readonly weight: Parameter; // (C)

  constructor(hiddenDim: number) {
    super();
    this.weight = new Parameter([hiddenDim], ones);
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, 1e-6);
  }
}

export class LayerNorm extends Module {
  readonly weight: Parameter; // (C)
  readonly bias: Parameter | undefined; // (C)

  constructor(hiddenDim: number, bias: boolean) {
    super();
    this.weight = new Parameter([hiddenDim], ones);
    this.bias = bias ? new Parameter([hiddenDim], zeros) : undefined;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, 1e-5);
  }
}

export type Norm = RmsNorm | LayerNorm;

export function createNorm(kind: "rms" | "layer", hiddenDim: number, bias: boolean): Norm {
  return kind === "rms" ? new RmsNorm(hiddenDim) : new LayerNorm(hiddenDim, bias);
}
