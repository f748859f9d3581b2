// The `tokens` artifact (docs/artifacts.md): the ids of all documents in one file, and a line about each document.

import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
import type { Arrangement } from "./arrangement.ts";
import { BinaryFile, requireLittleEndian } from "./binary-file.ts";
import type { CorpusCounts, CorpusDocument } from "./corpus.ts";
import { cutAt, readRecords } from "./readers/records.ts";
import { type SplitName, splitNames } from "./split.ts";

export type TokenDtype = "uint16" | "uint32";

export interface TokenLayout {
  readonly dtype: TokenDtype;
  readonly vocabSize: number;
  readonly endOfText: number;
  /** Digest of the tokenizer's vocabulary and merges. */
  readonly tokenizer: Digest;
}

export interface SplitTotals {
  readonly documents: number;
  /** Without end-of-text ids. */
  readonly tokens: number;
  readonly bytes: number;
}

/** One source of a mix. The documents of a source follow each other, so these counts say where each source begins. */
export interface SourceTotals {
  readonly name: string;
  readonly splits: Readonly<Record<SplitName, SplitTotals>>;
}

export interface TokensManifest extends TokenLayout, SplitTotals, CorpusCounts {
  readonly splits: Readonly<Record<SplitName, SplitTotals>>;
  /** In the order of the documents; only of a mix. */
  readonly sources?: readonly SourceTotals[];
  /** What was left out and put in order since the tokens were made; see arrange.ts. */
  readonly arrangement?: Arrangement;
}

type MutableTotals = Record<SplitName, { documents: number; tokens: number; bytes: number }>;

function newTotals(): MutableTotals {
  const zero = () => ({ documents: 0, tokens: 0, bytes: 0 });
  return { train: zero(), validation: zero(), test: zero() };
}

export interface DocumentLine {
  readonly digest: Digest;
  readonly tokens: number;
  readonly bytes: number;
  readonly characters: number;
  readonly split: SplitName;
  /** Of a data set that names a score column. */
  readonly score?: number;
}

export function dtypeFor(vocabSize: number): TokenDtype {
  return vocabSize <= 65_536 ? "uint16" : "uint32";
}

export function bytesPerToken(dtype: TokenDtype): 2 | 4 {
  return dtype === "uint16" ? 2 : 4;
}

/** The digest whose 32 bytes are `hash`. */
export function digestOfHash(hash: Buffer): Digest {
  return `sha256:${hash.toString("hex")}`;
}

/** Code points of well-formed UTF-8: the bytes that do not continue one. */
export function countCharacters(utf8: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < utf8.length; at++) if ((utf8[at]! & 0xc0) !== 0x80) count++;
  return count;
}

/** Writes a `tokens` artifact document by document; memory does not grow with the corpus. */
export class TokensWriter {
  private readonly ids: BinaryFile;
  private readonly lines: BinaryFile;
  private readonly splits = newTotals();
  /** Ids of the current document so far. */
  private tokens = 0;
  private readonly sources: { name: string; splits: MutableTotals }[] = [];

  /** `pathOf` gives the absolute path of a file of the artifact. */
  constructor(
    private readonly pathOf: (name: string) => string,
    private readonly layout: TokenLayout,
  ) {
    requireLittleEndian();
    this.ids = new BinaryFile(pathOf("tokens.bin"));
    this.lines = new BinaryFile(pathOf("documents.jsonl"));
  }

  /** `ids` in the layout's dtype, without an end of text. */
  write({ utf8, hash, split, sourceName, score }: CorpusDocument, ids: Uint16Array | Uint32Array): void {
    this.writeIds(ids);
    const characters = countCharacters(utf8);
    const line = { digest: digestOfHash(hash), bytes: utf8.length, characters, split };
    this.endDocument({ ...line, ...(score !== undefined && { score }) }, sourceName);
  }

  /** `write` of a document whose line is known. */
  append(line: DocumentLine, ids: Uint16Array | Uint32Array, sourceName?: string): void {
    this.writeIds(ids);
    this.endDocument(line, sourceName);
  }

  /** Some more ids of the current document. */
  writeIds(ids: Uint16Array | Uint32Array): void {
    this.ids.write(ids);
    this.tokens += ids.length;
  }

  /** The current document has all its ids. */
  endDocument({ digest, bytes, characters, split, score }: Omit<DocumentLine, "tokens">, sourceName?: string): void {
    const { tokens } = this;
    this.tokens = 0;
    // Keys in canonical order; every value is a number or needs no escaping.
    const scored = score === undefined ? "" : `"score":${score},`;
    const text = `{"bytes":${bytes},"characters":${characters},"digest":"${digest}",${scored}"split":"${split}","tokens":${tokens}}\n`;
    this.lines.write(Buffer.from(text));
    for (const { [split]: totals } of [this.splits, ...(sourceName === undefined ? [] : [this.source(sourceName)])]) {
      totals.documents++;
      totals.tokens += tokens;
      totals.bytes += bytes;
    }
  }

  private source(name: string): MutableTotals {
    const last = this.sources.at(-1);
    if (last?.name === name) return last.splits;
    if (this.sources.some((source) => source.name === name)) {
      throw new Error(`The documents of the source ${name} do not follow each other`);
    }
    const splits = newTotals();
    this.sources.push({ name, splits });
    return splits;
  }

  /** Writes tokens.json. */
  finish(counts: CorpusCounts, arrangement?: Arrangement): TokensManifest {
    this.ids.close();
    this.lines.close();
    const sum = (field: keyof SplitTotals) => splitNames.reduce((total, name) => total + this.splits[name][field], 0);
    const totals = { documents: sum("documents"), tokens: sum("tokens"), bytes: sum("bytes") };
    const manifest: TokensManifest = {
      ...this.layout,
      ...totals,
      ...counts,
      splits: this.splits,
      ...(this.sources.length > 0 && { sources: this.sources }),
      ...(arrangement && { arrangement }),
    };
    writeFileSync(this.pathOf("tokens.json"), prettyCanonicalJson(manifest));
    return manifest;
  }
}

/** Throws a UserError when `folder` is no `tokens` artifact. */
export function readTokensManifest(folder: string): TokensManifest {
  const file = path.join(folder, "tokens.json");
  try {
    return JSON.parse(readFileSync(file, "utf8")) as TokensManifest;
  } catch (cause) {
    throw new UserError(`${file} is not the description of tokens: ${messageOf(cause)}`, {
      code: "BAD_TOKENS",
      hint: "The input must come from a tokenize stage.",
      cause,
    });
  }
}

/** The lines of documents.jsonl in order, streamed. */
export async function* readDocumentLines(folder: string, signal?: AbortSignal): AsyncGenerator<DocumentLine> {
  const stream = createReadStream(path.join(folder, "documents.jsonl"), { highWaterMark: 1 << 18 });
  for await (const { bytes } of readRecords(stream, cutAt("\n"))) {
    signal?.throwIfAborted();
    yield JSON.parse(bytes.toString("latin1")) as DocumentLine; // all of it is ASCII
  }
}
