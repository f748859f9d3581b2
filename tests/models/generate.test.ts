import { describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { continuedLogits, generate, nextLogits, sampleFrom } from "../../src/models/generate.ts";
import { GenerationCache } from "../../src/models/generation-cache.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { openDevices } from "../backend/devices.ts";
import { randomIds, tinyModel } from "./tiny.ts";

const devices = await openDevices();

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

test.each([
  [{ topK: 0 }, "topK is 0 and must be a whole number above 0"],
  [{ topP: 0 }, "topP is 0 and must be above 0 and at most 1"],
  [{ topP: Number.NaN }, "topP is NaN"],
  [{ temperature: -1 }, "temperature is -1 and must be a number, 0 or above"],
  [{ maxTokens: Number.NaN }, "maxTokens is NaN"],
  [{ seed: 2 ** 32 }, "seed is 4294967296"],
])("options out of range are refused before the first id: %o", (change, message) => {
  const backend = createReferenceBackend();
  const options = { maxTokens: 2, temperature: 1, seed: 1, ...change };
  expect(() => [...generate(tinyModel(backend), backend, randomIds(1, 3), options)]).toThrow(message);
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

describe.each(devices)("on $name", ({ backend }) => {
  test.each([
    {},
    { positions: "learned", ffn: "gelu", norm: "layer", bias: true, tied: false },
    { positions: "sincos", numHeads: 1, numKvHeads: 1, hiddenDim: 21, contextWindow: 13, vocabSize: 257 },
  ] as Partial<ModelConfig>[])("the cached path has the logits of the uncached one, bit for bit: %o", (change) => {
    const model = tinyModel(backend, { ...change, dropout: 0.1 });
    const pool = new BufferPool(backend, { flexible: true });
    const cache = new GenerationCache(backend, model.config);
    const ids = [...randomIds(1, model.config.contextWindow)];
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, 5],
      [5, ids.length - 1],
      [ids.length - 1, ids.length],
    ] as const) {
      const cached = continuedLogits(model, pool, ids.slice(from, to), cache);
      expect([...cached]).toEqual([...nextLogits(model, pool, ids.slice(0, to))]);
    }
    expect(cache.length).toBe(ids.length);
  });

  test("generated ids are those of a pass over the whole window for each, within the context window and beyond", () => {
    const model = tinyModel(backend, { contextWindow: 8 });
    const options = { maxTokens: 12, temperature: 0.7, topK: 20, topP: 0.9, seed: 5 };
    const prompt = randomIds(1, 3);
    const [pool, random, ids] = [
      new BufferPool(backend, { flexible: true }),
      new CounterRandom(5, PURPOSE.sample),
      [...prompt],
    ];
    for (let n = 0; n < options.maxTokens; n++) {
      ids.push(sampleFrom(nextLogits(model, pool, ids.slice(-8)), options, random.uniform(n)));
    }
    expect([...generate(model, backend, prompt, options)]).toEqual(ids.slice(prompt.length));
  });

  test("generation leaves no memory behind", () => {
    const model = tinyModel(backend);
    const before = backend.memory().allocatedBytes;
    for (const _ of generate(model, backend, randomIds(1, 3), { maxTokens: 4, temperature: 1, seed: 1 })) break;
    expect(backend.memory().allocatedBytes).toBe(before);
  });
});
