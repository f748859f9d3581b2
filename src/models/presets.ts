// Models by name, with their exact numbers of parameters. `stlm-*` follow Hillier et al. 2024: table 1, and table 2 as its
// counts can be explained (the 47M rows have a feed-forward width of 1,320).

import { type ModelConfig, modelConfigSchema } from "./config.ts";

export const GPT2_VOCABULARY = 50_257;

function model(
  config: Partial<ModelConfig> & Pick<ModelConfig, "vocabSize" | "contextWindow" | "hiddenDim" | "numLayers">,
): ModelConfig {
  const { vocabSize, ...rest } = config;
  return { ...modelConfigSchema.parse(rest), vocabSize };
}

/** Table 1. */
const stlm50m = model({
  vocabSize: GPT2_VOCABULARY,
  contextWindow: 512,
  hiddenDim: 512,
  numLayers: 8,
  numHeads: 16,
  numKvHeads: 4,
  ffnDim: 1536,
});
const stlm47m: ModelConfig = { ...stlm50m, ffnDim: 1320 };

export const presets = {
  "stlm-50m": { config: stlm50m, parameters: 49_857_536 },
  "stlm-50m-simple-ffn": { config: { ...stlm50m, ffn: "gelu", ffnDim: 2304 }, parameters: 49_857_536 },
  "stlm-50m-sincos": { config: { ...stlm50m, positions: "sincos" }, parameters: 49_857_536 },
  "stlm-50m-learned": { config: { ...stlm50m, positions: "learned" }, parameters: 50_119_680 },
  "stlm-50m-dropout-free": { config: { ...stlm50m, dropout: 0 }, parameters: 49_857_536 },
  "stlm-47m": { config: stlm47m, parameters: 47_203_328 },
  "stlm-47m-sincos": { config: { ...stlm47m, positions: "sincos" }, parameters: 47_203_328 },
  "stlm-47m-learned": { config: { ...stlm47m, positions: "learned" }, parameters: 47_465_472 },
  "stlm-47m-dropout-free": { config: { ...stlm47m, dropout: 0 }, parameters: 47_203_328 },
  /** With a vocabulary of its own: GPT-2's alone would be 12.9 million. */
  "stlm-10m": {
    config: {
      ...stlm50m,
      vocabSize: 8192,
      hiddenDim: 256,
      numLayers: 10,
      numHeads: 8,
      numKvHeads: 2,
      ffnDim: 768,
    },
    parameters: 9_639_168,
  },
  /** The baseline's proportions (feed-forward three times as wide, heads of 32, four to a key/value head) at width 768. */
  "stlm-100m": {
    config: { ...stlm50m, hiddenDim: 768, numLayers: 9, numHeads: 24, numKvHeads: 6, ffnDim: 2304 },
    parameters: 99_658_752,
  },
  /** The default profile's: what ends lowest for a minute of one CPU core (docs/experiments.md, 1). */
  "nano-64": {
    config: {
      ...stlm50m,
      vocabSize: 4096,
      contextWindow: 128,
      hiddenDim: 64,
      numLayers: 4,
      numHeads: 4,
      numKvHeads: 2,
      ffnDim: 176,
    },
    parameters: 447_040,
  },
  /** The size that CPU speeds are quoted for. */
  nano: {
    config: {
      ...stlm50m,
      vocabSize: 4096,
      contextWindow: 128,
      hiddenDim: 128,
      numLayers: 4,
      numHeads: 4,
      numKvHeads: 2,
      ffnDim: 352,
    },
    parameters: 1_262_720,
  },
} as const satisfies Record<string, { readonly config: ModelConfig; readonly parameters: number }>;

export type PresetName = keyof typeof presets;
