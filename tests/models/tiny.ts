// A model small enough for the reference device, and random token sequences.

import type { Backend } from "../../src/backend/backend.ts";
import { type ModelConfig, modelConfigSchema } from "../../src/models/config.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { CounterRandom } from "../../src/util/philox.ts";

export function tinyConfig(change: Partial<ModelConfig> = {}): ModelConfig {
  const { vocabSize = 37, ...rest } = change;
  const sizes = { contextWindow: 16, hiddenDim: 16, numLayers: 2, numHeads: 4, numKvHeads: 2, ffnDim: 24, dropout: 0 };
  return { ...modelConfigSchema.parse({ ...sizes, ...rest }), vocabSize };
}

export function tinyModel(backend: Backend, change: Partial<ModelConfig> = {}, seed = 1): Transformer {
  const model = new Transformer(tinyConfig(change));
  model.allocate(backend, { seed, gradients: true });
  return model;
}

export function randomIds(seed: number, length: number, vocabSize = 37): Int32Array {
  const random = new CounterRandom(seed, 77);
  return Int32Array.from({ length }, (_, i) => random.integer(i, vocabSize));
}
