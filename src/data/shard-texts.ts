// The documents of shards as text again: for people who look into one, and for other programs.

import { closeSync, openSync, readSync } from "node:fs";
import path from "node:path";
import type { Digest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { decodeHeader, HEADER_BYTES, type ShardHeader } from "./shard-format.ts";
import type { ShardSet } from "./shards.ts";
import { type SplitName, splitNames } from "./split.ts";
import type { Tokenizer } from "./tokenizers/index.ts";

export interface TextDocument {
  /** Empty where a shard stands alone under a name that tells no split. */
  readonly split: SplitName | "";
  /** Place in its split, or in a shard that stands alone; from 0. */
  readonly document: number;
  /** Without the end of text. A fresh array. */
  readonly ids: Int32Array;
  readonly text: string;
}

export interface ReadTextsOptions {
  /** Default: all. */
  readonly splits?: readonly SplitName[] | undefined;
  /** Documents that are passed over at the beginning of each split. Default 0. */
  readonly start?: number;
}

/** A shard on its own: what its header says, without the manifest that names its bytes. */
export interface ShardFile {
  readonly header: ShardHeader;
  readonly split: SplitName | "";
  readonly path: string;
}

/** Every document in the order of the splits. Throws a UserError for ids that are not of this tokenizer. */
export function* readShardTexts(
  set: ShardSet,
  tokenizer: Tokenizer,
  options: ReadTextsOptions = {},
): Generator<TextDocument> {
  requireTokenizer(tokenizer, set.manifest.tokenizer);
  for (const split of options.splits ?? splitNames) {
    let document = options.start ?? 0;
    for (const { ids } of set.split(split).documents(document)) {
      yield { split, document, ids, text: decode(tokenizer, ids, `document ${document} of ${split}`) };
      document++;
    }
  }
}

/** Throws a UserError when the file is no shard. */
export function openShardFile(file: string): ShardFile {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    const header = decodeHeader(bytes.subarray(0, readSync(descriptor, bytes, 0, HEADER_BYTES, 0)));
    const split = splitNames.find((name) => path.basename(file).startsWith(`${name}-`)) ?? "";
    return { header, split, path: file };
  } catch (cause) {
    throw new UserError(`${file} is no shard: ${messageOf(cause)}.`, {
      code: "NO_SHARD",
      where: { file },
      hint: "Name a shard such as train-00000.bin, the folder of a shards artifact, its hash, or the stage that made it.",
      cause,
    });
  } finally {
    closeSync(descriptor);
  }
}

/** The documents of one shard, each of which ends with the end of text; nothing else holds that id. */
export function* readShardFileTexts(shard: ShardFile, tokenizer: Tokenizer, start = 0): Generator<TextDocument> {
  const { header, split } = shard;
  requireTokenizer(tokenizer, header.tokenizer);
  let document = 0;
  let pieces: Int32Array[] = [];
  for (const ids of readIds(shard)) {
    let from = 0;
    for (let end = ids.indexOf(header.endOfText); end >= 0; end = ids.indexOf(header.endOfText, from)) {
      if (document >= start) {
        const whole = concatenate([...pieces, ids.subarray(from, end)]);
        yield { split, document, ids: whole, text: decode(tokenizer, whole, `document ${document}`) };
      }
      pieces = [];
      document++;
      from = end + 1;
    }
    if (from < ids.length) pieces.push(ids.slice(from));
  }
  if (pieces.length > 0) throw cutShort(shard, "it ends in the middle of a document");
}

/** About a megabyte of ids at a time, valid until the next. */
function* readIds({ path: file, header }: ShardFile): Generator<Int32Array> {
  const descriptor = openSync(file, "r");
  try {
    const buffer = new Uint8Array(1 << 20);
    for (let done = 0; done < header.tokens; ) {
      const wanted = Math.min(buffer.length, (header.tokens - done) * header.tokenBytes);
      const count = readSync(descriptor, buffer, 0, wanted, HEADER_BYTES + done * header.tokenBytes);
      const tokens = Math.floor(count / header.tokenBytes);
      if (tokens === 0) throw cutShort({ path: file }, `it has ${done} tokens instead of ${header.tokens}`);
      yield Int32Array.from(
        header.tokenBytes === 2 ? new Uint16Array(buffer.buffer, 0, tokens) : new Uint32Array(buffer.buffer, 0, tokens),
      );
      done += tokens;
    }
  } finally {
    closeSync(descriptor);
  }
}

function cutShort({ path: file }: Pick<ShardFile, "path">, problem: string): UserError {
  return new UserError(`${file} is damaged: ${problem}.`, {
    code: "CORRUPT_SHARD",
    where: { file },
    hint: "Run `audit` to see what is damaged; `repro` makes it again.",
    exitCode: 1,
  });
}

function requireTokenizer(tokenizer: Tokenizer, digest: Digest): void {
  if (tokenizer.digest === digest) return;
  throw new UserError(`The shards were made with the tokenizer ${digest}, not with ${tokenizer.digest}.`, {
    code: "WRONG_TOKENIZER",
    hint: "Name the right one by --tokenizer: the folder or hash that the tokenize stage before them made.",
  });
}

function decode(tokenizer: Tokenizer, ids: Int32Array, place: string): string {
  try {
    return tokenizer.decode(ids);
  } catch (cause) {
    throw new UserError(`The ids of ${place} are not of its tokenizer: ${messageOf(cause)}.`, {
      code: "CORRUPT_SHARD",
      hint: "Run `audit` to see what is damaged; `repro` makes it again.",
      cause,
      exitCode: 1,
    });
  }
}

function concatenate(pieces: readonly Int32Array[]): Int32Array {
  const whole = new Int32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
