// The bytes of a shard and the manifest beside it (docs/artifacts.md, "shards"; after Karpathy's llm.c).

import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { type Digest, hexOf, isDigest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { arrangementSchema } from "./arrangement.ts";
import type { SplitName } from "./split.ts";

export const HEADER_BYTES = 1024;
export const MAGIC = 20261123;
export const VERSION = 1;

/** Position of each value in the header's int32 words. */
const WORD = { magic: 0, version: 1, tokenBytes: 2, tokensLow: 3, tokensHigh: 4, vocabSize: 5, shard: 6, endOfText: 7 };
const TOKENIZER_AT = 32; // bytes: behind the eight words
const TWO_32 = 2 ** 32;

export interface ShardHeader {
  readonly tokenBytes: 2 | 4;
  readonly tokens: number;
  readonly vocabSize: number;
  readonly shard: number;
  readonly endOfText: number;
  readonly tokenizer: Digest;
}

export function encodeHeader(header: ShardHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const put = (word: number, value: number) => bytes.writeUInt32LE(value, word * 4);
  put(WORD.magic, MAGIC);
  put(WORD.version, VERSION);
  put(WORD.tokenBytes, header.tokenBytes);
  put(WORD.tokensLow, header.tokens % TWO_32);
  put(WORD.tokensHigh, Math.floor(header.tokens / TWO_32));
  put(WORD.vocabSize, header.vocabSize);
  put(WORD.shard, header.shard);
  put(WORD.endOfText, header.endOfText);
  bytes.write(hexOf(header.tokenizer), TOKENIZER_AT, "hex");
  return bytes;
}

/** Throws an Error that says what is wrong with the bytes. */
export function decodeHeader(bytes: Buffer): ShardHeader {
  if (bytes.length < HEADER_BYTES) throw new Error(`it has ${bytes.length} bytes, less than its header`);
  const get = (word: number) => bytes.readUInt32LE(word * 4);
  if (get(WORD.magic) !== MAGIC) throw new Error(`it begins with ${get(WORD.magic)} instead of ${MAGIC}`);
  if (get(WORD.version) !== VERSION) throw new Error(`its version is ${get(WORD.version)}, and ${VERSION} is known`);
  const tokenBytes = get(WORD.tokenBytes);
  if (tokenBytes !== 2 && tokenBytes !== 4) throw new Error(`its tokens have ${tokenBytes} bytes instead of 2 or 4`);
  return {
    tokenBytes,
    tokens: get(WORD.tokensLow) + get(WORD.tokensHigh) * TWO_32,
    vocabSize: get(WORD.vocabSize),
    shard: get(WORD.shard),
    endOfText: get(WORD.endOfText),
    tokenizer: `sha256:${bytes.toString("hex", TOKENIZER_AT, TOKENIZER_AT + 32)}`,
  };
}

const digest = z.string().refine(isDigest);
const count = z.int().min(0);
const splitSchema = z.strictObject({
  /** End-of-text ids included: the length of the split's stream. */
  tokens: count,
  documents: count,
  bytes: count,
  characters: count,
  shards: z.array(z.strictObject({ file: z.string(), tokens: count, documents: count, sha256: digest })),
  index: z.string(),
  indexSha256: digest,
  /** Of a mix: the sources one after the other, as they lie in the stream; end-of-text ids included. */
  sources: z.array(z.strictObject({ name: z.string(), tokens: count, documents: count, bytes: count })).optional(),
});
const manifestSchema = z.strictObject({
  dtype: z.enum(["uint16", "uint32"]),
  vocabSize: z.int().min(1),
  endOfText: count,
  tokenizer: digest,
  splits: z.strictObject({ train: splitSchema, validation: splitSchema, test: splitSchema }),
  ...arrangementSchema.shape,
});

export type ShardsManifest = z.output<typeof manifestSchema>;
export type SplitManifest = ShardsManifest["splits"][SplitName];

/** Throws a UserError when `folder` is no `shards` artifact. */
export function readShardsManifest(folder: string): ShardsManifest {
  const file = path.join(folder, "manifest.json");
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new UserError(`${file} is not the description of shards: ${messageOf(cause)}`, {
      code: "BAD_SHARDS",
      hint: "The input must come from a shard stage.",
      cause,
    });
  }
}

export function shardFile(split: SplitName, number: number): string {
  return `${split}-${String(number).padStart(5, "0")}.bin`;
}

export function indexFile(split: SplitName): string {
  return `${split}-documents.bin`;
}
