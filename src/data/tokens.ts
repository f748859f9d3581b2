// The `tokens` artifact (docs/artifacts.md): the ids of all documents in one file, and a line about each document.

import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import type { Digest } from "../util/digest.ts";
import { messageOf, UserError } from "../util/errors.ts";
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

export interface TokensManifest extends TokenLayout, SplitTotals, CorpusCounts {
  readonly splits: Readonly<Record<SplitName, SplitTotals>>;
}

export interface DocumentLine {
  readonly digest: Digest;
  readonly tokens: number;
  readonly bytes: number;
  readonly characters: number;
  readonly split: SplitName;
}

export function dtypeFor(vocabSize: number): TokenDtype {
  return vocabSize <= 65_536 ? "uint16" : "uint32";
}

export function bytesPerToken(dtype: TokenDtype): 2 | 4 {
  return dtype === "uint16" ? 2 : 4;
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
  private readonly splits: Record<SplitName, { documents: number; tokens: number; bytes: number }>;

  /** `pathOf` gives the absolute path of a file of the artifact. */
  constructor(
    private readonly pathOf: (name: string) => string,
    private readonly layout: TokenLayout,
  ) {
    requireLittleEndian();
    this.ids = new BinaryFile(pathOf("tokens.bin"));
    this.lines = new BinaryFile(pathOf("documents.jsonl"));
    const zero = () => ({ documents: 0, tokens: 0, bytes: 0 });
    this.splits = { train: zero(), validation: zero(), test: zero() };
  }

  /** `ids` in the layout's dtype, without an end of text. */
  write(document: CorpusDocument, ids: Uint16Array | Uint32Array): void {
    const { utf8, hash, split } = document;
    this.ids.write(ids);
    const bytes = utf8.length;
    const characters = countCharacters(utf8);
    // Keys in canonical order; every value is a number or needs no escaping.
    const line = `{"bytes":${bytes},"characters":${characters},"digest":"sha256:${hash.toString("hex")}","split":"${split}","tokens":${ids.length}}\n`;
    this.lines.write(Buffer.from(line));
    const totals = this.splits[split];
    totals.documents++;
    totals.tokens += ids.length;
    totals.bytes += bytes;
  }

  /** Writes tokens.json. */
  finish(counts: CorpusCounts): TokensManifest {
    this.ids.close();
    this.lines.close();
    const sum = (field: keyof SplitTotals) => splitNames.reduce((total, name) => total + this.splits[name][field], 0);
    const totals = { documents: sum("documents"), tokens: sum("tokens"), bytes: sum("bytes") };
    const manifest: TokensManifest = { ...this.layout, ...totals, ...counts, splits: this.splits };
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
    yield JSON.parse(bytes.toString("utf8")) as DocumentLine;
  }
}
