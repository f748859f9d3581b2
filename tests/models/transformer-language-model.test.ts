import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextLogits } from "../../src/models/generate.ts";
import { TransformerLanguageModel } from "../../src/models/transformer-language-model.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { openDevices } from "../backend/devices.ts";
import { randomIds, tinyModel } from "./tiny.ts";

describe.each(await openDevices())("on $name", ({ backend }) => {
  const model = tinyModel(backend, { contextWindow: 24 });
  const languageModel = new TransformerLanguageModel(backend, model);

  test("a sequence's values do not depend on the others, bit for bit", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 12 }), (lengths) => {
        const sequences = lengths.map((length, i) => randomIds(i, length));
        const together = languageModel.logProbs(sequences);
        for (const [i, sequence] of sequences.entries()) {
          expect(together[i]).toHaveLength(sequence.length - 1);
          expect(together[i]).toEqual(languageModel.logProbs([sequence])[0]);
        }
      }),
      { numRuns: 20 },
    );
  });

  test("values are the log softmax of the logits at each position", () => {
    const ids = randomIds(3, 8);
    const [values] = languageModel.logProbs([ids]);
    for (let t = 0; t < 7; t++) {
      const logits = nextLogits(model, new BufferPool(backend), [...ids.subarray(0, t + 1)]);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      expect(values![t]).toBeCloseTo(logits[ids[t + 1]!]! - Math.log(total), 5);
    }
  });

  test("many calls with changing shapes keep the memory of one", () => {
    const lengths = [25, 9, 17, 3];
    const call = () => languageModel.logProbs(lengths.map((length, i) => randomIds(i, length)));
    call();
    const { allocatedBytes } = backend.memory();
    for (let i = 0; i < 5; i++) call();
    expect(backend.memory().allocatedBytes).toBe(allocatedBytes);
  });

  test("sequences that are empty or too long are refused", () => {
    expect(() => languageModel.logProbs([new Int32Array(0)])).toThrow("A sequence of 0 ids");
    expect(() => languageModel.logProbs([new Int32Array(26)])).toThrow("the model takes 1 to 25");
  });
});
