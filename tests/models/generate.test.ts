import { describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { generate, sampleFrom } from "../../src/models/generate.ts";
import { randomIds, tinyModel } from "./tiny.ts";

const logits = Float32Array.from([0, 2, 1, 2, -1]);
const draws = Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000);
const counts = (options: Parameters<typeof sampleFrom>[1]) => {
  const found = [0, 0, 0, 0, 0];
  for (const draw of draws) found[sampleFrom(logits, options, draw)]!++;
  return found;
};

describe("sampling from logits", () => {
  test("temperature 0 takes the most probable token, of equals the first", () => {
    expect(counts({ temperature: 0 })).toEqual([0, 1000, 0, 0, 0]);
  });

  test("temperature 1 follows the softmax", () => {
    const weights = [...logits].map(Math.exp);
    const total = weights.reduce((a, b) => a + b);
    for (const [i, count] of counts({ temperature: 1 }).entries()) {
      expect(Math.abs(count - (1000 * weights[i]!) / total)).toBeLessThan(2);
    }
  });

  test("top-k keeps k tokens, and top-p the fewest that have the probability", () => {
    expect(counts({ temperature: 1, topK: 3 }).map((count) => count > 0)).toEqual([false, true, true, true, false]);
    expect(counts({ temperature: 1, topP: 0.5 }).map((count) => count > 0)).toEqual([false, true, false, true, false]);
    expect(counts({ temperature: 1, topP: 0.01 })).toEqual([0, 1000, 0, 0, 0]);
  });
});

test("the same seed continues a prompt with the same ids, also beyond the context window", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const run = (seed: number) => [
    ...generate(model, backend, randomIds(1, 3), { maxTokens: 20, temperature: 1, topK: 30, seed }),
  ];
  expect(run(1)).toHaveLength(20);
  expect(run(1)).toEqual(run(1));
  expect(run(1)).not.toEqual(run(2));
});

test("generation ends before the id it should stop at", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const options = { maxTokens: 10, temperature: 1, seed: 3 };
  const free = [...generate(model, backend, randomIds(1, 3), options)];
  const stopAt = free[4]!;
  const stopped = [...generate(model, backend, randomIds(1, 3), { ...options, stopAt })];
  expect(stopped).toEqual(free.slice(0, free.indexOf(stopAt)));
});
