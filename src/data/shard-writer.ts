// From a `tokens` artifact to a `shards` artifact. The plan of all shards comes first, from the documents' lengths,
// because a shard's header says how much follows and its digest covers the header.

import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import path from "node:path";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import { UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";
import { BinaryFile, requireLittleEndian } from "./binary-file.ts";
import { encodeHeader, indexFile, type ShardsManifest, type SplitManifest, shardFile } from "./shard-format.ts";
import { type SplitName, splitNames } from "./split.ts";
import {
  bytesPerToken,
  readDocumentLines,
  readTokensManifest,
  type TokenLayout,
  type TokensManifest,
} from "./tokens.ts";

export interface WriteShardsOptions {
  /** The `tokens` artifact's folder. */
  readonly tokens: string;
  /** Absolute path of a file of the new artifact. */
  readonly pathOf: (name: string) => string;
  /** A shard ends before the document that would exceed this; a longer document has a shard of its own. */
  readonly shardTokens: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

interface ShardPlan {
  tokens: number;
  documents: number;
}

/** Writes manifest.json, shards and document indices of all splits. Throws a UserError when the tokens do not add up. */
export async function writeShards(options: WriteShardsOptions): Promise<ShardsManifest> {
  requireLittleEndian();
  const layout = readTokensManifest(options.tokens);
  const plans = await planShards(options);
  const writers = Object.fromEntries(
    splitNames.map((name) => [name, new SplitWriter(name, plans[name], layout, options.pathOf)]),
  ) as Record<SplitName, SplitWriter>;
  const source = new TokensReader(path.join(options.tokens, "tokens.bin"), bytesPerToken(layout.dtype));
  try {
    let done = 0;
    for await (const { tokens, bytes, characters, split } of readDocumentLines(options.tokens, options.signal)) {
      writers[split].write(source.take(tokens), bytes, characters);
      done += tokens;
      options.onProgress(done, layout.tokens);
    }
  } finally {
    source.close();
  }
  const { dtype, vocabSize, endOfText, tokenizer, arrangement } = layout;
  const splits = Object.fromEntries(
    splitNames.map((name) => [name, { ...writers[name].finish(), ...sourcesOf(layout, name) }]),
  ) as ShardsManifest["splits"];
  const manifest: ShardsManifest = { dtype, vocabSize, endOfText, tokenizer, splits, ...arrangement };
  writeFileSync(options.pathOf("manifest.json"), prettyCanonicalJson(manifest));
  return manifest;
}

/** The sources of a mix as they lie in a split's stream; nothing for a single source. */
function sourcesOf({ sources }: TokensManifest, split: SplitName): Pick<SplitManifest, "sources"> {
  if (sources === undefined) return {};
  return {
    sources: sources.map(
      ({
        name,
        splits: {
          [split]: { tokens, documents, bytes },
        },
      }) => ({
        ...{ name, documents, bytes },
        tokens: tokens + documents,
      }),
    ),
  };
}

async function planShards({
  tokens,
  shardTokens,
  signal,
}: WriteShardsOptions): Promise<Record<SplitName, ShardPlan[]>> {
  const plans: Record<SplitName, ShardPlan[]> = { train: [], validation: [], test: [] };
  for await (const line of readDocumentLines(tokens, signal)) {
    const shards = plans[line.split];
    const length = line.tokens + 1; // with its end of text
    const last = shards.at(-1);
    if (last === undefined || last.tokens + length > shardTokens) shards.push({ tokens: length, documents: 1 });
    else {
      last.tokens += length;
      last.documents++;
    }
  }
  return plans;
}

const READ_BYTES = 1 << 20;

/** tokens.bin front to back, a document at a time. */
class TokensReader {
  private readonly file: number;
  private buffer = new Uint8Array(READ_BYTES);
  /** What is read and not yet taken. */
  private from = 0;
  private to = 0;

  constructor(
    private readonly path: string,
    private readonly tokenBytes: number,
  ) {
    this.file = openSync(path, "r");
  }

  /** The ids of the next document: a view that the next call overwrites. */
  take(tokens: number): Uint8Array {
    const length = tokens * this.tokenBytes;
    if (length > this.to - this.from) this.fill(length);
    this.from += length;
    return this.buffer.subarray(this.from - length, this.from);
  }

  /** Reads on until there are at least so many bytes. */
  private fill(length: number): void {
    const kept = this.buffer.subarray(this.from, this.to);
    if (length > this.buffer.length) this.buffer = new Uint8Array(length);
    this.buffer.set(kept); // moves down, also within the same memory
    this.from = 0;
    this.to = kept.length;
    while (this.to < length) {
      const count = readSync(this.file, this.buffer, this.to, this.buffer.length - this.to, null);
      if (count === 0) {
        throw new UserError(`${this.path} ends before the documents that documents.jsonl lists.`, {
          code: "BAD_TOKENS",
          hint: "Run the tokenize stage again.",
          exitCode: 1,
        });
      }
      this.to += count;
    }
  }

  close(): void {
    closeSync(this.file);
  }
}

/** The shards of one split, written one after the other as planned. */
class SplitWriter {
  private readonly index: BinaryFile;
  private readonly endOfText: Uint8Array;
  private readonly row = new Uint32Array(3);
  private readonly finished: SplitManifest["shards"] = [];
  private readonly totals = { tokens: 0, documents: 0, bytes: 0, characters: 0 };
  private current: BinaryFile | undefined;
  private left = 0; // documents that the current shard still waits for

  constructor(
    private readonly split: SplitName,
    private readonly plan: readonly ShardPlan[],
    private readonly layout: TokenLayout,
    private readonly pathOf: (name: string) => string,
  ) {
    this.index = new BinaryFile(pathOf(indexFile(split)));
    const id = new Uint32Array([layout.endOfText]);
    this.endOfText = new Uint8Array(id.buffer, 0, bytesPerToken(layout.dtype)); // the low bytes come first
  }

  write(ids: Uint8Array, bytes: number, characters: number): void {
    this.current ??= this.begin();
    this.current.write(ids);
    this.current.write(this.endOfText);
    const tokens = ids.length / bytesPerToken(this.layout.dtype);
    this.row.set([tokens, bytes, characters]);
    this.index.write(this.row);
    this.totals.tokens += tokens + 1;
    this.totals.documents++;
    this.totals.bytes += bytes;
    this.totals.characters += characters;
    if (--this.left === 0) this.end();
  }

  finish(): SplitManifest {
    if (this.finished.length !== this.plan.length) {
      throw new Error(
        `${formatCount(this.finished.length)} of ${this.plan.length} shards of ${this.split} were written`,
      );
    }
    const { sha256 } = this.index.close();
    return { ...this.totals, shards: this.finished, index: indexFile(this.split), indexSha256: sha256 };
  }

  private begin(): BinaryFile {
    const shard = this.finished.length;
    const { tokens, documents } = this.plan[shard]!;
    const { dtype, vocabSize, endOfText, tokenizer } = this.layout;
    const file = new BinaryFile(this.pathOf(shardFile(this.split, shard)));
    file.write(encodeHeader({ tokenBytes: bytesPerToken(dtype), tokens, vocabSize, shard, endOfText, tokenizer }));
    this.left = documents;
    return file;
  }

  private end(): void {
    const shard = this.finished.length;
    const { sha256 } = this.current!.close();
    this.finished.push({ file: shardFile(this.split, shard), ...this.plan[shard]!, sha256 });
    this.current = undefined;
  }
}
