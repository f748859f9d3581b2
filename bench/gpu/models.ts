// The models of the GPU benchmark: the presets without dropout, as the PyTorch peer trains them, and a tiny one to try the program with.

import type { ModelConfig } from "../../src/models/config.ts";
import { presets } from "../../src/models/presets.ts";

const withoutDropout = (config: ModelConfig): ModelConfig => ({ ...config, dropout: 0 });

export const BENCH_MODELS = {
  "10m": withoutDropout(presets["stlm-10m"].config),
  "50m": withoutDropout(presets["stlm-50m"].config),
  "100m": withoutDropout(presets["stlm-100m"].config),
  tiny: {
    ...withoutDropout(presets["nano-64"].config),
    ...{ vocabSize: 64, contextWindow: 16, hiddenDim: 32, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 48 },
  },
} as const satisfies Record<string, ModelConfig>;

export type BenchModel = keyof typeof BENCH_MODELS;
