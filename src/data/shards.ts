// Reads a `shards` artifact: windows by position for training, documents in order for evaluation.

import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import path from "node:path";
import { type Digest, digestFile } from "../util/digest.ts";
import { messageOf, systemErrorCode, UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";
import { requireLittleEndian } from "./binary-file.ts";
import {
  decodeHeader,
  HEADER_BYTES,
  readShardsManifest,
  type ShardHeader,
  type ShardsManifest,
  type SplitManifest,
} from "./shard-format.ts";
import { type SplitName, splitNames } from "./split.ts";
import { bytesPerToken } from "./tokens.ts";

export type { ShardsManifest, SplitManifest } from "./shard-format.ts";

export interface OpenShardsOptions {
  /**
   * Splits up to this size are kept in memory (default 64 MiB); larger ones are read by position, which the page
   * cache makes fast.
   */
  readonly residentBytes?: number;
}

export interface ShardDocument {
  /** Without the end of text. A fresh array. */
  readonly ids: Int32Array;
  /** Of the raw text. */
  readonly bytes: number;
  readonly characters: number;
}

export interface SplitReader {
  readonly name: SplitName;
  /** Length of the stream, end-of-text ids included. */
  readonly tokens: number;
  readonly documentCount: number;
  /**
   * The `length` ids from position `start` of the stream (documents one after the other, each with its end of text),
   * in `out` if given. Throws a RangeError when they are not all inside the stream.
   */
  readWindow(start: number, length: number, out?: Int32Array): Int32Array;
  /** Every document once, in the order of the corpus, from number `start` on; those before it are not read. */
  documents(start?: number): Iterable<ShardDocument>;
  /** Closes the files; also done by the set's close(). */
  close(): void;
}

export interface ShardSet {
  readonly manifest: ShardsManifest;
  split(name: SplitName): SplitReader;
  /** Digests every file again. Throws a UserError that names the first one that differs. */
  verify(): void;
  close(): void;
}

/** Throws a UserError when a file is missing, cut short, or not the shard that the manifest names. */
export function openShards(folder: string, { residentBytes = 64 * 1024 * 1024 }: OpenShardsOptions = {}): ShardSet {
  requireLittleEndian();
  const manifest = readShardsManifest(folder);
  const open = new Map<SplitName, FileSplit>();
  return {
    manifest,
    split(name) {
      const reader = open.get(name) ?? new FileSplit(name, folder, manifest, residentBytes);
      open.set(name, reader);
      return reader;
    },
    verify() {
      for (const name of splitNames) {
        const { shards, index, indexSha256 } = manifest.splits[name];
        for (const { file, sha256 } of shards) verifyFile(folder, file, sha256);
        verifyFile(folder, index, indexSha256);
      }
    },
    close() {
      for (const reader of open.values()) reader.close();
      open.clear();
    },
  };
}

interface OpenShard {
  readonly file: number;
  /** Position of its first id in the split's stream. */
  readonly from: number;
  readonly tokens: number;
}

class FileSplit implements SplitReader {
  readonly tokens: number;
  readonly documentCount: number;
  private readonly tokenBytes: 2 | 4;
  private readonly about: SplitManifest;
  private readonly keepResident: boolean;
  private shards: OpenShard[] = [];
  private resident: Uint16Array | Uint32Array | undefined;
  private scratch = new Uint8Array(0);

  constructor(
    readonly name: SplitName,
    private readonly folder: string,
    manifest: ShardsManifest,
    residentBytes: number,
  ) {
    this.about = manifest.splits[name];
    this.tokens = this.about.tokens;
    this.documentCount = this.about.documents;
    this.tokenBytes = bytesPerToken(manifest.dtype);
    this.keepResident = this.tokens * this.tokenBytes <= residentBytes;
    let from = 0;
    try {
      for (const [number, { file, tokens }] of this.about.shards.entries()) {
        this.shards.push({ file: openShard(folder, file, number, tokens, manifest), from, tokens });
        from += tokens;
      }
      if (from !== this.tokens) {
        throw corrupt(folder, "manifest.json", `the shards of ${name} hold ${from} tokens instead of ${this.tokens}`);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  readWindow(start: number, length: number, out = new Int32Array(length)): Int32Array {
    if (!(Number.isInteger(start) && start >= 0 && length >= 0 && start + length <= this.tokens)) {
      throw new RangeError(`The window ${start} + ${length} is not inside the ${this.tokens} tokens of ${this.name}`);
    }
    if (out.length !== length)
      throw new RangeError(`The window has ${length} ids, and there is room for ${out.length}`);
    if (this.keepResident) {
      this.resident ??= this.readAll();
      out.set(this.resident.subarray(start, start + length));
    } else out.set(this.readIds(start, length));
    return out;
  }

  *documents(start = 0): Iterable<ShardDocument> {
    let at = 0;
    let number = 0;
    for (const [tokens, bytes, characters] of this.readIndex()) {
      if (number++ >= start) yield { ids: this.readWindow(at, tokens), bytes, characters };
      at += tokens + 1;
    }
  }

  close(): void {
    for (const { file } of this.shards) closeSync(file);
    this.shards = [];
    this.resident = undefined;
  }

  private readAll(): Uint16Array | Uint32Array {
    const ids = this.readIds(0, this.tokens);
    this.scratch = new Uint8Array(0); // its memory lives on in the ids
    return ids;
  }

  /** A view that the next call overwrites. */
  private readIds(start: number, length: number): Uint16Array | Uint32Array {
    const size = length * this.tokenBytes;
    if (this.scratch.length < size) this.scratch = new Uint8Array(size);
    for (let done = 0; done < length; ) {
      const shard = this.shardAt(start + done);
      const offset = start + done - shard.from;
      const count = Math.min(length - done, shard.tokens - offset);
      const position = HEADER_BYTES + offset * this.tokenBytes;
      readFully(shard.file, this.scratch, done * this.tokenBytes, count * this.tokenBytes, position);
      done += count;
    }
    const { buffer } = this.scratch;
    return this.tokenBytes === 2 ? new Uint16Array(buffer, 0, length) : new Uint32Array(buffer, 0, length);
  }

  /** The shard that holds a position, by bisection. */
  private shardAt(position: number): OpenShard {
    let low = 0;
    let high = this.shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.shards[middle]!.from <= position) low = middle;
      else high = middle - 1;
    }
    const shard = this.shards[low];
    if (shard === undefined) throw new Error(`The split ${this.name} is closed`);
    return shard;
  }

  /** Rows of the document index, read in pieces of 4,096. */
  private *readIndex(): Iterable<[tokens: number, bytes: number, characters: number]> {
    const rowBytes = 12;
    const file = openFile(this.folder, this.about.index);
    try {
      if (fstatSync(file).size !== this.documentCount * rowBytes) {
        throw corrupt(this.folder, this.about.index, `it does not list ${formatCount(this.documentCount)} documents`);
      }
      const piece = new Uint32Array(4096 * 3);
      for (let row = 0; row < this.documentCount; row += 4096) {
        const rows = Math.min(4096, this.documentCount - row);
        readFully(file, new Uint8Array(piece.buffer), 0, rows * rowBytes, row * rowBytes);
        for (let at = 0; at < rows * 3; at += 3) yield [piece[at]!, piece[at + 1]!, piece[at + 2]!];
      }
    } finally {
      closeSync(file);
    }
  }
}

/** Opens a shard and compares its header and size with the manifest. */
function openShard(folder: string, name: string, number: number, tokens: number, manifest: ShardsManifest): number {
  const file = openFile(folder, name);
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    const count = readSync(file, bytes, 0, HEADER_BYTES, 0);
    const header = decodeHeader(bytes.subarray(0, count));
    const tokenBytes = bytesPerToken(manifest.dtype);
    const { vocabSize, endOfText, tokenizer } = manifest;
    const expected: ShardHeader = { tokenBytes, tokens, vocabSize, shard: number, endOfText, tokenizer };
    for (const key of Object.keys(expected) as (keyof ShardHeader)[]) {
      if (header[key] !== expected[key])
        throw new Error(`its header says ${key} ${header[key]} instead of ${expected[key]}`);
    }
    const size = HEADER_BYTES + tokens * tokenBytes;
    const actual = fstatSync(file).size;
    if (actual !== size) throw new Error(`it has ${formatCount(actual)} bytes instead of ${formatCount(size)}`);
    return file;
  } catch (error) {
    closeSync(file);
    throw corrupt(folder, name, messageOf(error));
  }
}

function openFile(folder: string, name: string): number {
  try {
    return openSync(path.join(folder, name), "r");
  } catch (error) {
    throw corrupt(folder, name, `it cannot be opened (${systemErrorCode(error)})`);
  }
}

function readFully(file: number, into: Uint8Array, at: number, length: number, position: number): void {
  for (let done = 0; done < length; ) {
    const count = readSync(file, into, at + done, length - done, position + done);
    if (count === 0) throw new Error("A shard was cut short while it was read");
    done += count;
  }
}

/** A shard that lies beside its manifest, digested. Throws a UserError when it is not the one that the manifest names. */
export function verifyBesideManifest(file: string): void {
  const folder = path.dirname(file);
  if (!existsSync(path.join(folder, "manifest.json"))) return;
  const { splits } = readShardsManifest(folder);
  const known = splitNames.flatMap((name) => splits[name].shards).find((shard) => shard.file === path.basename(file));
  if (known !== undefined) verifyFile(folder, known.file, known.sha256);
}

function verifyFile(folder: string, name: string, expected: Digest): void {
  const { digest } = digestFile(path.join(folder, name));
  if (digest !== expected) throw corrupt(folder, name, `expected ${expected}, got ${digest}`);
}

function corrupt(folder: string, name: string, problem: string): UserError {
  return new UserError(`${name} is damaged: ${problem}.`, {
    code: "CORRUPT_SHARD",
    where: { file: path.join(folder, name) },
    hint: "Run `audit` to see what is damaged; `repro` makes it again.",
    exitCode: 1,
  });
}
