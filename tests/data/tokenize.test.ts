import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type SplitName, splitOf, splitSchema } from "../../src/data/split.ts";
import { learnTokenizer, type TokenizeOptions } from "../../src/data/tokenize.ts";
import { digestBytes, digestFile } from "../../src/util/digest.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

const split = splitSchema.parse({ validation: 0.2, test: 0.2 });
const RARE = "zyxwv";

/** A text that holds the rare word a thousand times and falls into the split. */
function rareText(wanted: SplitName): string {
  for (let number = 0; number < 1000; number++) {
    const text = `Notes ${number}:${` ${RARE}`.repeat(1000)}.`;
    if (splitOf(Buffer.from(digestBytes(text).slice("sha256:".length), "hex"), split) === wanted) return text;
  }
  throw new Error(`No text of a thousand falls into ${wanted}`);
}

function corpusOf(texts: readonly string[]): string {
  const folder = temporaryFolder("corpus");
  mkdirSync(path.join(folder, "files"));
  const file = path.join(folder, "files", "a.jsonl");
  writeFileSync(file, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  const { digest, bytes } = digestFile(file);
  const files = [{ path: "a.jsonl", format: "jsonl", bytes, sha256: digest }];
  const about = { name: "test", kind: "text", license: "MIT", homepage: "", text: { template: "{text}" }, files };
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify(about));
  return folder;
}

const stories = Array.from({ length: 40 }, (_, i) => `Story ${i}: once upon a time there were ${i} brown hens.`);

function optionsFor(corpus: string, vocabSize: number): TokenizeOptions {
  return {
    ...{ corpus, vocabSize, split, kind: "bpe", work: temporaryFolder("work"), threads: 1 },
    signal: new AbortController().signal,
    onProgress: () => {},
  };
}

/** How many ids the rare word takes once a tokenizer was learned on stories and on one text of the split. */
async function idsOfRareWord(wanted: SplitName): Promise<number> {
  const tokenizer = await learnTokenizer(optionsFor(corpusOf([...stories, rareText(wanted)]), 280));
  return tokenizer.encodeUtf8(Buffer.from(RARE)).length;
}

test("bpe learns no merge from a word that stands only in held-out documents, however often", async () => {
  expect(await idsOfRareWord("train")).toBeLessThan(RARE.length);
  expect(await idsOfRareWord("validation")).toBe(RARE.length);
  expect(await idsOfRareWord("test")).toBe(RARE.length);
});

test("a tokenizer that was learned before a kill is taken from the work folder, unless it is damaged", async () => {
  const corpus = corpusOf(stories);
  const options = optionsFor(corpus, 300);
  const first = await learnTokenizer(options);
  const texts = path.join(corpus, "files", "a.jsonl");
  const written = readFileSync(texts);
  rmSync(texts);
  expect((await learnTokenizer(options)).digest).toBe(first.digest);

  writeFileSync(texts, written);
  truncateSync(path.join(options.work, "tokenizer", "tokenizer.json"), 1000);
  expect((await learnTokenizer(options)).digest).toBe(first.digest);
  expect((await learnTokenizer({ ...options, vocabSize: 300 })).vocabSize).toBe(300);
});

test("the first merges of a larger tokenizer are the tokenizer of a smaller training", async () => {
  const corpus = corpusOf(stories);
  const learned = await learnTokenizer(optionsFor(corpus, 310));
  for (const vocabSize of [257, 258, 290, 310]) {
    const alone = await learnTokenizer(optionsFor(corpus, vocabSize));
    const taken = await learnTokenizer({ ...optionsFor(corpus, vocabSize), learned });
    expect(taken.digest).toBe(alone.digest);
    expect(taken.encode("hens once upon")).toEqual(alone.encode("hens once upon"));
  }
  await expect(learnTokenizer({ ...optionsFor(corpus, 311), learned })).rejects.toMatchObject({
    code: "BAD_VOCAB_SIZE",
    hint: "Give a size from 257 to 310, or learn a larger tokenizer.",
  });
  await expect(learnTokenizer({ ...optionsFor(corpus, 300), kind: "gpt2", learned })).rejects.toMatchObject({
    code: "TOKENIZER_NOT_USED",
  });
});
