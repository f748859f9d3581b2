// The evaluate stage on a few kilobytes of text and a few dozen items, with an untrained model.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { openShards } from "../../src/data/shards.ts";
import { readDocuments, readItems } from "../../src/eval/items.ts";
import { saveModel } from "../../src/models/checkpoint.ts";
import { modelConfigSchema } from "../../src/models/config.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { digestFile } from "../../src/util/digest.ts";
import download from "../../stages/download.ts";
import evaluate from "../../stages/evaluate.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import { bundledRows } from "../eval/helpers.ts";
import { digestFolder, runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const BYTES_VOCABULARY = 257;

/** A `dataset` artifact of JSON-lines files. */
function dataset(kind: "text" | "benchmark", files: Record<string, readonly unknown[]>): string {
  const folder = temporaryFolder("dataset");
  mkdirSync(path.join(folder, "files"));
  const described = Object.entries(files).map(([name, rows]) => {
    const file = path.join(folder, "files", `${name}.jsonl`);
    writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const { digest, bytes } = digestFile(file);
    const benchmark = kind === "benchmark" ? { benchmark: name } : {};
    return { path: `${name}.jsonl`, format: "jsonl", bytes, sha256: digest, ...benchmark };
  });
  const about = { name: "test", kind, license: "MIT", homepage: "", text: { template: "{text}" }, files: described };
  writeFileSync(path.join(folder, "dataset.json"), JSON.stringify(about));
  return folder;
}

/** A `model` artifact of a small transformer; `spoil` may change its weights before they are written. */
function modelArtifact(tokenizer: string, status = "completed", spoil?: (weights: Float32Array) => void): string {
  const backend = createReferenceBackend();
  const sizes = { contextWindow: 32, hiddenDim: 16, numLayers: 1, numHeads: 2, numKvHeads: 1, ffnDim: 24 };
  const config = { ...modelConfigSchema.parse(sizes), vocabSize: BYTES_VOCABULARY };
  const model = new Transformer(config);
  model.allocate(backend, { seed: 1 });
  const [, parameter] = model.parameters()[0]!;
  const weights = backend.read(parameter.value) as Float32Array;
  spoil?.(weights);
  backend.write(parameter.value, weights);
  const folder = temporaryFolder("model");
  saveModel(folder, model, backend, { tokenizer, training: {}, seed: 1 });
  writeFileSync(path.join(folder, "summary.json"), JSON.stringify({ status, steps: 1 }));
  return folder;
}

const readMetrics = (folder: string) => JSON.parse(readFileSync(path.join(folder, "metrics.json"), "utf8"));

describe("the evaluate stage", () => {
  let inputs: { shards: string; tokenizer: string; benchmarks: string };
  let digest: string;

  beforeAll(async () => {
    const texts = Array.from({ length: 40 }, (_, i) => ({
      text: `Story ${i}: once upon a time there were ${i} naïve hens.`,
    }));
    const params = { tokenizer: "bytes", split: { validation: 0.2, test: 0.2 } } as const;
    const { tokens, tokenizer } = (
      await runStage(tokenize, { params, inputs: { corpus: dataset("text", { stories: texts }) } })
    ).outputs;
    const { shards } = (await runStage(shard, { inputs: { tokens } })).outputs;
    const benchmarks = dataset("benchmark", {
      mmlu: bundledRows("mmlu-228").slice(0, 12),
      blimp: bundledRows("blimp-6700").slice(0, 8),
      gsm8k: bundledRows("gsm8k-100").slice(0, 2),
      hellaswag: bundledRows("hellaswag-200").slice(0, 5),
    });
    inputs = { shards, tokenizer, benchmarks };
    digest = JSON.parse(readFileSync(path.join(tokenizer, "stlm-tokenizer.json"), "utf8")).digest;
  });

  test("writes figures, item rows and document rows of a model, the same bytes every time", async () => {
    const model = modelArtifact(digest);
    const run = await runStage(evaluate, { inputs: { ...inputs, model } });
    const folder = run.outputs.evaluation;
    const metrics = readMetrics(folder);
    expect(metrics.subject).toEqual({ kind: "model", parameters: expect.any(Number), status: "completed" });
    expect(metrics.protocol).toBe("harness");
    expect(Object.keys(metrics.benchmarks)).toEqual(["blimp", "hellaswag", "mmlu"]);
    expect(metrics.benchmarks.mmlu).toMatchObject({ items: 12, chance: 0.25, truncated: 12, unscored: 0 });
    expect(metrics.benchmarks.hellaswag).toHaveProperty("accuracyNorm");
    expect(metrics.skipped).toEqual({ gsm8k: expect.stringContaining("generation") });
    expect(run.log).toContainEqual(expect.stringMatching(/^info: gsm8k is skipped/));

    const items = await readItems(path.join(folder, "items.parquet"));
    expect(items.map(({ task }) => task)).toEqual([
      ...Array(8).fill("blimp"),
      ...Array(5).fill("hellaswag"),
      ...Array(12).fill("mmlu"),
    ]);
    const documents = await readDocuments(path.join(folder, "documents.parquet"));
    for (const split of ["validation", "test"]) {
      const rows = documents.filter((row) => row.split === split);
      const nats = rows.reduce((sum, row) => sum + row.nats!, 0);
      const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
      expect(rows.length).toBeGreaterThan(0);
      expect(metrics[split]).toMatchObject({ documents: rows.length, bytes, tokens: bytes });
      expect(metrics[split].bitsPerByte).toBeCloseTo(nats / (Math.LN2 * bytes), 12);
      expect(metrics[split].characters).toBeLessThan(bytes); // "naïve"
    }

    const again = await runStage(evaluate, { inputs: { ...inputs, model } });
    expect(digestFolder(again.outputs.evaluation)).toBe(digestFolder(folder));
  });

  test("the data set's note on a benchmark stands beside its figures, and nothing where there is none", async () => {
    const { outputs: fetched } = await runStage(download, { params: { dataset: "bundled-benchmarks" } });
    const params = { control: "unigram", tasks: ["blimp", "hellaswag", "mmlu"], maxItems: 2 } as const;
    const noted = { ...inputs, benchmarks: fetched.dataset };
    const { outputs } = await runStage(evaluate, { inputs: noted, params: { ...params, tasks: [...params.tasks] } });
    const { benchmarks } = readMetrics(outputs.evaluation);
    expect(benchmarks.hellaswag.note).toMatch(/not capitalised.*not those of lm-evaluation-harness/);
    expect(benchmarks.mmlu.note).toBe("Only questions of under 1,200 characters.");
    expect(benchmarks.blimp).not.toHaveProperty("note");
  });

  test("the uniform control needs log2(vocabSize) bits per token and is at chance where answers have equal tokens", async () => {
    const { outputs } = await runStage(evaluate, { inputs, params: { control: "uniform" } });
    const metrics = readMetrics(outputs.evaluation);
    expect(metrics.subject).toEqual({ kind: "control", control: "uniform" });
    expect(metrics.validation.bitsPerByte).toBeCloseTo(Math.log2(BYTES_VOCABULARY), 6);
    expect(metrics.benchmarks.mmlu).toMatchObject({ accuracySplit: 0.25, ties: 12 });
  });

  test("the unigram control predicts text better than the uniform one", async () => {
    const bits = async (control: "uniform" | "unigram") => {
      const { outputs } = await runStage(evaluate, { inputs, params: { control, tasks: ["blimp"] } });
      return readMetrics(outputs.evaluation).test.bitsPerByte;
    };
    expect(await bits("unigram")).toBeLessThan((await bits("uniform")) - 1);
  });

  test("the unigram control knows the ids of the train split alone", async () => {
    const shards = openShards(inputs.shards);
    const counts = new Map<number, number>();
    const train = shards.split("train");
    for (const id of train.readWindow(0, train.tokens)) counts.set(id, (counts.get(id) ?? 0) + 1);
    const total = train.tokens + BYTES_VOCABULARY;
    let nats = 0;
    for (const { ids } of shards.split("validation").documents()) {
      for (const id of ids) nats -= Math.log(((counts.get(id) ?? 0) + 1) / total);
    }
    shards.close();
    const { outputs } = await runStage(evaluate, { inputs, params: { control: "unigram", tasks: ["blimp"] } });
    expect(readMetrics(outputs.evaluation).validation.nats / nats).toBeCloseTo(1, 6);
  });

  test("the paper's protocol and subsets are parameters", async () => {
    const params = { protocol: "stlm" as const, tasks: ["blimp" as const], maxItems: 3, control: "unigram" as const };
    const { outputs } = await runStage(evaluate, { inputs, params });
    expect(readMetrics(outputs.evaluation)).toMatchObject({ protocol: "stlm", benchmarks: { blimp: { items: 3 } } });
    expect(await readItems(path.join(outputs.evaluation, "items.parquet"))).toHaveLength(3);
  });

  test("a diverged model with finite weights is evaluated like any other", async () => {
    const model = modelArtifact(digest, "diverged");
    const { outputs } = await runStage(evaluate, { inputs: { ...inputs, model }, params: { tasks: ["blimp"] } });
    const metrics = readMetrics(outputs.evaluation);
    expect(metrics.subject.status).toBe("diverged");
    expect(metrics.validation.bitsPerByte).toBeGreaterThan(0);
  });

  test("a model whose weights are not finite is recorded with nulls", async () => {
    const spoil = (weights: Float32Array) => {
      weights[5] = Number.NaN;
    };
    const model = modelArtifact(digest, "diverged", spoil);
    const { outputs } = await runStage(evaluate, { inputs: { ...inputs, model } });
    const metrics = readMetrics(outputs.evaluation);
    expect(metrics.validation).toMatchObject({ nats: null, bitsPerByte: null, tokenPerplexity: null });
    expect(metrics.benchmarks.mmlu).toMatchObject({ accuracy: null, accuracySplit: null, unscored: 12 });
    const items = await readItems(path.join(outputs.evaluation, "items.parquet"));
    expect(items.every(({ prediction, correct }) => prediction === null && correct === null)).toBe(true);
  });

  test("exactly one of a model and a control has to be given", async () => {
    await expect(runStage(evaluate, { inputs })).rejects.toMatchObject({ code: "NOT_ONE_SUBJECT" });
    const both = { inputs: { ...inputs, model: modelArtifact(digest) }, params: { control: "uniform" } as const };
    await expect(runStage(evaluate, both)).rejects.toMatchObject({ code: "NOT_ONE_SUBJECT" });
  });

  test("a model of another tokenizer is refused", async () => {
    const model = modelArtifact(`sha256:${"0".repeat(64)}`);
    await expect(runStage(evaluate, { inputs: { ...inputs, model } })).rejects.toMatchObject({
      code: "TOKENIZER_MISMATCH",
    });
  });

  test("unknown parameters and benchmarks are refused", () => {
    expect(evaluate.params.safeParse({ protocl: "harness" }).success).toBe(false);
    expect(evaluate.params.safeParse({ tasks: ["gsm8k"] }).success).toBe(false);
    expect(evaluate.params.parse({})).toEqual({ protocol: "harness" });
  });

  test("stops on a signal", async () => {
    const signal = AbortSignal.abort(new Error("stopped by hand"));
    await expect(runStage(evaluate, { inputs, params: { control: "uniform" }, signal })).rejects.toThrow("by hand");
  });
});
