// How the weights of a whole model start: shared between models of one seed, and as spread as each scheme promises.

import { describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { tinyModel } from "./tiny.ts";

const backend = createReferenceBackend();

function initialWeights(change: Partial<ModelConfig>, seed = 1): Map<string, { shape: string; values: number[] }> {
  return new Map(
    tinyModel(backend, change, seed)
      .parameters()
      .map(([name, { shape, value }]) => [name, { shape: shape.join("x"), values: [...backend.read(value)] }]),
  );
}

test("matrices of equal name and shape start equal in every row of the ablation, so pairs by seed share their start", () => {
  const baseline = initialWeights({ dropout: 0.1 });
  const rows: Record<string, Partial<ModelConfig>> = {
    sincos: { dropout: 0.1, positions: "sincos" },
    learned: { dropout: 0.1, positions: "learned" },
    "simple-ffn": { dropout: 0.1, ffn: "gelu", ffnDim: 36 },
    "dropout-free": { dropout: 0 },
  };
  // Of the simple feed-forward, both matrices of two blocks have other shapes.
  const own: Record<string, number> = { "simple-ffn": 4 };
  for (const [row, change] of Object.entries(rows)) {
    const weights = initialWeights(change);
    const shared = [...baseline].filter(([name, { shape }]) => weights.get(name)?.shape === shape);
    expect(shared.length, row).toBe(baseline.size - (own[row] ?? 0));
    for (const [name, { values }] of shared) expect(weights.get(name)!.values, `${row} ${name}`).toEqual(values);
  }
  expect(initialWeights({}, 2).get("embedder.tokens.weight")).not.toEqual(baseline.get("embedder.tokens.weight"));
});

describe("the standard deviation of each matrix", () => {
  const [C, F, L] = [64, 96, 3];
  const sizes = {
    hiddenDim: C,
    ffnDim: F,
    numLayers: L,
    vocabSize: 400,
    contextWindow: 64,
    positions: "learned",
  } as const;
  const flat = (fanIn: number) => 1 / Math.sqrt(3 * fanIn);
  const deep = (fanIn: number) => flat(fanIn) / Math.sqrt(2 * L);
  const expected: Record<ModelConfig["init"], (tied: boolean) => Record<string, number>> = {
    default: () => ({
      "tokens.weight": flat(C),
      positions: flat(C),
      "attention.qkv.weight": flat(C),
      "attention.output.weight": deep(C),
      "feedForward.input.weight": flat(C),
      "feedForward.output.weight": deep(F),
      "head.weight": flat(C),
    }),
    stlm: (tied) => ({
      "tokens.weight": tied ? flat(C) : 1,
      positions: 1,
      "attention.qkv.weight": flat(C),
      "attention.output.weight": flat(C),
      "feedForward.input.weight": flat(C),
      "feedForward.output.weight": flat(F),
      "head.weight": flat(C),
    }),
  };
  test.each([
    ["default", true],
    ["default", false],
    ["stlm", true],
    ["stlm", false],
  ] as const)("with the scheme %s, tied %s, is the promised one", (init, tied) => {
    const matrices = [...initialWeights({ ...sizes, init, tied })].filter(([, { shape }]) => shape.includes("x"));
    expect(matrices).toHaveLength(2 + 4 * L + (tied ? 0 : 1));
    for (const [name, { values }] of matrices) {
      const [, promised] = Object.entries(expected[init](tied)).find(
        ([end]) => name.endsWith(`.${end}`) || name === end,
      )!;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      expect(Math.abs(deviation / promised - 1), name).toBeLessThan(0.05);
      // A uniform distribution ends at sqrt(3) deviations; a normal one goes beyond.
      const isUniform = init === "stlm" && promised !== 1;
      const peak = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / promised;
      expect(peak < Math.sqrt(3) * 1.0001, name).toBe(isUniform);
    }
  });
});
