// Texts for the data benchmarks: the bundled stories, and as many megabytes as are asked for.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { readDocuments } from "../src/data/documents.ts";
import { assetPath } from "../src/util/package-root.ts";
import download from "../stages/download.ts";
import { runStage } from "../tests/rigs/stage-rig.ts";
import { writeSyntheticCorpus } from "./synthetic-corpus.ts";

export function bundledStories(): string[] {
  const lines = gunzipSync(readFileSync(assetPath("data", "stories.jsonl.gz"))).toString("utf8");
  return lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).text);
}

export interface ManyTexts {
  /** `English` or `synthetic`: part of a row's name, for the two are not to be compared. */
  readonly kind: string;
  readonly documents: readonly string[];
  readonly bytes: number;
}

/** Documents of at least `bytes` bytes: English Wikipedia where STLM_DATA_DIR has it, else synthetic ones. */
export async function manyTexts(bytes: number): Promise<ManyTexts> {
  const dataDir = process.env["STLM_DATA_DIR"];
  const temporary = mkdtempSync(path.join(tmpdir(), "stlm-texts-"));
  try {
    if (dataDir === undefined) {
      writeSyntheticCorpus(temporary, 1.02 * bytes);
      return await collect("synthetic", temporary, bytes);
    }
    const { outputs } = await runStage(download, { params: { dataset: "enwiki-2015" }, dataDir });
    return await collect("English", outputs.dataset, bytes);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

async function collect(kind: string, folder: string, wanted: number): Promise<ManyTexts> {
  const documents: string[] = [];
  let bytes = 0;
  for await (const { text, utf8 } of readDocuments(folder, { signal: new AbortController().signal })) {
    documents.push(text);
    bytes += utf8.length;
    if (bytes >= wanted) break;
  }
  return { kind, documents, bytes };
}
