import fc from "fast-check";
import { expect, test } from "vitest";
import { countIds, uniform, unigram } from "../../src/eval/controls.ts";
import { wholeWindow } from "../../src/models/language-model.ts";

const streamOf = (ids: readonly number[]) => ({
  tokens: ids.length,
  readWindow: (start: number, length: number) => Int32Array.from(ids.slice(start, start + length)),
});

test("uniform gives every id the same probability", () => {
  const [values] = uniform(50).logProbs([wholeWindow(Int32Array.of(3, 0, 49))]);
  expect([...values!]).toEqual([-Math.log(50), -Math.log(50)].map(Math.fround));
});

test("controls answer for the last ids of a window alone, as many as are scored", () => {
  const model = unigram([5, 1, 0]);
  const ids = Int32Array.of(2, 0, 1, 2);
  expect(
    model.logProbs([
      { ids, scored: 2 },
      { ids, scored: 0 },
    ]),
  ).toEqual([model.logProbs([wholeWindow(ids)])[0]!.slice(-2), new Float32Array(0)]);
});

test("unigram gives an id its count plus one over all counts plus one each", async () => {
  const counts = await countIds(streamOf([0, 1, 1, 3, 3, 3]), 4);
  expect([...counts]).toEqual([1, 2, 0, 3]);
  const [values] = unigram(counts).logProbs([wholeWindow(Int32Array.of(0, 0, 1, 2, 3))]);
  expect([...values!]).toEqual([2, 3, 1, 4].map((count) => Math.fround(Math.log(count / 10))));
});

test("unigram's probabilities sum to one, whatever the counts", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1e9), { minLength: 1, maxLength: 100 }), (counts) => {
      const [values] = unigram(counts).logProbs([wholeWindow(Int32Array.from([0, ...counts.keys()]))]);
      expect(values!.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 5);
    }),
  );
});

test("counting refuses an id outside the vocabulary and stops on a signal", async () => {
  await expect(countIds(streamOf([4]), 4)).rejects.toThrow(RangeError);
  await expect(countIds(streamOf([1]), 4, AbortSignal.abort(new Error("stopped by hand")))).rejects.toThrow("by hand");
});
