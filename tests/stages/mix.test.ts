// A mix from the download stage to the summary of a training run.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { Mix } from "../../src/data/mix.ts";
import { openShards, type ShardsManifest } from "../../src/data/shards.ts";
import { splitNames } from "../../src/data/split.ts";
import { readTokensManifest } from "../../src/data/tokens.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import train from "../../stages/train.ts";
import { digestFolder, runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const params = {
  model: { contextWindow: 16, hiddenDim: 16, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 24 },
  ...{ steps: 6, batchTokens: 64, learningRate: 1e-2, minLearningRate: 1e-3, warmupSteps: 2 },
  ...{ evalEvery: 3, evalTokens: 100, checkpointEvery: 2 },
};
const mix: Mix = {
  stages: [{ until: 3, weights: { poems: 1 }, easiest: [0.3, 1] }, { temperature: 3 }],
};

let shards: string;
let manifest: ShardsManifest;
let tokens: string;

/** Texts that share few words, so that none are near duplicates. */
const text = (name: string, index: number) =>
  Array.from({ length: 8 + index }, (_, word) => `${name}${index}x${word * word}`).join(" ");

beforeAll(async () => {
  const root = temporaryFolder("lab");
  mkdirSync(path.join(root, "more"));
  const write = (file: string, name: string, count: number) => {
    const rows = Array.from({ length: count }, (_, index) => `${JSON.stringify({ text: text(name, index) })}\n`);
    writeFileSync(path.join(root, file), rows.join(""));
  };
  write("poems.jsonl", "p", 12);
  write("more/poems.jsonl", "q", 12);
  writeFileSync(path.join(root, "code.jsonl"), `${JSON.stringify({ task: "Add.", code: text("c", 30) })}\n`);
  const dataset = [
    { path: "poems.jsonl", name: "poems" },
    { path: "code.jsonl", name: "code", template: "Instruction: {task}\nOutput: {code}" },
    { path: "more/poems.jsonl", name: "poems" },
  ];
  const corpus = (await runStage(download, { params: { dataset }, root })).outputs.dataset;
  const split = { validation: 0.2, test: 0, key: "k" };
  const made = await runStage(tokenize, { params: { tokenizer: "bytes", split }, inputs: { corpus } });
  ({ tokens } = made.outputs);
  const inputs = { tokens, tokenizer: made.outputs.tokenizer };
  shards = (await runStage(shard, { params: { order: { by: "length" }, nearDuplicates: {} }, inputs })).outputs.shards;
  const set = openShards(shards);
  ({ manifest } = set);
  set.close();
});

const run = (options: { mix?: Mix; work?: string; signal?: AbortSignal; steps?: number } = {}) => {
  const { mix, steps = params.steps, ...rest } = options;
  return runStage(train, { params: { ...params, steps, ...(mix && { mix }) }, inputs: { shards }, ...rest });
};
const summaryOf = (folder: string) => JSON.parse(readFileSync(path.join(folder, "summary.json"), "utf8"));

test("the sources of a mix keep their names, and their counts add up in tokens and shards", () => {
  const { sources, splits } = readTokensManifest(tokens);
  expect(sources!.map(({ name }) => name)).toEqual(["poems", "code", "poems-2"]);
  for (const name of splitNames) {
    for (const field of ["documents", "tokens", "bytes"] as const) {
      expect(sources!.reduce((sum, source) => sum + source.splits[name][field], 0)).toBe(splits[name][field]);
    }
    const inShards = manifest.splits[name].sources!;
    expect(inShards.map((source) => source.name)).toEqual(["poems", "code", "poems-2"]);
    expect(inShards.reduce((sum, source) => sum + source.tokens, 0)).toBe(manifest.splits[name].tokens);
  }
  expect(manifest.nearDuplicates?.removed).toEqual({ train: 0, validation: 0, test: 0 });
});

test("the summary counts the tokens that the run saw of each source", async () => {
  const { sources, tokens } = summaryOf((await run({ mix: { weights: { code: 1 } } })).outputs.model);
  expect(tokens).toBe(6 * 64);
  expect(sources).toEqual([
    { name: "poems", tokens: 0 },
    { name: "code", tokens },
    { name: "poems-2", tokens: 0 },
  ]);
  const plain = summaryOf((await run()).outputs.model).sources as { tokens: number }[];
  expect(plain.reduce((sum, source) => sum + source.tokens, 0)).toBe(6 * 64);
  expect(plain.filter((source) => source.tokens > 0).length).toBeGreaterThan(1);
});

test("a curriculum that was interrupted ends with the bytes of one that was not", async () => {
  const whole = (await run({ mix })).outputs.model;
  const work = temporaryFolder("work");
  const controller = new AbortController();
  const stopping = run({ mix, work, signal: controller.signal });
  setImmediate(() => setImmediate(() => controller.abort()));
  await expect(stopping).rejects.toThrow();
  const resumed = (await run({ mix, work })).outputs.model;
  expect(digestFolder(resumed)).toBe(digestFolder(whole));
  const [poems, ...others] = summaryOf(whole).sources as { tokens: number }[];
  expect(poems!.tokens).toBeGreaterThanOrEqual(3 * 64);
  expect(others.some((source) => source.tokens > 0)).toBe(true);
});

test("a source that is not there is refused, and a stage that the steps do not reach is warned of", async () => {
  await expect(run({ mix: { weights: { poem: 1 } } })).rejects.toMatchObject({
    code: "UNKNOWN_SOURCE",
    hint: expect.stringContaining('Did you mean "poems"?'),
  });
  const { log } = await run({ mix, steps: 2 });
  expect(log.join()).toContain("Stage 2 of the mix begins after the 2 steps and is never reached");
});
