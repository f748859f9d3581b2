// From a data set to ids: learns the tokenizer on the train split alone, then encodes every document.

import { renameSync, rmSync } from "node:fs";
import path from "node:path";
import { UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";
import { type CorpusCounts, newCorpusCounts, readCorpus } from "./corpus.ts";
import { readDatasetManifest } from "./datasets/manifest.ts";
import { encodeDocuments } from "./encode.ts";
import { type SplitName, type SplitRule, splitNames } from "./split.ts";
import {
  loadTokenizer,
  makeTokenizer,
  smallerTokenizer,
  type Tokenizer,
  type TokenizerKind,
} from "./tokenizers/index.ts";
import { dtypeFor, type TokensManifest, TokensWriter } from "./tokens.ts";

export interface TokenizeOptions {
  /** The `dataset` artifact's folder. */
  readonly corpus: string;
  readonly kind: TokenizerKind;
  readonly vocabSize: number | undefined;
  readonly split: SplitRule;
  /** A tokenizer learned elsewhere whose first merges are taken, instead of learning from the corpus. */
  readonly learned?: Tokenizer | undefined;
  /** Survives a kill. */
  readonly work: string;
  /** Never changes a byte of the result. */
  readonly threads: number;
  readonly signal: AbortSignal;
  /** Bytes of the source files read, of all; once for learning and once for encoding. */
  readonly onProgress: (done: number, total: number, note: string) => void;
  /** How many rare words the trainer forgot, where there were too many to keep. */
  readonly onForgotten?: (words: number) => void;
}

/** The tokenizer; only `bpe` reads the corpus for it. What a killed attempt had learned is taken from `work`. */
export async function learnTokenizer(options: TokenizeOptions): Promise<Tokenizer> {
  const { kind, vocabSize, learned, work, signal, onForgotten } = options;
  if (learned) return takeLearned(learned, kind, vocabSize);
  const kept = path.join(work, "tokenizer");
  const earlier = kind === "bpe" ? readKept(kept) : undefined;
  if (earlier) return earlier;
  const tokenizer = await makeTokenizer(kind, { vocabSize, documents: trainTexts(options), signal, onForgotten });
  if (kind === "bpe") keep(tokenizer, kept);
  return tokenizer;
}

function takeLearned(learned: Tokenizer, kind: TokenizerKind, vocabSize: number | undefined): Tokenizer {
  if (kind === "bpe" && vocabSize !== undefined) return smallerTokenizer(learned, vocabSize);
  throw new UserError("A learned tokenizer serves as bpe of a given vocabSize.", {
    code: "TOKENIZER_NOT_USED",
    where: { path: "inputs.tokenizer" },
    hint: "Set tokenizer: bpe and vocabSize, or remove the input.",
  });
}

/** Its digest is verified; whatever is wrong with it, learning anew mends it. */
function readKept(folder: string): Tokenizer | undefined {
  try {
    return loadTokenizer(folder);
  } catch {
    return undefined;
  }
}

function keep(tokenizer: Tokenizer, folder: string): void {
  for (const stale of [folder, `${folder}.tmp`]) rmSync(stale, { recursive: true, force: true });
  tokenizer.save(`${folder}.tmp`);
  renameSync(`${folder}.tmp`, folder);
}

async function* trainTexts({ corpus, split, signal, onProgress }: TokenizeOptions): AsyncGenerator<Uint8Array> {
  const documents = readCorpus(corpus, split, {
    signal,
    counts: newCorpusCounts(),
    onProgress: (done, total) => onProgress(done, total, "learning the tokenizer"),
  });
  let [read, yielded] = [0, 0];
  for await (const document of documents) {
    read++;
    if (document.split !== "train") continue;
    yielded++;
    yield document.utf8;
  }
  // Before the trainer calls a long text too small: one file is one document, and may be held out whole.
  if (yielded === 0 && read > 0) throw emptySplit("train", read, split);
}

/**
 * Writes a `tokens` artifact. Throws a UserError when a split that was asked for got no document, because no
 * later stage could say why its numbers are missing.
 */
export async function encodeCorpus(
  tokenizer: Tokenizer,
  pathOf: (name: string) => string,
  options: TokenizeOptions,
): Promise<TokensManifest> {
  const { vocabSize, endOfText, digest } = tokenizer;
  const writer = new TokensWriter(pathOf, { dtype: dtypeFor(vocabSize), vocabSize, endOfText, tokenizer: digest });
  const counts = newCorpusCounts();
  const documents = readCorpus(options.corpus, options.split, {
    signal: options.signal,
    counts,
    onProgress: (done, total) => options.onProgress(done, total, "encoding"),
  });
  await encodeDocuments(tokenizer, documents, writer, { workers: workersFor(options), signal: options.signal });
  const manifest = writer.finish(counts);
  refuseEmptySplits(manifest, options.split);
  return manifest;
}

/** Reading, hashing and splitting keep this thread as busy as encoding does three workers. */
const MAX_WORKERS = 4;
/** A smaller data set is encoded before the workers are up to speed. */
const BYTES_WORTH_WORKERS = 16 << 20;

function workersFor({ corpus, threads }: TokenizeOptions): number {
  const bytes = readDatasetManifest(corpus).files.reduce((sum, file) => sum + file.bytes, 0);
  return threads < 2 || bytes < BYTES_WORTH_WORKERS ? 0 : Math.min(threads, MAX_WORKERS);
}

function refuseEmptySplits(manifest: TokensManifest, rule: SplitRule): void {
  const wanted = splitNames.filter((name) => name === "train" || rule[name] > 0);
  const empty = wanted.find((name) => manifest.splits[name].documents === 0);
  if (empty === undefined) return;
  throw emptySplit(empty, manifest.documents, rule);
}

function emptySplit(name: SplitName, documents: number, rule: SplitRule): UserError {
  const share = name === "train" ? "" : ` for a share of ${rule[name]}`;
  const change = name === "train" ? "Lower" : "Raise";
  return new UserError(`No document fell into the ${name} split.`, {
    code: "EMPTY_SPLIT",
    where: { path: `split.${name}` },
    hint: `The corpus has ${formatCount(documents)} document${documents === 1 ? "" : "s"}, too few${share}. ${change} split.validation and split.test, give more documents, or cut the text into more of them (separator, documentBytes).`,
  });
}

/** What was left out or changed, for the log; nothing when the corpus was clean. */
export function describeCounts({ duplicates, empty, replaced }: CorpusCounts): string[] {
  const lines: string[] = [];
  if (duplicates > 0) lines.push(`${formatCount(duplicates)} exact duplicates left out`);
  if (empty > 0) lines.push(`${formatCount(empty)} empty documents left out`);
  if (replaced > 0) lines.push(`${formatCount(replaced)} documents held invalid UTF-8, which became U+FFFD`);
  return lines;
}
