import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { benchmarks } from "../../src/eval/benchmarks/index.ts";
import { makeItems } from "../../src/eval/item.ts";
import { type DocumentRow, readDocuments, readItems, writeDocuments, writeItems } from "../../src/eval/items.ts";
import { scoreItems } from "../../src/eval/score.ts";
import { digestFile } from "../../src/util/digest.ts";
import { bundledRows, bytesEncoder, hashModel } from "./helpers.ts";

const folder = mkdtempSync(path.join(tmpdir(), "it's items-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);

const items = makeItems("mmlu", bundledRows("mmlu-228").map(benchmarks.mmlu.question), "harness");
const rows = await scoreItems(hashModel(257, 128), items, { tokenizer: bytesEncoder, protocol: "harness" });

test("item rows survive a Parquet file, nulls and order included", async () => {
  const [first, ...rest] = rows;
  const unjudged = { ...first!, correct: null, credit: null, prediction: null, log_probs: [null, -1.5, null, -2] };
  await writeItems(file("items.parquet"), [...rest, unjudged]);
  expect(await readItems(file("items.parquet"))).toEqual([...rest, unjudged]);
});

test("the same rows give the same bytes", async () => {
  await writeItems(file("once.parquet"), rows);
  await writeItems(file("again.parquet"), rows);
  expect(digestFile(file("again.parquet"))).toEqual(digestFile(file("once.parquet")));
});

test("no rows make a file without rows", async () => {
  await writeItems(file("none.parquet"), []);
  expect(await readItems(file("none.parquet"))).toEqual([]);
});

test("document rows survive a Parquet file", async () => {
  const documents: DocumentRow[] = [
    { split: "test", document: 0, nats: 12.25, end_of_text_nats: 3, tokens: 4, bytes: 17, characters: 15 },
    { split: "test", document: 1, nats: null, end_of_text_nats: null, tokens: 0, bytes: 0, characters: 0 },
  ];
  await writeDocuments(file("documents.parquet"), documents);
  expect(await readDocuments(file("documents.parquet"))).toEqual(documents);
});

test("a damaged file gives one clear message", async () => {
  await expect(readItems(file("absent.parquet"))).rejects.toMatchObject({ code: "PARQUET_UNREADABLE" });
});
