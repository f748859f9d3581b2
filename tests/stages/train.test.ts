// The train stage on a few hundred tokens, on the reference device.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeShards } from "../../src/data/shard-writer.ts";
import type { SplitName } from "../../src/data/split.ts";
import { TokensWriter } from "../../src/data/tokens.ts";
import { digestBytes } from "../../src/util/digest.ts";
import train from "../../stages/train.ts";
import { digestFolder, type RunStageOptions, runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const VOCABULARY = 257;
const tokenizer = digestBytes("bytes");

/** A `shards` artifact of short sentences as bytes; `animals` names the one of each split. */
async function makeShards(documents: number, animals: Partial<Record<SplitName, string>> = {}): Promise<string> {
  const folder = temporaryFolder("tokens");
  const layout = { dtype: "uint16", vocabSize: VOCABULARY, endOfText: 256, tokenizer } as const;
  const writer = new TokensWriter((name) => path.join(folder, name), layout);
  for (let i = 0; i < documents; i++) {
    const split = i % 5 === 4 ? "validation" : i % 5 === 3 ? "test" : "train";
    const text = `The ${animals[split] ?? "cat"} number ${i * i} sat on the mat.`;
    const utf8 = Buffer.from(text);
    const hash = Buffer.from(digestBytes(utf8).slice("sha256:".length), "hex");
    writer.write({ text, utf8, hash, split }, Uint16Array.from(utf8));
  }
  writer.finish({ duplicates: 0, empty: 0, replaced: 0 });
  const shards = temporaryFolder("shards");
  await writeShards({
    tokens: folder,
    pathOf: (name) => path.join(shards, name),
    shardTokens: 1000,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  });
  return shards;
}

const params = {
  model: { contextWindow: 16, hiddenDim: 16, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 24 },
  steps: 6,
  batchTokens: 32,
  learningRate: 1e-2,
  minLearningRate: 1e-3,
  warmupSteps: 2,
  evalEvery: 2,
  evalTokens: 100,
  checkpointEvery: 2,
};

const readJson = (folder: string, name: string) => JSON.parse(readFileSync(path.join(folder, name), "utf8"));

describe("the train stage", () => {
  let shards: string;
  beforeAll(async () => {
    shards = await makeShards(30);
  });
  const run = (options: Partial<RunStageOptions<typeof train.params>> = {}) =>
    runStage(train, { params, inputs: { shards }, ...options });

  test("writes weights, configuration, curve and summary, and measures the run", async () => {
    const { outputs, measures, progress, log } = await run();
    const config = readJson(outputs.model, "config.json");
    expect(config).toMatchObject({ parameters: 6_080, tokenizer, seed: 1, training: { steps: 6, precision: "f32" } });
    expect(config.model).toMatchObject({ vocabSize: VOCABULARY, dropout: 0.1, positions: "rope" });
    const summary = readJson(outputs.model, "summary.json");
    expect(summary).toMatchObject({ status: "completed", steps: 6, tokens: 192 });
    expect(summary.flops).toBe(192 * (6 * 6_080 + 12 * 1 * 16 * 16));
    const lines = readFileSync(path.join(outputs.model, "metrics.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).step)).toEqual([1, 2, 2, 3, 4, 4, 5, 6, 6]);
    expect(JSON.parse(lines.at(-1)!).val_bits_per_byte).toBe(summary.val_bits_per_byte);
    // Every byte is a token here, so the two measures differ by ln 2 alone.
    expect(summary.val_bits_per_byte).toBeCloseTo(summary.val_loss / Math.LN2, 10);
    expect(measures).toMatchObject({ device: expect.stringContaining("reference"), flops: summary.flops });
    expect(measures["peak_bytes"]).toBeGreaterThan(6_080 * 16); // weights, gradients and two moments
    expect(progress.at(-1)).toEqual({ done: 6, total: 6, unit: "steps" });
    const perStep = log.flatMap((line) =>
      line.startsWith("info: {") ? [JSON.parse(line.slice("info: ".length))] : [],
    );
    const curve = lines.map((line) => JSON.parse(line)).filter(({ loss }) => loss !== undefined);
    expect(curve.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(perStep).toEqual(curve.map((record) => expect.objectContaining(record))); // loss, lr, grad_norm, tokens
    for (const measured of [...perStep, measures]) {
      expect(measured.model_flops_per_second / measured.tokens_per_second).toBeCloseTo(summary.flops / 192, 3);
      expect(measured.peak_bytes).toBeGreaterThan(0);
    }
  });

  test("the same seed gives the same bytes and another seed other ones", async () => {
    const digests = await Promise.all([1, 1, 2].map(async (seed) => digestFolder((await run({ seed })).outputs.model)));
    expect(digests[0]).toBe(digests[1]);
    expect(digests[0]).not.toBe(digests[2]);
  });

  test("stopped by a signal and started again it ends with the bytes of an uninterrupted run", async () => {
    const expected = digestFolder((await run()).outputs.model);
    const work = temporaryFolder("work");
    const controller = new AbortController();
    const stopping = run({ work, signal: controller.signal });
    setImmediate(() => setImmediate(() => controller.abort())); // steps take a turn of the event loop each
    await expect(stopping).rejects.toThrow();
    expect(digestFolder((await run({ work })).outputs.model)).toBe(expected);
  });

  test("a divergence is a result, with its reason and its curve", async () => {
    const { outputs, log } = await run({ params: { ...params, maxLoss: 0.1 } });
    const summary = readJson(outputs.model, "summary.json");
    expect(summary).toMatchObject({ status: "diverged", steps: 2 });
    expect(summary.reason).toMatch(/above the bound 0.1 at step 3/);
    expect(log.join()).toContain("Training diverged");
  });

  test("weights come from the train split and the curve from the validation split alone", async () => {
    const runOn = async (animals: Partial<Record<SplitName, string>>) => {
      const { model } = (await run({ inputs: { shards: await makeShards(30, animals) } })).outputs;
      const weights = digestBytes(readFileSync(path.join(model, "model.safetensors")));
      const { train_loss, val_loss } = readJson(model, "summary.json");
      return { weights, train_loss, val_loss, all: digestFolder(model) };
    };
    const cats = await runOn({});
    expect(await runOn({ test: "dog" })).toEqual(cats);
    const validated = await runOn({ validation: "dog" });
    expect(validated).toMatchObject({ weights: cats.weights, train_loss: cats.train_loss });
    expect(validated.val_loss).not.toBe(cats.val_loss);
    const trained = await runOn({ train: "dog" });
    expect(trained.weights).not.toBe(cats.weights);
    expect(trained.train_loss).not.toBe(cats.train_loss);
  });

  test("a schedule that ends above its peak is refused in one sentence", () => {
    const { success, error } = train.params.safeParse({ ...params, minLearningRate: 2e-2 });
    expect(success).toBe(false);
    expect(error!.issues).toMatchObject([
      { path: ["minLearningRate"], message: expect.stringMatching(/^minLearningRate must not be above learningRate/) },
    ]);
    expect(train.params.safeParse({ ...params, minLearningRate: params.learningRate }).success).toBe(true);
  });

  test("a warm-up that the steps cut short is warned of", async () => {
    const { log } = await run({ params: { ...params, steps: 2, warmupSteps: 2 } });
    expect(log.join()).toContain("warmupSteps is 2 and there are 2 steps: the learning rate only rises");
    expect((await run()).log.join()).not.toContain("warmupSteps");
  });

  test("an unknown parameter and a batch that cannot be cut are refused before anything runs", () => {
    expect(train.params.safeParse({ ...params, learningrate: 1 }).success).toBe(false);
    expect(train.params.safeParse({ ...params, batchTokens: 40 }).error!.issues).toMatchObject([
      { path: ["batchTokens"], message: "batchTokens 40 is not a multiple of contextWindow 16; 48 is" },
    ]);
  });

  test("a model that has another number of parameters than it asserts is refused before a step is made", async () => {
    const withCount = (parameters: number) => run({ params: { ...params, model: { ...params.model, parameters } } });
    await expect(withCount(6_081)).rejects.toMatchObject({
      code: "PARAMETER_COUNT",
      message: "The model has 6,080 parameters with a vocabulary of 257, and 6,081 are expected.",
    });
    expect(readJson((await withCount(6_080)).outputs.model, "config.json").parameters).toBe(6_080);
  });
});
