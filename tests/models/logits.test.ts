import { expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { wholeWindow } from "../../src/models/language-model.ts";
import { logitsOf } from "../../src/models/logits.ts";
import { TransformerLanguageModel } from "../../src/models/transformer-language-model.ts";
import { randomIds, tinyModel } from "./tiny.ts";

test("each row of logits, normalised, gives the log-probability of the id that follows", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const ids = randomIds(1, 9);
  const logits = logitsOf(model, backend, ids);
  const V = model.config.vocabSize;
  expect(logits.length).toBe(ids.length * V);

  const [logProbs] = new TransformerLanguageModel(backend, model).logProbs([wholeWindow(ids)]);
  for (const [t, logProb] of logProbs!.entries()) {
    const row = logits.subarray(t * V, (t + 1) * V);
    const logSum = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    expect(row[ids[t + 1]!]! - logSum).toBeCloseTo(logProb, 5);
  }
});

test("ids that do not fit the context window are refused, and memory is given back", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const before = backend.memory().allocatedBytes;
  expect(() => logitsOf(model, backend, randomIds(1, 17))).toThrow("does not fit a context window of 16");
  logitsOf(model, backend, randomIds(1, 16));
  expect(backend.memory().allocatedBytes).toBe(before);
});
