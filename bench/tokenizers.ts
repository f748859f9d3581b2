// How fast the tokenizers are, in bytes of text per second of this process's CPU time (so that a busy machine does not
// blur it), beside `tiktoken` and Hugging Face's library on the same text in the same run. `npx tsx bench/tokenizers.ts [file.txt]`; without a
// file, the bundled stories. "cold" is the first pass of the process: nothing compiled, nothing cached.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { get_encoding } from "tiktoken";
import { encodeDocuments } from "../src/data/encode.ts";
import { makeTokenizer } from "../src/data/tokenizers/index.ts";
import type { Tokenizer } from "../src/data/tokenizers/tokenizer.ts";
import { formatBytes, formatCount } from "../src/util/format.ts";
import { cpuSeconds, median, sendRow } from "./rows.ts";
import { bundledStories } from "./texts.ts";

/** Sizes near those of the bundled stories, so that no text is one long document. */
const DOCUMENT_CHARACTERS = 1 << 14;
const LONG_RUN_BYTES = 10_000_000;
const WORKER_BYTES = 80_000_000;
const WORKER_REPEATS = 3;

const documents = readDocuments(process.argv[2]);
const bytes = documents.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
console.log(`${formatCount(documents.length)} documents, ${formatBytes(bytes)}`);

const gpt2 = await makeTokenizer("gpt2", { documents: [] });
const cold = report("gpt2 encode, cold", () => encodeAll(gpt2));
report("gpt2 encode, second pass", () => encodeAll(gpt2));
const steady = report("gpt2 encode, third pass", () => encodeAll(gpt2));
const tiktoken = get_encoding("gpt2");
tiktoken.encode_ordinary(documents[0]!);
const peer = report("tiktoken encode_ordinary", () =>
  documents.reduce((sum, document) => sum + tiktoken.encode_ordinary(document).length, 0),
);
ratio("gpt2 encode / tiktoken, cold", peer.cpu / cold.cpu);
ratio("gpt2 encode / tiktoken, cold, wall", peer.wall / cold.wall);
ratio("gpt2 encode / tiktoken, steady", peer.cpu / steady.cpu);
await encodeWithHuggingFace();

const start = cpuSeconds();
const bpe = await makeTokenizer("bpe", { vocabSize: 4096, documents });
printRate("bpe training to 4,096", cpuSeconds() - start, bytes);
report("bpe encode, new vocabulary", () => encodeAll(bpe));
const ids = documents.map((document) => bpe.encode(document));
report("bpe decode", () => ids.reduce((sum, document) => sum + bpe.decode(document).length, 0));

const run = new Uint8Array(LONG_RUN_BYTES).fill(0x61);
report(`gpt2 encode, ${formatBytes(LONG_RUN_BYTES)} of one letter`, () => gpt2.encodeUtf8(run).length, LONG_RUN_BYTES);
await encodeInWorkers();

/** Its encoder makes objects with offsets and words for every token, which ours does not. */
async function encodeWithHuggingFace(): Promise<void> {
  const { Tokenizer } = createRequire(import.meta.url)("@anush008/tokenizers") as typeof import("@anush008/tokenizers");
  const folder = mkdtempSync(path.join(tmpdir(), "stlm-gpt2-"));
  try {
    gpt2.save(folder);
    const theirs = Tokenizer.fromFile(path.join(folder, "tokenizer.json"));
    const some = documents.slice(0, Math.ceil(documents.length / 5));
    const startCpu = cpuSeconds();
    for (const document of some) (await theirs.encode(document, null, { addSpecialTokens: false })).getIds();
    const seconds = cpuSeconds() - startCpu;
    const someBytes = some.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
    printRate("Hugging Face tokenizers encode", seconds, someBytes);
    ratio("gpt2 encode / Hugging Face, cold", seconds / someBytes / (cold.cpu / bytes));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * A longer text without workers (all in one thread), through one and through two, by turns. With one worker the main thread, which
 * reads and writes, already has a processor of its own, so one thread is what two workers are compared with.
 */
async function encodeInWorkers(): Promise<void> {
  const copies = Math.ceil(WORKER_BYTES / bytes);
  const utf8 = documents.map((document) => Buffer.from(document));
  const hash = Buffer.alloc(32);
  async function* source() {
    for (let copy = 0; copy < copies; copy++) {
      for (const text of utf8) yield { text: "", utf8: text, hash, split: "train" as const };
    }
  }
  const sink = { writeIds: () => {}, endDocument: () => {} };
  const signal = new AbortController().signal;
  const wall: Record<number, number[]> = { 0: [], 1: [], 2: [] };
  const cpu: Record<number, number[]> = { 0: [], 1: [], 2: [] };
  for (let repeat = 0; repeat < WORKER_REPEATS; repeat++) {
    for (const workers of [0, 1, 2]) {
      const [startCpu, startMs] = [cpuSeconds(), performance.now()];
      await encodeDocuments(gpt2, source(), sink, { workers, signal });
      wall[workers]!.push((performance.now() - startMs) / 1e3);
      cpu[workers]!.push(cpuSeconds() - startCpu);
    }
  }
  for (const [workers, name] of ["one thread", "1 worker", "2 workers"].entries()) {
    printRate(`gpt2 encode, ${name}`, median(cpu[workers]!), copies * bytes);
    printRate(`gpt2 encode, ${name}`, median(wall[workers]!), copies * bytes, "MB/s wall");
  }
  ratio("gpt2 encode, 2 workers / one thread, wall", median(wall[0]!) / median(wall[2]!));
  ratio("gpt2 encode, 2 workers / 1 worker, wall", median(wall[1]!) / median(wall[2]!));
}

function readDocuments(file: string | undefined): string[] {
  if (file !== undefined) {
    const text = readFileSync(file, "utf8");
    const count = Math.ceil(text.length / DOCUMENT_CHARACTERS);
    return Array.from({ length: count }, (_, i) =>
      text.slice(i * DOCUMENT_CHARACTERS, (i + 1) * DOCUMENT_CHARACTERS).toWellFormed(),
    );
  }
  return bundledStories();
}

function encodeAll(tokenizer: Tokenizer): number {
  return documents.reduce((sum, document) => sum + tokenizer.encode(document).length, 0);
}

/** Runs `work`, which returns how many things it made; CPU seconds count the compiler's and the garbage collector's threads. */
function report(name: string, work: () => number, workBytes = bytes): { readonly cpu: number; readonly wall: number } {
  const [startCpu, startMs] = [cpuSeconds(), performance.now()];
  const count = work();
  const seconds = { cpu: cpuSeconds() - startCpu, wall: (performance.now() - startMs) / 1e3 };
  printRate(`${name} (${formatCount(count)})`, seconds.cpu, workBytes);
  return seconds;
}

function printRate(name: string, seconds: number, workBytes: number, unit = "MB/s"): void {
  sendRow({ suite: "tokenizers", name: name.replace(/ \([\d,]+\)$/, ""), value: workBytes / 1e6 / seconds, unit });
  console.log(`${name.padEnd(56)} ${seconds.toFixed(3)} s  ${(workBytes / 1e6 / seconds).toFixed(1)} ${unit}`);
}

function ratio(name: string, value: number): void {
  sendRow({ suite: "tokenizers", name, value, unit: "x" });
  console.log(`${name.padEnd(56)} ${value.toFixed(2)} x`);
}
