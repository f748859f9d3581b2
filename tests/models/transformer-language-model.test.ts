import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { nextLogits } from "../../src/models/generate.ts";
import { type Window, wholeWindow } from "../../src/models/language-model.ts";
import type { Transformer } from "../../src/models/transformer.ts";
import { TransformerLanguageModel } from "../../src/models/transformer-language-model.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { withTape } from "../../src/tensor/tape.ts";
import { openDevices } from "../backend/devices.ts";
import { randomIds, tinyModel } from "./tiny.ts";

/** The slow twin: a pass for each window, every position of it projected, and the scored values cut out. */
function logProbsOneByOne(backend: Backend, model: Transformer, windows: readonly Window[]): Float32Array[] {
  return windows.map(({ ids, scored }) => {
    const T = ids.length - 1;
    if (T === 0) return new Float32Array(0);
    const losses = withTape(new BufferPool(backend), {}, (tape) =>
      model.losses(tape.input(ids.slice(0, -1), [1, T]), tape.input(ids.slice(1), [1, T])).read(),
    );
    return Float32Array.from(losses.subarray(T - scored), (loss) => -loss);
  });
}

/** Up to a few questions with up to a few answers each; some windows are the same, some continue others. */
const windowsOf = fc.array(
  fc.record({
    question: fc.integer({ min: 1, max: 17 }),
    answers: fc.array(fc.nat(8), { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 4 },
);

const variants: Record<string, Partial<ModelConfig>> = {
  baseline: {},
  "one layer, learned positions, untied": { numLayers: 1, positions: "learned", tied: false },
  "sincos, layer norm with biases": { positions: "sincos", norm: "layer", bias: true, ffn: "gelu", dropout: 0.1 },
};

describe.each(await openDevices())("on $name", ({ backend }) => {
  const model = tinyModel(backend, { contextWindow: 24 });
  const languageModel = new TransformerLanguageModel(backend, model);

  test.each(Object.entries(variants))("values equal those of single passes bit for bit: %s", (_, change) => {
    const model = tinyModel(backend, { contextWindow: 24, ...change }, 3);
    const languageModel = new TransformerLanguageModel(backend, model);
    fc.assert(
      fc.property(windowsOf, (questions) => {
        const windows = questions.flatMap(({ question, answers }, i) =>
          answers.map((length, j) => ({
            ids: Int32Array.of(...randomIds(i, question), ...randomIds(100 + (j % 3), length)),
            scored: Math.min(length, question + length - 1),
          })),
        );
        expect(languageModel.logProbs(windows)).toEqual(logProbsOneByOne(backend, model, windows));
      }),
      { numRuns: 20 },
    );
  });

  test("a window's values do not depend on the others, bit for bit", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 12 }), (lengths) => {
        const windows = lengths.map((length, i) => wholeWindow(randomIds(i, length)));
        const together = languageModel.logProbs(windows);
        for (const [i, window] of windows.entries()) {
          expect(together[i]).toHaveLength(window.ids.length - 1);
          expect(together[i]).toEqual(languageModel.logProbs([window])[0]);
        }
      }),
      { numRuns: 20 },
    );
  });

  test("values are the log softmax of the logits at each position", () => {
    const ids = randomIds(3, 8);
    const [values] = languageModel.logProbs([wholeWindow(ids)]);
    for (let t = 0; t < 7; t++) {
      const logits = nextLogits(model, new BufferPool(backend), [...ids.subarray(0, t + 1)]);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      expect(values![t]).toBeCloseTo(logits[ids[t + 1]!]! - Math.log(total), 5);
    }
  });

  test("many calls with changing shapes keep the memory of one", () => {
    const lengths = [25, 9, 17, 3];
    const call = (count: number) =>
      languageModel.logProbs(lengths.slice(0, count).map((length, i) => wholeWindow(randomIds(i, length))));
    call(4);
    const { allocatedBytes } = backend.memory();
    for (const count of [1, 3, 4, 2, 4]) call(count);
    expect(backend.memory().allocatedBytes).toBe(allocatedBytes);
  });

  test("windows that are empty, too long, or shorter than what they score are refused", () => {
    expect(() => languageModel.logProbs([{ ids: new Int32Array(0), scored: 0 }])).toThrow("A window of 0 ids");
    expect(() => languageModel.logProbs([wholeWindow(new Int32Array(26))])).toThrow("the model takes 1 to 25");
    expect(() => languageModel.logProbs([{ ids: new Int32Array(3), scored: 3 }])).toThrow(
      "cannot have 3 that are scored",
    );
  });

  test("an id outside the vocabulary is refused wherever it stands", () => {
    for (const ids of [
      [1, -1],
      [-1, 1],
      [1, 37],
      [37, 1],
    ]) {
      expect(() => languageModel.logProbs([wholeWindow(Int32Array.from(ids))]), ids.join()).toThrow(RangeError);
    }
  });
});
