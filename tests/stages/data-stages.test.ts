// The three data stages on the bundled corpus: download, tokenize, shard.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { newCorpusCounts, readCorpus } from "../../src/data/corpus.ts";
import { readDatasetManifest } from "../../src/data/datasets/manifest.ts";
import { readDocuments } from "../../src/data/documents.ts";
import { openShards } from "../../src/data/shards.ts";
import { type SplitName, splitNames, splitSchema } from "../../src/data/split.ts";
import { loadTokenizer } from "../../src/data/tokenizers/index.ts";
import { readDocumentLines, readTokensManifest } from "../../src/data/tokens.ts";
import { digestBytes } from "../../src/util/digest.ts";
import download from "../../stages/download.ts";
import shard from "../../stages/shard.ts";
import tokenize from "../../stages/tokenize.ts";
import { digestFolder, runStage, temporaryFolder } from "../rigs/stage-rig.ts";

const signal = new AbortController().signal;

describe("the bundled stories, from download to shards", () => {
  let dataset: string;
  let tokens: string;
  let tokenizer: string;
  let shards: string;

  beforeAll(async () => {
    dataset = (await runStage(download, { params: { dataset: "bundled-stories" } })).outputs.dataset;
    const params = { tokenizer: "bpe", vocabSize: 1024 } as const;
    ({ tokens, tokenizer } = (await runStage(tokenize, { params, inputs: { corpus: dataset } })).outputs);
    shards = (await runStage(shard, { params: { shardTokens: 400_000 }, inputs: { tokens } })).outputs.shards;
  });

  test("download records the name, licence, size and digest of every file", () => {
    const manifest = readDatasetManifest(dataset);
    expect(manifest).toMatchObject({ name: "bundled-stories", kind: "text", text: { template: "{text}" } });
    const bytes = readFileSync(path.join(dataset, "files", manifest.files[0]!.path));
    expect(manifest.files).toEqual([
      { path: "stories.jsonl.gz", format: "jsonl.gz", bytes: bytes.length, sha256: digestBytes(bytes) },
    ]);
  });

  test("the byte and character counts are those of the raw text", async () => {
    const lines = [];
    for await (const line of readDocumentLines(tokens)) lines.push(line);
    const texts: string[] = [];
    for await (const document of readDocuments(dataset, { signal })) texts.push(document.text);
    expect(lines).toHaveLength(740);
    expect(lines.map(({ digest, bytes, characters }) => ({ digest, bytes, characters }))).toEqual(
      texts.map((text) => ({
        digest: digestBytes(text),
        bytes: Buffer.byteLength(text),
        characters: [...text].length,
      })),
    );
    const manifest = readTokensManifest(tokens);
    expect(manifest.bytes).toBe(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
    expect(manifest.tokens).toBe(lines.reduce((sum, line) => sum + line.tokens, 0));
    expect(manifest).toMatchObject({ documents: 740, duplicates: 0, empty: 0, replaced: 0, dtype: "uint16" });
  });

  test("about one document in twenty is held out for validation and one for test", () => {
    const { splits } = readTokensManifest(tokens);
    for (const name of ["validation", "test"] as const) {
      expect(splits[name].documents / 740).toBeGreaterThan(0.03);
      expect(splits[name].documents / 740).toBeLessThan(0.07);
    }
  });

  test("the shards decode to the raw documents of each split, in their order", async () => {
    const bpe = loadTokenizer(tokenizer);
    const texts: Record<SplitName, string[]> = { train: [], validation: [], test: [] };
    for await (const document of readCorpus(dataset, splitSchema.parse({}), { signal, counts: newCorpusCounts() })) {
      texts[document.split].push(document.text);
    }
    const set = openShards(shards);
    set.verify();
    expect(set.manifest.tokenizer).toBe(bpe.digest);
    expect(set.manifest.splits.train.shards.length).toBeGreaterThan(2);
    for (const name of splitNames) {
      const split = set.split(name);
      const documents = [...split.documents()];
      expect(documents.map((document) => bpe.decode(document.ids))).toEqual(texts[name]);
      expect(split.readWindow(documents[0]!.ids.length, 1)[0]).toBe(bpe.endOfText);
      expect(split.readWindow(split.tokens - 1, 1)[0]).toBe(bpe.endOfText);
      expect(split.tokens).toBe(documents.reduce((sum, { ids }) => sum + ids.length + 1, 0));
      expect(set.manifest.splits[name].bytes).toBe(documents.reduce((sum, { bytes }) => sum + bytes, 0));
    }
    set.close();
  });

  test("a second run gives the same bytes", async () => {
    const params = { tokenizer: "bpe", vocabSize: 1024 } as const;
    const again = await runStage(tokenize, { params, inputs: { corpus: dataset }, threads: 2, seed: 9 });
    expect(digestFolder(again.outputs.tokens)).toBe(digestFolder(tokens));
    expect(digestFolder(again.outputs.tokenizer)).toBe(digestFolder(tokenizer));
    const second = await runStage(shard, { params: { shardTokens: 400_000 }, inputs: { tokens } });
    expect(digestFolder(second.outputs.shards)).toBe(digestFolder(shards));
  });

  test("a smaller vocabulary is taken from a larger tokenizer, with the bytes of learning it", async () => {
    const params = { tokenizer: "bpe", vocabSize: 512 } as const;
    const learned = await runStage(tokenize, { params, inputs: { corpus: dataset } });
    const taken = await runStage(tokenize, { params, inputs: { corpus: dataset, tokenizer } });
    expect(digestFolder(taken.outputs.tokenizer)).toBe(digestFolder(learned.outputs.tokenizer));
    expect(digestFolder(taken.outputs.tokens)).toBe(digestFolder(learned.outputs.tokens));
  });

  test("a document that is longer than a shard gets a shard of its own", async () => {
    const run = await runStage(shard, { params: { shardTokens: 1 }, inputs: { tokens } });
    const { manifest, close } = openShards(run.outputs.shards);
    close();
    expect(manifest.splits.test.shards).toHaveLength(manifest.splits.test.documents);
    expect(manifest.splits.test.shards.every((part) => part.documents === 1)).toBe(true);
  });

  test("a tokenize stage that would leave a split empty says so", async () => {
    const params = { tokenizer: "bytes", split: { validation: 1e-9 } } as const;
    await expect(runStage(tokenize, { params, inputs: { corpus: dataset } })).rejects.toMatchObject({
      code: "EMPTY_SPLIT",
      where: { path: "split.validation" },
    });
  });

  test("a long text that is one held-out document is not called too small for a tokenizer", async () => {
    const root = temporaryFolder("lab");
    writeFileSync(path.join(root, "book.txt"), "It was a dark and stormy night. ".repeat(1000));
    const own = (await runStage(download, { params: { dataset: { path: "book.txt" } }, root })).outputs.dataset;
    const params = { tokenizer: "bpe", vocabSize: 300, split: { validation: 0.5, test: 0.4999 } } as const;
    await expect(runStage(tokenize, { params, inputs: { corpus: own } })).rejects.toMatchObject({
      code: "EMPTY_SPLIT",
      hint: expect.stringMatching(/^The corpus has 1 document, too few\. Lower split/),
    });
  });

  test("an aborted stage stops", async () => {
    const params = { tokenizer: "bytes" } as const;
    const run = runStage(tokenize, { params, inputs: { corpus: dataset }, signal: AbortSignal.abort() });
    await expect(run).rejects.toThrow(/abort/i);
  });
});

test("gpt2 ids stay within its vocabulary and fit in uint16", async () => {
  const { dataset } = (await runStage(download, { params: { dataset: "bundled-chat" } })).outputs;
  const run = await runStage(tokenize, { params: { tokenizer: "gpt2" }, inputs: { corpus: dataset } });
  expect(readTokensManifest(run.outputs.tokens)).toMatchObject({
    dtype: "uint16",
    vocabSize: 50257,
    endOfText: 50256,
  });
  expect(run.measures["documents"]).toBeGreaterThan(600);
});

test("benchmarks are downloaded with the name of each benchmark and refused as text", async () => {
  const { dataset } = (await runStage(download, { params: { dataset: "bundled-benchmarks" } })).outputs;
  const { files, kind } = readDatasetManifest(dataset);
  expect(kind).toBe("benchmark");
  expect(files.map((file) => file.benchmark)).toEqual([
    "blimp",
    "hellaswag",
    "arc-easy",
    "winogrande",
    "mmlu",
    "gsm8k",
  ]);
  const run = runStage(tokenize, { params: { tokenizer: "bytes" }, inputs: { corpus: dataset } });
  await expect(run).rejects.toMatchObject({ code: "NOT_TEXT" });
});

test("a mix holds every part with its own template", async () => {
  const params = { dataset: ["bundled-speeches", "bundled-chat"] } as const;
  const { dataset } = (await runStage(download, { params: { dataset: [...params.dataset] } })).outputs;
  expect(readDatasetManifest(dataset)).toMatchObject({
    name: "bundled-speeches+bundled-chat",
    license: "LicenseRef-public-domain-US AND MIT",
  });
  const texts: string[] = [];
  for await (const document of readDocuments(dataset, { signal })) texts.push(document.text);
  expect(texts).toHaveLength(87 + 700);
  expect(texts[0]).toMatch(/^Fellow-Citizens/);
  expect(texts[87]).toMatch(/^Question: .*\nAnswers: /s);
});
