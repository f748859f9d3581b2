// Token embedding, with a table of positions added where the model has one.

import { embedding } from "../tensor/ops/index.ts";
import type { Initialiser } from "../tensor/random.ts";
import { Parameter, type Tensor } from "../tensor/tensor.ts";
import { Module } from "./module.ts";

export class Embedding extends Module {
  readonly weight: Parameter; // (V, C)
  /** Learned, or computed. */
  readonly positions: Parameter | undefined; // (contextWindow, C)

  constructor(vocabSize: number, hiddenDim: number, init: Initialiser, positions: Parameter | undefined) {
    super();
    this.weight = new Parameter([vocabSize, hiddenDim], init);
    this.positions = positions;
  }

  /** ids (B, T) -> (B, T, C); the first id of each sequence stands at firstPosition. */
  forward(ids: Tensor, firstPosition = 0): Tensor {
    return embedding(ids, this.weight, this.positions, firstPosition);
  }
}
