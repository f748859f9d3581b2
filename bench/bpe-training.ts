// BPE training on 100 MB, to GPT-2's size, and to 30,000 beside Hugging Face's trainer on the same lines (its interface
// offers no other size): CPU seconds of all threads, and whether the merges are the same.
// `npx tsx bench/bpe-training.ts [bytes]`

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { makeTokenizer, type Tokenizer } from "../src/data/tokenizers/index.ts";
import { formatBytes, formatCount } from "../src/util/format.ts";
import { cpuSeconds, sendRow } from "./rows.ts";
import { manyTexts } from "./texts.ts";

const suite = "bpe training";
const { kind, documents, bytes } = await manyTexts(Number(process.argv[2] ?? 1e8));
const size = `${formatBytes(bytes)} ${kind}`;

function row(name: string, value: number, unit: string): void {
  console.log(`${size}, ${name}: ${value.toPrecision(4)} ${unit}`);
  sendRow({ suite, name: `${size}, ${name}`, value, unit });
}

async function train(texts: readonly string[], vocabSize: number): Promise<{ tokenizer: Tokenizer; seconds: number }> {
  const start = cpuSeconds();
  const tokenizer = await makeTokenizer("bpe", { vocabSize, documents: texts });
  return { tokenizer, seconds: cpuSeconds() - start };
}

row("to 50,257", (await train(documents, 50_257)).seconds, "CPU s");

type HuggingFace = typeof import("@anush008/tokenizers");
const huggingFace: HuggingFace = createRequire(import.meta.url)("@anush008/tokenizers");
const folder = mkdtempSync(path.join(tmpdir(), "stlm-bpe-"));
try {
  const text = documents.map((document) => `${document}\n`).join("");
  const file = path.join(folder, "text.txt");
  writeFileSync(file, text);
  const lines = text.match(/.*\n/g)!; // that trainer takes each line by itself
  const theirs = new huggingFace.Tokenizer(huggingFace.BPE.empty());
  theirs.setPreTokenizer(huggingFace.byteLevelPreTokenizer(false, true));
  const start = cpuSeconds();
  theirs.train([file]);
  const peer = cpuSeconds() - start;
  theirs.save(path.join(folder, "tokenizer.json"));
  const saved = JSON.parse(readFileSync(path.join(folder, "tokenizer.json"), "utf8"));
  const merges = (saved.model.merges as (string | string[])[]).map((merge) =>
    Array.isArray(merge) ? merge.join(" ") : merge,
  );

  const ours = await train(lines, 257 + merges.length);
  row("to 30,000", ours.seconds, "CPU s");
  row("to 30,000, Hugging Face", peer, "CPU s");
  row("to 30,000, Hugging Face / ours", peer / ours.seconds, "x");
  const { vocabulary } = ours.tokenizer;
  const symbols = vocabulary.symbols();
  const spelled = merges.map(
    (_, i) => `${symbols[vocabulary.merges[2 * i]!]} ${symbols[vocabulary.merges[2 * i + 1]!]}`,
  );
  row(
    `merges of ${formatCount(merges.length)} that differ`,
    merges.filter((merge, i) => merge !== spelled[i]).length,
    "",
  );
} finally {
  rmSync(folder, { recursive: true });
}
