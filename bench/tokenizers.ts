// How fast the tokenizers are, in bytes of text per second of this process's CPU time (so that a busy machine does not
// blur it), beside `tiktoken` on the same text in the same run. `npx tsx bench/tokenizers.ts [file.txt]`; without a
// file, the bundled stories. "cold" is the first pass of the process: nothing compiled, nothing cached.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { get_encoding } from "tiktoken";
import { makeTokenizer } from "../src/data/tokenizers/index.ts";
import type { Tokenizer } from "../src/data/tokenizers/tokenizer.ts";
import { formatBytes, formatCount } from "../src/util/format.ts";
import { assetPath } from "../src/util/package-root.ts";
import { cpuSeconds, sendRow } from "./rows.ts";

/** Sizes near those of the bundled stories, so that no text is one long document. */
const DOCUMENT_CHARACTERS = 1 << 14;
const LONG_RUN_BYTES = 10_000_000;

const documents = readDocuments(process.argv[2]);
const bytes = documents.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
console.log(`${formatCount(documents.length)} documents, ${formatBytes(bytes)}`);

const gpt2 = await makeTokenizer("gpt2", { documents: [] });
const cold = report("gpt2 encode, cold", () => encodeAll(gpt2));
report("gpt2 encode, second pass", () => encodeAll(gpt2));
const steady = report("gpt2 encode, third pass", () => encodeAll(gpt2));
const tiktoken = get_encoding("gpt2");
tiktoken.encode_ordinary(documents[0]);
const peer = report("tiktoken encode_ordinary", () =>
  documents.reduce((sum, document) => sum + tiktoken.encode_ordinary(document).length, 0),
);
console.log(`ours / tiktoken: ${(peer / cold).toFixed(1)} cold, ${(peer / steady).toFixed(1)} steady`);

const start = cpuSeconds();
const bpe = await makeTokenizer("bpe", { vocabSize: 4096, documents });
printRate("bpe training to 4,096", cpuSeconds() - start, bytes);
report("bpe encode, new vocabulary", () => encodeAll(bpe));
const ids = documents.map((document) => bpe.encode(document));
report("bpe decode", () => ids.reduce((sum, document) => sum + bpe.decode(document).length, 0));

const run = new Uint8Array(LONG_RUN_BYTES).fill(0x61);
report(`gpt2 encode, ${formatBytes(LONG_RUN_BYTES)} of one letter`, () => gpt2.encodeUtf8(run).length, LONG_RUN_BYTES);

function readDocuments(file: string | undefined): string[] {
  if (file !== undefined) {
    const text = readFileSync(file, "utf8");
    const count = Math.ceil(text.length / DOCUMENT_CHARACTERS);
    return Array.from({ length: count }, (_, i) =>
      text.slice(i * DOCUMENT_CHARACTERS, (i + 1) * DOCUMENT_CHARACTERS).toWellFormed(),
    );
  }
  const lines = gunzipSync(readFileSync(assetPath("data", "stories.jsonl.gz"))).toString("utf8");
  return lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).text);
}

function encodeAll(tokenizer: Tokenizer): number {
  return documents.reduce((sum, document) => sum + tokenizer.encode(document).length, 0);
}

/** Runs `work`, which returns how many things it made, and returns its CPU seconds. */
function report(name: string, work: () => number, workBytes = bytes): number {
  const start = cpuSeconds();
  const count = work();
  const seconds = cpuSeconds() - start;
  printRate(`${name} (${formatCount(count)})`, seconds, workBytes);
  return seconds;
}

function printRate(name: string, seconds: number, workBytes: number): void {
  sendRow({ suite: "tokenizers", name, value: workBytes / 1e6 / seconds, unit: "MB/s" });
  console.log(`${name.padEnd(48)} ${seconds.toFixed(3)} s  ${(workBytes / 1e6 / seconds).toFixed(1)} MB/s`);
}
