import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Dataset } from "../../../src/data/datasets/dataset.ts";
import { datasetNames, datasets } from "../../../src/data/datasets/index.ts";
import { readDocuments } from "../../../src/data/documents.ts";
import { compileTemplate } from "../../../src/data/template.ts";
import { digestFile } from "../../../src/util/digest.ts";
import { assetPath } from "../../../src/util/package-root.ts";
import download from "../../../stages/download.ts";
import { runStage } from "../../rigs/stage-rig.ts";

const all: readonly Dataset[] = Object.values(datasets);

test("each set is listed under its own name with licence, size and files", () => {
  expect(all.map((dataset) => dataset.name)).toEqual(datasetNames);
  for (const { license, size, description, files } of all) {
    expect([license, size, description].every((text) => text !== "")).toBe(true);
    expect(files.length).toBeGreaterThan(0);
    expect(new Set(files.map((file) => file.path)).size).toBe(files.length);
  }
});

test("every file of the package is there with its pinned bytes", () => {
  const bundled = all.flatMap((dataset) => dataset.files).filter((file) => file.source.kind === "asset");
  expect(bundled).toHaveLength(9);
  for (const { source, sha256, bytes } of bundled) {
    if (source.kind !== "asset") continue;
    expect(digestFile(assetPath(source.path))).toEqual({ digest: sha256, bytes });
  }
});

test("data sets whose HellaSwag or MMLU differs from the published items say so, and the hub's need not", () => {
  const noted = (dataset: Dataset) => dataset.files.flatMap(({ benchmark, note }) => (note ? [[benchmark, note]] : []));
  const reduced = ["hellaswag", expect.stringContaining("not those of lm-evaluation-harness byte for byte")];
  expect(noted(datasets["bundled-benchmarks"])).toEqual([
    reduced,
    ["mmlu", expect.stringContaining("1,200 characters")],
  ]);
  expect(noted(datasets["benchmarks-full"])).toEqual([reduced]);
  expect(noted(datasets["benchmarks-hub"])).toEqual([]);
});

test("each set names its columns, a mix those of all its sources, and where it comes from", () => {
  for (const dataset of all) {
    expect(dataset.columns?.length, dataset.name).toBeGreaterThan(0);
    expect(URL.canParse(dataset.homepage), dataset.name).toBe(true);
    for (const name of compileTemplate(dataset.text.template).columns) {
      if (dataset.kind === "text") expect(dataset.columns).toContain(name);
    }
  }
});

test("the columns of the bundled sets are those of their files", () => {
  for (const { name, kind, columns, files } of all.filter((dataset) => dataset.name.startsWith("bundled-"))) {
    const found = files.flatMap(({ source }) => {
      const file = source.kind === "asset" ? assetPath(...source.path.split("/")) : "";
      return Object.keys(JSON.parse(gunzipSync(readFileSync(file)).toString("utf8").split("\n", 1)[0]!));
    });
    expect([...new Set(found)].sort(), `${name}, ${kind}`).toEqual([...(columns ?? [])].sort());
  }
});

test("the paper's mix is its four sets one after the other, each with its own template", () => {
  const { files, kind } = datasets["stlm-mix"];
  expect(kind).toBe("text");
  const templates = new Map(files.map((file) => [file.sourceName, file.text?.template]));
  expect([...templates]).toEqual([
    ["simple-wikipedia", "{text}"],
    ["python-code-500k", "Instruction: {instruction}\nOutput: {output}"],
    ["openhermes", "Question: {conversations.0.value}\nAnswers: {conversations.1.value}"],
    ["tinystories", "{text}"],
  ]);
});

test("files of the hub are named at a pinned revision", () => {
  const urls = all.flatMap((dataset) =>
    dataset.files.flatMap((file) => (file.source.kind === "url" ? file.source.urls : [])),
  );
  expect(urls.length).toBeGreaterThan(100);
  for (const url of urls) {
    expect(url).toMatch(/^https:\/\/huggingface\.co\/datasets\/[\w.-]+\/[\w.-]+\/resolve\/[0-9a-f]{40}\/\S+$/);
  }
});

/** The folder of --data-dir, where a developer has one. */
const dataDir = process.env["STLM_DATA_DIR"];
const localSets = all.filter((dataset) => dataset.files.every((file) => file.source.kind === "data-dir"));

describe.skipIf(dataDir === undefined)("the local sets (skipped without STLM_DATA_DIR)", () => {
  test.each(localSets.map((dataset) => [dataset.name, dataset] as const))(
    "%s can be fetched and read",
    async (name, dataset) => {
      const folder = path.join(dataDir!, "");
      expect(existsSync(folder) && statSync(folder).isDirectory()).toBe(true);
      const { outputs } = await runStage(download, { params: { dataset: name as "enwiki-2015" }, dataDir: folder });
      if (dataset.kind === "benchmark") return;
      let documents = 0;
      for await (const { utf8 } of readDocuments(outputs.dataset, { signal: new AbortController().signal })) {
        documents++;
        if (utf8.length === 0) throw new Error("an empty document came through");
      }
      expect(dataset.size.startsWith(documents.toLocaleString("en-US"))).toBe(true);
    },
  );
});
