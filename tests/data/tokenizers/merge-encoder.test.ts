import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { GPT2_BYTE_ORDER } from "../../../src/data/tokenizers/byte-symbols.ts";
import { makeTokenizer } from "../../../src/data/tokenizers/index.ts";
import { MergeEncoder } from "../../../src/data/tokenizers/merge-encoder.ts";
import { encodeSlowly } from "../../../src/data/tokenizers/slow-encoder.ts";
import { ByteLevelTokenizer } from "../../../src/data/tokenizers/tokenizer.ts";
import { Vocabulary } from "../../../src/data/tokenizers/vocabulary.ts";
import { fixedTexts, randomText } from "./texts.ts";

/** Vocabularies of random merges: each joins two earlier entries, and no entry is made twice. */
const randomVocabulary = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 60 }).map((draws) => {
  const byteOfId = GPT2_BYTE_ORDER;
  const letters = [..."abc"].map((letter) => byteOfId.indexOf(letter.charCodeAt(0)));
  const ids = [...letters];
  const spellings = [..."abc"];
  const merges: number[] = [];
  for (const [a, b] of draws) {
    const left = a % ids.length;
    const right = b % ids.length;
    const spelling = spellings[left] + spellings[right];
    if (spellings.includes(spelling) || spelling.length > 40) continue;
    merges.push(ids[left], ids[right]);
    ids.push(256 + merges.length / 2 - 1);
    spellings.push(spelling);
  }
  return new Vocabulary(byteOfId, Int32Array.from(merges));
});

test("with any merges, short and long pieces have the ids of the slow encoder", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "a", "b", "c", " "), maxLength: 400 });
  fc.assert(
    fc.property(randomVocabulary, text, (vocabulary, words) => {
      const tokenizer = new ByteLevelTokenizer("bpe", vocabulary);
      const twice = [Array.from(tokenizer.encode(words)), Array.from(tokenizer.encode(words))]; // merged, then cached
      const slow = encodeSlowly(vocabulary, words);
      expect(twice).toEqual([slow, slow]);
    }),
    { numRuns: 300 },
  );
});

describe("a vocabulary trained on many scripts", () => {
  let tokenizer: ByteLevelTokenizer;
  beforeAll(async () => {
    const documents = Array.from({ length: 300 }, (_, index) => randomText(7, index));
    tokenizer = (await makeTokenizer("bpe", { vocabSize: 900, documents })) as ByteLevelTokenizer;
  });

  test("encodes as the slow encoder does", () => {
    const texts = [...fixedTexts, ...Array.from({ length: 100 }, (_, index) => randomText(8, index))];
    for (const text of texts) {
      expect(Array.from(tokenizer.encode(text)), JSON.stringify(text)).toEqual(
        encodeSlowly(tokenizer.vocabulary, text),
      );
    }
  });

  test("encodes a range of bytes wherever it lies", () => {
    for (const text of fixedTexts) {
      const utf8 = Buffer.from(text);
      const padded = Buffer.concat([Buffer.from("xyz'"), utf8, Buffer.from("sé  ")]);
      expect(tokenizer.encodeUtf8(padded, 4, 4 + utf8.length)).toEqual(tokenizer.encode(text));
    }
  });
});

test("ids beyond 65,535 are kept, in uint32", () => {
  const merges: number[] = [];
  for (let left = 0; left < 256 && merges.length < 2 * 65_400; left++) {
    for (let right = 0; right < 256; right++) merges.push(left, right);
  }
  const vocabulary = new Vocabulary(GPT2_BYTE_ORDER, Int32Array.from(merges));
  const tokenizer = new ByteLevelTokenizer("bpe", vocabulary);
  const pair = [253, 254]; // the ids of two bytes that stand for symbols, whose merge comes late
  const ids = tokenizer.encodeUtf8(Uint8Array.from(pair, (id) => vocabulary.byteOfId[id]));
  expect(ids).toEqual(Uint32Array.from([256 + 253 * 256 + 254]));
});

/** Least CPU seconds of three encodings of `bytes`. */
function cpuSeconds(encoder: MergeEncoder, bytes: Uint8Array): number {
  const out = new Uint16Array(bytes.length);
  return Math.min(
    ...[1, 2, 3].map(() => {
      const start = process.cpuUsage();
      encoder.encodeInto(bytes, 0, bytes.length, out, 0);
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1e6;
    }),
  );
}

test("long pieces take time near linear in their length, whatever they repeat", async () => {
  const gpt2 = (await makeTokenizer("gpt2", { documents: [] })) as ByteLevelTokenizer;
  const encoder = new MergeEncoder(gpt2.vocabulary);
  for (const unit of ["a", "ab", "the", "é", "=", "\n"]) {
    const piece = Buffer.from(unit.repeat(60_000));
    const once = cpuSeconds(encoder, piece);
    const fourTimes = cpuSeconds(encoder, Buffer.concat([piece, piece, piece, piece]));
    // Quadratic work would take 16 times as long; the rest is room for caches and a busy machine.
    expect(fourTimes / once, JSON.stringify(unit)).toBeLessThan(10);
  }
});
