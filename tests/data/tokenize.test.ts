import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { type SplitName, splitOf, splitSchema } from "../../src/data/split.ts";
import { learnTokenizer } from "../../src/data/tokenize.ts";
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

/** How many ids the rare word takes once a tokenizer was learned on stories and on one text of the split. */
async function idsOfRareWord(wanted: SplitName): Promise<number> {
  const stories = Array.from({ length: 40 }, (_, i) => `Story ${i}: once upon a time there were ${i} brown hens.`);
  const tokenizer = await learnTokenizer({
    corpus: corpusOf([...stories, rareText(wanted)]),
    kind: "bpe",
    vocabSize: 280,
    split,
    work: temporaryFolder("work"),
    threads: 1,
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  return tokenizer.encodeUtf8(Buffer.from(RARE)).length;
}

test("bpe learns no merge from a word that stands only in held-out documents, however often", async () => {
  expect(await idsOfRareWord("train")).toBeLessThan(RARE.length);
  expect(await idsOfRareWord("validation")).toBe(RARE.length);
  expect(await idsOfRareWord("test")).toBe(RARE.length);
});
