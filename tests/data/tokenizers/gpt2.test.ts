// The oracle is OpenAI's own encoder, compiled to wasm.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { get_encoding } from "tiktoken";
import { afterAll, expect, test } from "vitest";
import { readGpt2 } from "../../../src/data/tokenizers/gpt2.ts";
import { encodeSlowly } from "../../../src/data/tokenizers/slow-encoder.ts";
import { assetPath } from "../../../src/util/package-root.ts";
import { fixedTexts, oddDocument, randomText } from "./texts.ts";

const gpt2 = readGpt2();
const oracle = get_encoding("gpt2");
afterAll(() => oracle.free());

function expectOracleIds(text: string): void {
  expect(Array.from(gpt2.encode(text)), JSON.stringify(text)).toEqual(Array.from(oracle.encode_ordinary(text)));
}

test("GPT-2 has 50,257 entries and ends a text with the last", () => {
  expect(gpt2.vocabSize).toBe(50_257);
  expect(gpt2.endOfText).toBe(50_256);
  expect(gpt2.encode("Hello world")).toEqual(Uint16Array.from([15496, 995]));
});

test("every entry has the bytes that tiktoken gives it", () => {
  const other = Array.from({ length: gpt2.vocabSize }, (_, id) => id).filter(
    (id) => !Buffer.from(gpt2.decodeBytes([id])).equals(oracle.decode_single_token_bytes(id)),
  );
  expect(other).toEqual([]);
});

test("texts in twelve scripts, emoji, odd white space and special strings have tiktoken's ids", () => {
  for (const text of fixedTexts) expectOracleIds(text);
});

test("any text has tiktoken's ids", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), expectOracleIds), { numRuns: 500 });
});

test("documents of twelve scripts, emoji, all planes, odd white space and broken markup have tiktoken's ids and decode", () => {
  fc.assert(
    fc.property(oddDocument, (text) => {
      expectOracleIds(text);
      expect(gpt2.decode(gpt2.encode(text))).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test("a thousand texts of mixed scripts, random code points and long repeats have tiktoken's ids", () => {
  for (let index = 0; index < 1000; index++) expectOracleIds(randomText(2019, index));
});

test("all of them as one text have tiktoken's ids", () => {
  expectOracleIds(Array.from({ length: 1000 }, (_, index) => randomText(2020, index)).join(""));
});

test("every code point of the planes in use is of the class that tiktoken gives it", () => {
  const starts = [...Array.from({ length: 0x20 }, (_, i) => i * 0x2000), 0xe0000];
  for (const start of starts) {
    let text = "";
    for (let codePoint = start; codePoint < start + 0x2000; codePoint++) {
      if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
      const character = String.fromCodePoint(codePoint);
      text += `a${character}'ve  ${character}`; // a symbol joins the apostrophe, white space the spaces
    }
    const ours = Buffer.from(gpt2.encode(text).buffer);
    const theirs = Buffer.from(Uint16Array.from(oracle.encode_ordinary(text)).buffer);
    expect(ours.equals(theirs), `code points from U+${start.toString(16)}`).toBe(true);
  }
});

test("the slow encoder gives the same ids", () => {
  for (const text of fixedTexts) expect(encodeSlowly(gpt2.vocabulary, text)).toEqual(Array.from(gpt2.encode(text)));
});

test("a file of merges that is not the published one is refused", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "gpt2-"));
  try {
    const file = path.join(folder, "vocab.bpe");
    const bytes = readFileSync(assetPath("gpt2", "vocab.bpe"));
    bytes[1000] ^= 1;
    writeFileSync(file, bytes);
    expect(() => readGpt2(file)).toThrow(expect.objectContaining({ name: "UserError", code: "ASSET_CORRUPT" }));
    expect(() => readGpt2(path.join(folder, "none"))).toThrow(expect.objectContaining({ code: "ASSET_UNREADABLE" }));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
