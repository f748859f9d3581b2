// The shard stage with near duplicates left out and with an order, on a few documents.

import { writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { difficulty, entropy, Frequencies } from "../../src/data/difficulty.ts";
import { openShards } from "../../src/data/shards.ts";
import { type SplitName, splitNames } from "../../src/data/split.ts";
import { bytes } from "../../src/data/tokenizers/bytes.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import { digestFolder, runStage, temporaryFolder } from "../rigs/stage-rig.ts";
import { makeTokens, type RigDocument } from "./token-rig.ts";

const byteLevel = bytes.fixed();
type Params = NonNullable<
  Parameters<typeof runStage<(typeof shard)["params"], (typeof shard)["inputs"], (typeof shard)["outputs"]>>[1]
>["params"];

async function shardsOf(documents: readonly RigDocument[], params: Params) {
  const folder = (await runStage(shard, { params: params!, inputs: makeTokens(documents) })).outputs.shards;
  const set = openShards(folder);
  set.verify();
  const texts = Object.fromEntries(
    splitNames.map((name) => [name, [...set.split(name).documents()].map(({ ids }) => byteLevel.decode(ids))]),
  ) as Record<SplitName, string[]>;
  set.close();
  return { manifest: set.manifest, texts, folder };
}

const long = (words: number, seed: string) => Array.from({ length: words }, (_, index) => `${seed}${index}`).join(" ");

test("a near copy of an earlier text is left out, and of a held-out text wherever it stands", async () => {
  const [a, b, c] = [long(90, "a"), long(90, "b"), long(90, "c")];
  const { texts, manifest } = await shardsOf(
    [
      { text: a },
      { text: `${a}!` }, // near to an earlier training text
      { text: `${b} more` }, // near to validation text that comes later
      { text: b, split: "validation" },
      { text: `${b}.`, split: "test" }, // test wins over validation
      { text: c, split: "validation" },
      { text: "…" }, // no words: never near to anything
      { text: "……" },
    ],
    { nearDuplicates: {} },
  );
  expect(texts).toEqual({ train: [a, "…", "……"], validation: [c], test: [`${b}.`] });
  expect(manifest.nearDuplicates).toEqual({
    ...{ threshold: 0.8, shingleWords: 5, bands: 16, rows: 8 },
    removed: { train: 2, validation: 1, test: 0 },
    acrossSplits: 1,
  });
});

test("without parameters the shards are those of the tokens as they are, and the manifest has no new members", async () => {
  const documents: RigDocument[] = [{ text: "b b b" }, { text: "a" }, { text: "held", split: "test" }];
  const plain = await shardsOf(documents, {});
  expect(plain.texts.train).toEqual(["b b b", "a"]);
  expect(Object.keys(plain.manifest).sort()).toEqual(["dtype", "endOfText", "splits", "tokenizer", "vocabSize"]);
  expect(Object.keys(plain.manifest.splits.train)).not.toContain("sources");
});

test("near duplicates without a tokenizer are refused with what to write", async () => {
  const { tokens } = makeTokens([{ text: "a" }]);
  const run = runStage(shard, { params: { nearDuplicates: {} }, inputs: { tokens } });
  await expect(run).rejects.toMatchObject({
    code: "NEEDS_TOKENIZER",
    hint: expect.stringContaining("tokenizer: tokens"),
  });
});

const documents = fc.array(
  fc.record({
    text: fc.string({ unit: fc.constantFrom("a", "b", "c", "d", " "), minLength: 1, maxLength: 24 }),
    split: fc.constantFrom(...splitNames),
  }),
  { minLength: 1, maxLength: 14 },
);

test.each(["length", "entropy", "rarity"] as const)(
  "the train split of each source is in order of %s, and nothing else moves",
  async (by) => {
    await fc.assert(
      fc.asyncProperty(documents, documents, fc.boolean(), async (first, second, descending) => {
        const all: RigDocument[] = [
          ...first.map((document) => ({ ...document, sourceName: "first" })),
          ...second.map((document) => ({ ...document, sourceName: "second" })),
        ];
        const { texts, manifest } = await shardsOf(all, { order: { by, descending } });
        const trained = all.filter(({ split }) => split === "train");
        const frequencies = new Frequencies(byteLevel.vocabSize);
        for (const { text } of trained) frequencies.add(byteLevel.encode(text) as Uint16Array);
        let at = 0;
        for (const name of ["first", "second"]) {
          const own = trained.filter(({ sourceName }) => sourceName === name).map(({ text }) => text);
          const got = texts.train.slice(at, at + own.length);
          at += own.length;
          expect([...got].sort()).toEqual([...own].sort());
          const scores = got.map((text) => difficulty(by, byteLevel.encode(text) as Uint16Array, frequencies));
          for (let i = 1; i < scores.length; i++) {
            const step = descending ? scores[i - 1]! - scores[i]! : scores[i]! - scores[i - 1]!;
            expect(step).toBeGreaterThanOrEqual(0);
          }
        }
        for (const split of ["validation", "test"] as const) {
          expect(texts[split]).toEqual(all.filter((document) => document.split === split).map(({ text }) => text));
        }
        expect(manifest.order).toEqual({ by, descending });
        const { sources } = manifest.splits.train;
        expect(sources!.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(manifest.splits.train.tokens);
      }),
      { numRuns: 15 },
    );
  },
);

test("entropy is 0 for one letter, and the logarithm of their number for letters that occur once", () => {
  expect(entropy(Uint16Array.from([5, 5, 5]))).toBeCloseTo(0, 12);
  expect(entropy(Uint16Array.from([1, 2, 3, 4]))).toBeCloseTo(2, 12);
  expect(entropy(new Uint16Array(0))).toBe(0);
});

test("a second run gives the same bytes", async () => {
  const texts = Array.from({ length: 30 }, (_, index) => ({ text: long(6 + (index % 7), `w${index % 5}-`) }));
  const params: Params = { nearDuplicates: { threshold: 0.5 }, order: { by: "rarity" } };
  const [once, again] = [await shardsOf(texts, params), await shardsOf(texts, params)];
  expect(digestFolder(again.folder)).toBe(digestFolder(once.folder));
});

test("a column of numbers is an order too, and a data set without one is told how to name it", async () => {
  const root = temporaryFolder("lab");
  const rows = [30, -2, 7.5, 7].map((grade) => JSON.stringify({ text: `of grade ${grade}`, meta: { grade } }));
  writeFileSync(path.join(root, "texts.jsonl"), rows.join("\n"));
  const make = async (score?: string) => {
    const dataset = { path: "texts.jsonl", ...(score !== undefined && { score }) };
    const corpus = (await runStage(download, { params: { dataset }, root })).outputs.dataset;
    const split = { validation: 0, test: 0 };
    const { tokens } = (await runStage(tokenize, { params: { tokenizer: "bytes", split }, inputs: { corpus } }))
      .outputs;
    return (await runStage(shard, { params: { order: { by: "score" } }, inputs: { tokens } })).outputs.shards;
  };
  const set = openShards(await make("meta.grade"));
  const texts = [...set.split("train").documents()].map(({ ids }) => byteLevel.decode(ids));
  set.close();
  expect(texts).toEqual([-2, 7, 7.5, 30].map((grade) => `of grade ${grade}`));
  await expect(make()).rejects.toMatchObject({ code: "NO_SCORE", hint: expect.stringContaining("score: grade") });
  await expect(make("text")).rejects.toMatchObject({ code: "BAD_SCORE" });
  await expect(make("level")).rejects.toThrow(/there is no \{level\}/);
});
