import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { CorpusDocument } from "../../src/data/corpus.ts";
import { encodeDocuments } from "../../src/data/encode.ts";
import { BLOCK_BYTES, EncodeBlock } from "../../src/data/encode-block.ts";
import { EncodePool } from "../../src/data/encode-pool.ts";
import { splitNames } from "../../src/data/split.ts";
import { exactParts } from "../../src/data/tokenizers/exact-cuts.ts";
import { makeTokenizer, type Tokenizer } from "../../src/data/tokenizers/index.ts";
import { pieceEnd } from "../../src/data/tokenizers/pre-tokenizer.ts";
import { dtypeFor, TokensWriter } from "../../src/data/tokens.ts";
import { digestBytes } from "../../src/util/digest.ts";
import { CounterRandom } from "../../src/util/philox.ts";
import { digestFolder, temporaryFolder } from "../rigs/stage-rig.ts";
import { randomText } from "./tokenizers/texts.ts";

const SEED = 11;
const never = new AbortController().signal;
let tokenizer: Tokenizer;
beforeAll(async () => {
  const documents = Array.from({ length: 200 }, (_, index) => randomText(SEED, index));
  tokenizer = await makeTokenizer("bpe", { vocabSize: 700, documents });
});

function documentOf(text: string, index: number): CorpusDocument {
  const utf8 = Buffer.from(text);
  const hash = Buffer.from(digestBytes(utf8).slice("sha256:".length), "hex");
  const sourceName = index < 300 ? "first source" : "second source";
  const split = splitNames[index % splitNames.length]!;
  return { text, utf8, hash, split, sourceName, ...(index % 2 === 0 && { score: index / 7 }) };
}

async function* streamOf(documents: readonly CorpusDocument[]): AsyncGenerator<CorpusDocument> {
  for (const document of documents) yield document;
}

/** Digest of the `tokens` artifact that so many workers write. */
async function digestWith(workers: number, documents: readonly CorpusDocument[]): Promise<string> {
  const folder = temporaryFolder("tokens");
  const { vocabSize, endOfText, digest } = tokenizer;
  const layout = { dtype: dtypeFor(vocabSize), vocabSize, endOfText, tokenizer: digest };
  const writer = new TokensWriter((name) => path.join(folder, name), layout);
  await encodeDocuments(tokenizer, streamOf(documents), writer, { workers, signal: never });
  writer.finish({ duplicates: 0, empty: 0, replaced: 0 });
  return digestFolder(folder);
}

/** Documents from a few bytes to several blocks, one of them a single piece that no cut divides. */
function mixedDocuments(): CorpusDocument[] {
  const random = new CounterRandom(SEED, 0);
  const short = Array.from({ length: 400 }, (_, index) => randomText(SEED + 1, index));
  const long = short.join(" ").repeat(1 + Math.ceil((1.3 * BLOCK_BYTES) / short.join(" ").length));
  const texts = [...short.slice(0, 200), long, ...short.slice(200), "a".repeat(BLOCK_BYTES + 3), long.slice(7)];
  return texts.map((text, index) => documentOf(text.slice(random.integer(index, 3)).toWellFormed(), index));
}

test("any number of workers writes the bytes that no worker writes", async () => {
  const documents = mixedDocuments();
  const alone = await digestWith(0, documents);
  for (const workers of [1, 2, 3]) expect(await digestWith(workers, documents), `${workers} workers`).toBe(alone);
});

test("more documents than a block has places for come out in order", async () => {
  const documents = Array.from({ length: 40_000 }, (_, index) => documentOf(`${index % 977}`, index));
  expect(await digestWith(2, documents)).toBe(await digestWith(0, documents));
});

test("no documents make an empty artifact", async () => {
  expect(await digestWith(1, [])).toBe(await digestWith(0, []));
});

/** Threads of this process: a worker that was left behind is still one of them. */
const activeWorkers = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;

describe("workers end with the work", () => {
  const documents = () =>
    Array.from({ length: 50 }, (_, index) => documentOf(`${"word ".repeat(50_000)}${index}`, index));
  const sink = { writeIds: () => {}, endDocument: () => {} };

  test("when the source throws, whose message arrives", async () => {
    const before = activeWorkers();
    const failing = async function* () {
      yield* documents().slice(0, 20);
      throw new Error("row 21 cannot be read");
    };
    await expect(encodeDocuments(tokenizer, failing(), sink, { workers: 2, signal: never })).rejects.toThrow(
      "row 21 cannot be read",
    );
    expect(activeWorkers()).toBe(before);
  });

  test("when the disk is full", async () => {
    const before = activeWorkers();
    const full = {
      ...sink,
      writeIds: () => {
        throw new Error("ENOSPC: no space left");
      },
    };
    await expect(
      encodeDocuments(tokenizer, streamOf(documents()), full, { workers: 2, signal: never }),
    ).rejects.toThrow("no space left");
    expect(activeWorkers()).toBe(before);
  });

  test("when the run is aborted, whatever they are at", async () => {
    const before = activeWorkers();
    const stop = new AbortController();
    const endless = async function* () {
      for (let index = 0; ; index++) {
        if (index === 30) stop.abort(new Error("stopped by the user"));
        yield documentOf(`${"long ".repeat(50_000)}${index}`, index);
        await sleep(0);
      }
    };
    await expect(encodeDocuments(tokenizer, endless(), sink, { workers: 2, signal: stop.signal })).rejects.toThrow(
      "stopped by the user",
    );
    expect(activeWorkers()).toBe(before);
    await expect(
      encodeDocuments(tokenizer, streamOf([]), sink, { workers: 2, signal: AbortSignal.abort() }),
    ).rejects.toThrow(/abort/i);
  });
});

describe("a worker that fails", () => {
  /** A block whose memory for ids is no whole number of them. */
  function impossibleBlock(): EncodeBlock {
    const block = new EncodeBlock(8, 2);
    Object.defineProperty(block.memory, "ids", { value: new SharedArrayBuffer(3) });
    return block;
  }

  test("fails its blocks and all later ones with its message", async () => {
    const pool = await EncodePool.start(tokenizer, 1, never);
    try {
      const first = pool.encode(impossibleBlock());
      const second = pool.encode(new EncodeBlock(8, 2));
      await expect(first).rejects.toThrow("byte length of Uint32Array should be a multiple of 4");
      await expect(second).rejects.toThrow("multiple of 4");
      await expect(pool.encode(new EncodeBlock(8, 2))).rejects.toThrow("multiple of 4");
    } finally {
      await pool.close();
    }
  });
});

test("a text in exact parts has the ids of the whole, valid UTF-8 or not", () => {
  const text = fc.oneof(
    fc.nat(100_000).map((index) => Buffer.from(randomText(SEED + 2, index))),
    fc.array(fc.constantFrom(0x20, 0x0a, 0x61, 0x27, 0x73, 0x85, 0xc2, 0xe3, 0x80, 0x21, 0x37)).map(Buffer.from),
  );
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 40 }), (utf8, size) => {
      const parts = [...exactParts(utf8, size)];
      expect(parts.map(({ from }) => from)).toEqual([0, ...parts.map(({ to }) => to)].slice(0, parts.length));
      expect(parts.at(-1)?.to ?? 0).toBe(utf8.length);
      const ids = parts.flatMap(({ from, to }) => [...tokenizer.encodeUtf8(utf8, from, to)]);
      expect(ids).toEqual([...tokenizer.encodeUtf8(utf8)]);
    }),
    { numRuns: 500, seed: SEED },
  );
});

/** Where the pieces of a text end. */
function pieceEnds(utf8: Uint8Array, from = 0, to = utf8.length): number[] {
  const ends: number[] = [];
  for (let at = from; at < to; ) {
    at = pieceEnd(utf8, at, to);
    ends.push(at);
  }
  return ends;
}

test("no piece is cut, whatever white space it is made of", () => {
  const bits = fc.constantFrom(" ", " ", "\n", "\u0085", "\u3000", "\u00a0", "a", "é", "1", "'s", "'", "!", "\ufeff");
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 30 }), fc.integer({ min: 1, max: 12 }), (text, size) => {
      const utf8 = Buffer.from(text.join(""));
      const cut = [...exactParts(utf8, size)].flatMap(({ from, to }) => pieceEnds(utf8, from, to));
      expect(cut).toEqual(pieceEnds(utf8));
    }),
    { numRuns: 500, seed: SEED },
  );
});

test("prose is cut into parts near the size that is asked for", () => {
  const sizes = [...exactParts(Buffer.from("once upon a time ".repeat(1000)), 1000)].map(({ from, to }) => to - from);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
  expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(980);
});
