// Merges of the bundled stories beside those that Hugging Face's trainer made: hf-bpe.mjs wrote hf-bpe.json.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { makeTokenizer } from "../../src/data/tokenizers/index.ts";
import { ByteLevelTokenizer } from "../../src/data/tokenizers/tokenizer.ts";
import { assetPath } from "../../src/util/package-root.ts";

const golden: { merges: number; sha256: Record<string, string>; first: string[] } = JSON.parse(
  readFileSync(new URL("hf-bpe.json", import.meta.url), "utf8"),
);

test("all merges of the bundled stories are those of Hugging Face's trainer, in the same order", async () => {
  const lines = gunzipSync(readFileSync(assetPath("data", "stories.jsonl.gz")))
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .flatMap((line) => `${JSON.parse(line).text}\n`.split(/(?<=\n)/)); // that trainer takes each line by itself
  const tokenizer = await makeTokenizer("bpe", { documents: lines, vocabSize: 257 + golden.merges });
  if (!(tokenizer instanceof ByteLevelTokenizer)) throw new TypeError("bpe is byte-level");
  const { merges } = tokenizer.vocabulary;
  const symbols = tokenizer.vocabulary.symbols();
  const spelled = Array.from(
    { length: golden.merges },
    (_, i) => `${symbols[merges[2 * i]]} ${symbols[merges[2 * i + 1]]}`,
  );

  expect(spelled.slice(0, golden.first.length)).toEqual(golden.first);
  for (const [count, sha256] of Object.entries(golden.sha256)) {
    const first = `${spelled.slice(0, Number(count)).join("\n")}\n`;
    expect(createHash("sha256").update(first).digest("hex"), `the first ${count}`).toBe(sha256);
  }
});
