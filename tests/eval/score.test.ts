import fc from "fast-check";
import { expect, test } from "vitest";
import { benchmarks } from "../../src/eval/benchmarks/index.ts";
import { uniform } from "../../src/eval/controls.ts";
import { makeItems } from "../../src/eval/item.ts";
import type { ItemRow } from "../../src/eval/items.ts";
import { judge, scoreItems } from "../../src/eval/score.ts";
import { type Window, wholeWindow } from "../../src/models/language-model.ts";
import { bundledRows, bytesEncoder, constantModel, gpt2Encoder, hashModel, itemOf } from "./helpers.ts";

const request = { tokenizer: bytesEncoder, protocol: "harness" } as const;
const VOCABULARY = 257;

function judged(logProbs: number[], texts: string[], gold: number): ItemRow {
  const item = itemOf(
    texts.map((text) => ({ context: "", continuation: ` ${text}` })),
    { gold },
  );
  return judge(
    item,
    0,
    texts.map(() => ({ tokens: 1, truncated: false })),
    logProbs,
  );
}

const mean = (rows: readonly ItemRow[], value: (row: ItemRow) => number) =>
  rows.reduce((sum, row) => sum + value(row), 0) / rows.length;

test("the highest log-probability is the prediction, per code point and per byte where normalised", () => {
  const row = judged([-4, -5, -6], ["ab", "éééé", "xxxxxxx"], 1);
  expect(row).toMatchObject({ prediction: 0, correct: false, tie: false, credit: 0 });
  expect(row).toMatchObject({ prediction_norm: 2, correct_norm: false }); // -2, -1.25, -0.86
  expect(row).toMatchObject({ prediction_bytes: 1, correct_bytes: true }); // -2, -0.625, -0.86
  expect(row).toMatchObject({ characters: [2, 4, 7], bytes: [2, 8, 7] });
});

test("an emoji counts as one character, and the delimiter as none", () => {
  expect(judged([-1, -1], ["😀", " a"], 0)).toMatchObject({ characters: [1, 2], bytes: [4, 2] });
});

test("a tie goes to the lower index, is marked, and is worth its share", () => {
  expect(judged([-2, -1, -1], ["a", "b", "c"], 2)).toMatchObject({
    prediction: 1,
    correct: false,
    tie: true,
    credit: 0.5,
  });
  expect(judged([-1, -1, -2], ["a", "b", "c"], 0)).toMatchObject({
    prediction: 0,
    correct: true,
    tie: true,
    credit: 0.5,
  });
  expect(judged([-1, -1, -2], ["a", "b", "c"], 2)).toMatchObject({ correct: false, tie: true, credit: 0 });
});

test("an item whose scores are not finite is not judged", () => {
  const row = judged([Number.NaN, -1], ["a", "b"], 0);
  expect(row).toMatchObject({ prediction: null, correct: null, correct_norm: null, tie: null, credit: null });
  expect(row.log_probs).toEqual([null, -1]);
  expect(judged([-1, Number.NEGATIVE_INFINITY], ["a", "b"], 0)).toMatchObject({ correct: null, log_probs: [-1, null] });
});

test("a choice's score is the fp64 sum of the log-probabilities of its continuation", async () => {
  const model = hashModel(VOCABULARY, 32);
  const item = itemOf([
    { context: "He is", continuation: " here" },
    { context: "", continuation: " It" },
  ]);
  const [row] = await scoreItems(model, [item], request);
  const tail = (text: number[], scored: number) =>
    [...model.logProbs([wholeWindow(Int32Array.from(text))])[0]!].slice(-scored).reduce((sum, value) => sum + value, 0);
  expect(row!.log_probs).toEqual([tail([...Buffer.from("He is here")], 5), tail([256, ...Buffer.from(" It")], 3)]);
  expect(row!.tokens).toEqual([5, 3]);
});

test("BLiMP is right when the good sentence scores higher: a model that has read only good sentences scores 1", async () => {
  const rows = bundledRows("blimp-6700").slice(0, 40);
  const good = new Set(rows.map((row) => ` ${row["sentence_good"]}`));
  const knowing = {
    ...constantModel(VOCABULARY),
    logProbs: (windows: readonly Window[]) =>
      windows.map(({ ids, scored }) => {
        const isGood = good.has(Buffer.from(ids.slice(1)).toString());
        return new Float32Array(scored).fill(isGood ? -0.1 : -2);
      }),
  };
  const items = makeItems("blimp", rows.map(benchmarks.blimp.question), "harness");
  expect(mean(await scoreItems(knowing, items, request), (row) => Number(row.correct))).toBe(1);
});

test.each([
  ["blimp", "blimp-6700", 1 / 2],
  ["hellaswag", "hellaswag-200", 1 / 4],
  ["winogrande", "winogrande-200", 1 / 2],
  ["mmlu", "mmlu-228", 1 / 4],
] as const)(
  "a model to which all is the same scores exactly chance on %s with ties split",
  async (name, file, chance) => {
    const items = makeItems(name, bundledRows(file).map(benchmarks[name].question), "harness");
    const rows = await scoreItems(constantModel(VOCABULARY), items, request);
    expect(rows.every(({ tie }) => tie)).toBe(true);
    expect(mean(rows, ({ credit }) => credit!)).toBe(chance);
  },
);

test.each([
  ["winogrande", "winogrande-200", 1 / 2],
  ["mmlu", "mmlu-228", 1 / 4],
] as const)(
  "the uniform model scores exactly chance on %s, whose answers have the same tokens",
  async (name, file, chance) => {
    const items = makeItems(name, bundledRows(file).map(benchmarks[name].question), "harness");
    for (const tokenizer of [bytesEncoder, gpt2Encoder]) {
      const rows = await scoreItems(uniform(tokenizer.endOfText + 1), items, { tokenizer, protocol: "harness" });
      expect(mean(rows, ({ credit }) => credit!)).toBe(chance);
    }
  },
);

test("the uniform model prefers the choice with the fewest tokens", async () => {
  const items = makeItems("hellaswag", bundledRows("hellaswag-200").map(benchmarks.hellaswag.question), "harness");
  for (const { tokens, prediction } of await scoreItems(uniform(VOCABULARY), items, request)) {
    expect(prediction).toBe(tokens.indexOf(Math.min(...tokens)));
  }
});

test("scores do not depend on the company of an item, and progress reaches the end", async () => {
  const pool = makeItems("arc-easy", bundledRows("arc-easy-200").map(benchmarks["arc-easy"].question), "harness");
  const model = hashModel(VOCABULARY, 700); // windows of several hundred bytes: a dozen fill a batch
  const alone = await Promise.all(pool.slice(0, 12).map((item) => scoreItems(model, [item], request)));
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray([...alone.keys()], { minLength: 1 }), async (order) => {
      const steps: number[] = [];
      const onProgress = (done: number, total: number) => steps.push(done / total);
      const rows = await scoreItems(
        model,
        order.map((i) => pool[i]!),
        request,
        { onProgress },
      );
      expect(rows).toEqual(order.map((i, place) => ({ ...alone[i]![0]!, item: place })));
      expect(steps.at(-1)).toBe(1);
    }),
    { numRuns: 20 },
  );
  expect(new Set(model.batches).size).toBeGreaterThan(3);
});

test("an aborted signal stops scoring between batches", async () => {
  const controller = new AbortController();
  const items = makeItems("blimp", bundledRows("blimp-6700").map(benchmarks.blimp.question), "harness");
  const scoring = scoreItems(hashModel(VOCABULARY, 512), items, request, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("stopped by hand")),
  });
  await expect(scoring).rejects.toThrow("stopped by hand");
});
