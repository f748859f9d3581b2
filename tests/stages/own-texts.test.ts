// A user's own folder of texts through the data stages.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { readDatasetManifest } from "../../src/data/datasets/manifest.ts";
import { openShards } from "../../src/data/shards.ts";
import { type DocumentLine, readDocumentLines, readTokensManifest } from "../../src/data/tokens.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import { runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const story = (index: number) => `Story ${index}: once upon a time there were ${index} cats — “miaou”.`;

async function tokenizeStories(stories: readonly string[], params: object = {}) {
  const root = temporaryFolder("lab");
  mkdirSync(path.join(root, "mytexts"));
  writeFileSync(path.join(root, "mytexts/stories.txt"), stories.join("\n===\n"));
  const dataset = { path: "./mytexts", separator: "===", license: "MIT" };
  const fetched = await runStage(download, { params: { dataset }, root });
  const run = await runStage(tokenize, {
    params: { tokenizer: "bpe", vocabSize: 300, ...params },
    inputs: { corpus: fetched.outputs.dataset },
  });
  const lines: DocumentLine[] = [];
  for await (const line of readDocumentLines(run.outputs.tokens)) lines.push(line);
  return { ...run, dataset: fetched.outputs.dataset, lines };
}

test("a folder of texts becomes shards, and its artifact names only the folder", async () => {
  const stories = Array.from({ length: 100 }, (_, index) => story(index));
  const { outputs, dataset } = await tokenizeStories(stories);
  expect(readDatasetManifest(dataset)).toMatchObject({ name: "mytexts", license: "MIT" });
  const { shards } = (await runStage(shard, { inputs: { tokens: outputs.tokens } })).outputs;
  const set = openShards(shards);
  const bytes = Object.values(set.manifest.splits).reduce((sum, split) => sum + split.bytes, 0);
  expect(bytes).toBe(stories.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
  set.close();
});

test("documents stay in their splits when others are added before and between them", async () => {
  const few = Array.from({ length: 120 }, (_, index) => story(index * 2));
  const many = Array.from({ length: 260 }, (_, index) => story(index));
  const splitsOf = (lines: readonly DocumentLine[]) => new Map(lines.map((line) => [line.digest, line.split]));
  const before = splitsOf((await tokenizeStories(few)).lines);
  const after = splitsOf((await tokenizeStories(many)).lines);
  expect(after.size).toBe(260);
  for (const [digest, split] of before) expect(after.get(digest)).toBe(split);
});

test("exact duplicates are kept once and counted", async () => {
  const stories = Array.from({ length: 100 }, (_, index) => story(index));
  const { outputs, log } = await tokenizeStories([...stories, story(7), story(7), story(50)]);
  expect(readTokensManifest(outputs.tokens)).toMatchObject({ documents: 100, duplicates: 3 });
  expect(log).toContain("warn: 3 exact duplicates left out");
});

test("text of held-out documents does not reach the tokenizer", async () => {
  const plain = Array.from({ length: 200 }, (_, index) => story(index));
  const rule = { split: { validation: 0.2, test: 0.2 } };
  const { lines } = await tokenizeStories(plain, rule);
  // The same train documents with fewer held-out ones: the vocabulary is the same.
  const others = plain.filter((_, index) => index % 3 === 0 || lines[index]!.split === "train");
  const whole = readTokensManifest((await tokenizeStories(plain, rule)).outputs.tokens);
  const part = readTokensManifest((await tokenizeStories(others, rule)).outputs.tokens);
  expect(part.documents).toBeLessThan(whole.documents);
  expect(part.tokenizer).toBe(whole.tokenizer);
});

test("parameters that cannot be are refused before anything runs", () => {
  expect(tokenize.params.safeParse({ tokenizer: "gpt3" }).success).toBe(false);
  expect(tokenize.params.safeParse({ tokenizer: "bytes", vocabsize: 3 }).success).toBe(false);
  expect(download.params.safeParse({}).success).toBe(false);
  expect(shard.params.parse({})).toEqual({ shardTokens: 100_000_000 });
  expect(tokenize.params.parse({ tokenizer: "bytes" })).toEqual({
    tokenizer: "bytes",
    split: { validation: 0.05, test: 0.05, key: "stlm-split-v1" },
  });
});
