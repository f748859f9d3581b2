import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeHeader, encodeHeader, HEADER_BYTES } from "../../src/data/shard-format.ts";
import { writeShards } from "../../src/data/shard-writer.ts";
import { openShards } from "../../src/data/shards.ts";
import { type SplitName, splitNames } from "../../src/data/split.ts";
import { dtypeFor, TokensWriter } from "../../src/data/tokens.ts";
import { windowStart } from "../../src/data/windows.ts";
import { digestBytes } from "../../src/util/digest.ts";
import { temporaryFolder } from "../rigs/stage-rig.ts";

const tokenizer = digestBytes("a tokenizer");

interface TestDocument {
  readonly split: SplitName;
  readonly text: string;
  readonly ids: readonly number[];
}

async function makeShards(documents: readonly TestDocument[], vocabSize: number, shardTokens: number): Promise<string> {
  const tokens = temporaryFolder("tokens");
  const layout = { dtype: dtypeFor(vocabSize), vocabSize, endOfText: vocabSize - 1, tokenizer };
  const writer = new TokensWriter((name) => path.join(tokens, name), layout);
  for (const { split, text, ids } of documents) {
    const utf8 = Buffer.from(text);
    const hash = Buffer.from(digestBytes(utf8).slice(7), "hex");
    writer.write(
      { text, utf8, hash, split },
      layout.dtype === "uint16" ? Uint16Array.from(ids) : Uint32Array.from(ids),
    );
  }
  writer.finish({ duplicates: 0, empty: 0, replaced: 0 });
  const shards = temporaryFolder("shards");
  const signal = new AbortController().signal;
  await writeShards({ tokens, pathOf: (name) => path.join(shards, name), shardTokens, signal, onProgress: () => {} });
  return shards;
}

const documentsFor = (vocabSize: number) =>
  fc.array(
    fc.record({
      split: fc.constantFrom(...splitNames),
      text: fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
      ids: fc.array(fc.nat(vocabSize - 2), { maxLength: 30 }),
    }),
    { maxLength: 12 },
  );

test.each([1000, 65_536, 65_537, 200_000])("what is read is what was written (vocabulary of %i)", async (vocabSize) => {
  await fc.assert(
    fc.asyncProperty(
      documentsFor(vocabSize),
      fc.integer({ min: 1, max: 60 }),
      fc.nat(),
      async (documents, shardTokens, place) => {
        const folder = await makeShards(documents, vocabSize, shardTokens);
        // An odd place reads by position, as large splits do; an even one from memory.
        const set = openShards(folder, place % 2 === 1 ? { residentBytes: 0 } : {});
        set.verify();
        for (const name of splitNames) {
          const expected = documents.filter(({ split }) => split === name);
          const split = set.split(name);
          expect([...split.documents()]).toEqual(
            expected.map(({ text, ids }) => ({
              ids: Int32Array.from(ids),
              bytes: Buffer.byteLength(text),
              characters: [...text].length,
            })),
          );
          const stream = expected.flatMap(({ ids }) => [...ids, vocabSize - 1]);
          expect(split.tokens).toBe(stream.length);
          expect(split.documentCount).toBe(expected.length);
          const start = place % (stream.length + 1);
          expect([...split.readWindow(start, stream.length - start)]).toEqual(stream.slice(start));
        }
        set.close();
      },
    ),
    { numRuns: 15 },
  );
});

test("the header's bytes are those of the format", () => {
  const header = {
    tokenBytes: 2,
    tokens: 2 ** 33 + 5,
    vocabSize: 50_257,
    shard: 3,
    endOfText: 50_256,
    tokenizer,
  } as const;
  const bytes = encodeHeader(header);
  expect(bytes).toHaveLength(HEADER_BYTES);
  // magic 20261123, version 1, 2 bytes a token, 2^33 + 5 tokens, vocabulary, shard, end of text, SHA-256
  const words = "03293501 01000000 02000000 05000000 02000000 51c40000 03000000 50c40000";
  expect(bytes.subarray(0, 32).toString("hex")).toBe(words.replaceAll(" ", ""));
  expect(bytes.readInt32LE(0)).toBe(20261123);
  expect(`sha256:${bytes.subarray(32, 64).toString("hex")}`).toBe(tokenizer);
  expect(bytes.subarray(64).every((byte) => byte === 0)).toBe(true);
  expect(decodeHeader(bytes)).toEqual(header);
});

describe("a damaged shard is refused", () => {
  const documents: TestDocument[] = [
    { split: "train", text: "one two", ids: [1, 2, 3] },
    { split: "train", text: "three", ids: [4, 5] },
  ];
  const damage = async (harm: (file: string) => void, file = "train-00000.bin") => {
    const folder = await makeShards(documents, 1000, 100);
    harm(path.join(folder, file));
    return openShards(folder);
  };
  const flip = (position: number) => (file: string) => {
    const bytes = readFileSync(file);
    bytes[position] = bytes[position]! ^ 1;
    writeFileSync(file, bytes);
  };

  test.each([
    ["cut short", (file: string) => truncateSync(file, HEADER_BYTES + 3), "bytes instead of"],
    ["cut inside its header", (file: string) => truncateSync(file, 100), "less than its header"],
    ["too long", (file: string) => appendFileSync(file, "xx"), "bytes instead of"],
    ["missing", (file: string) => rmSync(file), "cannot be opened (ENOENT)"],
    ["of another kind", flip(0), "it begins with"],
    ["of another version", flip(4), "its version is"],
    ["of another count", flip(12), "its header says tokens"],
    ["of another tokenizer", flip(40), "its header says tokenizer"],
  ])("when it is %s", async (_, harm, message) => {
    const set = await damage(harm);
    expect(() => set.split("train")).toThrow(message);
  });

  test("by verify(), when a single id or index entry changed", async () => {
    const ids = await damage(flip(HEADER_BYTES + 2));
    expect(() => ids.verify()).toThrow(/^train-00000\.bin is damaged: expected sha256:/);
    ids.close();
    const index = await damage(flip(4), "train-documents.bin");
    expect(() => index.verify()).toThrow(/^train-documents\.bin is damaged/);
    index.close();
  });

  test("when its index is cut short", async () => {
    const set = await damage((file) => truncateSync(file, 12), "train-documents.bin");
    expect(() => [...set.split("train").documents()]).toThrow("does not list 2 documents");
    set.close();
  });
});

test("a window outside the stream, or a buffer of another size, is a RangeError", async () => {
  const set = openShards(await makeShards([{ split: "train", text: "x", ids: [1, 2] }], 1000, 100));
  const split = set.split("train");
  expect([...split.readWindow(1, 2, new Int32Array(2))]).toEqual([2, 999]);
  for (const [start, length] of [
    [-1, 1],
    [0, 4],
    [3, 1],
    [0.5, 1],
  ] as const) {
    expect(() => split.readWindow(start, length)).toThrow(RangeError);
  }
  expect(() => split.readWindow(0, 2, new Int32Array(3))).toThrow(RangeError);
  set.close();
});

test("windows start anywhere they fit, and the same counter gives the same window", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(1e6),
      fc.nat(1000),
      fc.integer({ min: 1, max: 2 ** 40 }),
      (seed, step, index, tokens) => {
        const length = 1 + (index % Math.min(tokens, 1000));
        const start = windowStart(seed, step, index, tokens, length);
        expect(start >= 0 && start + length <= tokens && Number.isInteger(start)).toBe(true);
        expect(windowStart(seed, step, index, tokens, length)).toBe(start);
      },
    ),
  );
  const starts = new Set(Array.from({ length: 300 }, (_, index) => windowStart(1, 0, index, 12, 10)));
  expect([...starts].sort()).toEqual([0, 1, 2]);
  expect(() => windowStart(1, 0, 0, 9, 10)).toThrow("less than one window of 10");
});
