// The training steps that are measured side by side with PyTorch: sizes of the peer's presets, steps per measurement.

import type { Precision } from "../src/backend/backend.ts";

export const STEP_PRESETS = {
  nano: {
    ...{ numLayers: 4, hiddenDim: 128, numHeads: 4, numKvHeads: 2, ffnDim: 352, vocabSize: 4096, contextWindow: 128 },
    ...{ sequences: 8, warmUp: 5, steps: 20, peer: ["--preset", "nano"] },
  },
  "10m": {
    ...{ numLayers: 6, hiddenDim: 256, numHeads: 8, numKvHeads: 2, ffnDim: 768, vocabSize: 8192, contextWindow: 512 },
    ...{ sequences: 4, warmUp: 2, steps: 6, peer: ["--preset", "10m", "--vocab", "8192"] },
  },
  "50m": {
    ...{
      numLayers: 8,
      hiddenDim: 512,
      numHeads: 16,
      numKvHeads: 4,
      ffnDim: 1536,
      vocabSize: 50_257,
      contextWindow: 512,
    },
    ...{ sequences: 2, warmUp: 1, steps: 3, peer: ["--preset", "50m", "--batch", "2"] },
  },
} as const;
export type StepPreset = keyof typeof STEP_PRESETS;

export interface StepCase {
  readonly preset: StepPreset;
  readonly precision: Precision;
  readonly threads: number;
}

export const STEP_CASES: readonly StepCase[] = [
  { preset: "nano", precision: "f32", threads: 1 },
  { preset: "nano", precision: "f32", threads: 2 },
  { preset: "nano", precision: "bf16", threads: 1 },
  { preset: "nano", precision: "bf16", threads: 2 },
  { preset: "10m", precision: "f32", threads: 2 },
  { preset: "10m", precision: "bf16", threads: 2 },
  { preset: "50m", precision: "f32", threads: 2 },
  { preset: "50m", precision: "bf16", threads: 2 },
];

/** `10m, bf16, 2 threads` */
export function nameOf({ preset, precision, threads }: StepCase): string {
  return `${preset}, ${precision}, ${threads} thread${threads > 1 ? "s" : ""}`;
}

/** Additions and multiplications of products in one step, a pair of them counted as two; causal attention by half. */
export function operationsOf(preset: StepPreset): number {
  const {
    numLayers,
    hiddenDim: C,
    numHeads,
    numKvHeads,
    ffnDim,
    vocabSize,
    contextWindow,
    sequences,
  } = STEP_PRESETS[preset];
  const D = C / numHeads;
  const weights = numLayers * (C * (numHeads + 2 * numKvHeads) * D + C * C + 3 * C * ffnDim) + C * vocabSize;
  const tokens = sequences * contextWindow;
  return 6 * weights * tokens + 7 * numLayers * tokens * contextWindow * C;
}
