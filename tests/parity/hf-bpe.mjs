// Makes tests/parity/hf-bpe.json: what Hugging Face's BPE trainer learns from the bundled stories.
// It needs the package `tokenizers` 0.23.2, which is no dependency of this one:
//   mkdir /tmp/hf && cd /tmp/hf && npm i tokenizers@0.23.2
//   node tests/parity/hf-bpe.mjs /tmp/hf/node_modules/tokenizers/index.js
// Its Node interface offers the default trainer alone: 30,000 entries, minimum frequency 0, one text per line.

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

const { default: hf } = await import(pathToFileURL(path.resolve(process.argv[2])).href);
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const stories = gunzipSync(readFileSync(new URL("../../assets/data/stories.jsonl.gz", import.meta.url)))
  .toString("utf8")
  .trimEnd()
  .split("\n")
  .map((line) => `${JSON.parse(line).text}\n`);

const folder = mkdtempSync(path.join(tmpdir(), "hf-bpe-"));
try {
  const file = path.join(folder, "stories.txt");
  writeFileSync(file, stories.join(""));
  const tokenizer = new hf.Tokenizer(hf.BPE.empty());
  tokenizer.setPreTokenizer(hf.byteLevelPreTokenizer(false, true));
  tokenizer.train([file]);
  tokenizer.save(path.join(folder, "tokenizer.json"));
  const { model } = JSON.parse(readFileSync(path.join(folder, "tokenizer.json"), "utf8"));
  const merges = model.merges.map((merge) => (Array.isArray(merge) ? merge.join(" ") : merge));
  const golden = {
    about: "SHA-256 of the first merges, one a line, `left right` in printable symbols; made by hf-bpe.mjs",
    trainer: "tokenizers 0.23.2, default BpeTrainer, bundled stories line by line",
    merges: merges.length,
    sha256: Object.fromEntries(
      [1_000, 4_096, merges.length].map((count) => [count, sha256(`${merges.slice(0, count).join("\n")}\n`)]),
    ),
    first: merges.slice(0, 10),
  };
  writeFileSync(new URL("hf-bpe.json", import.meta.url), `${JSON.stringify(golden, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
