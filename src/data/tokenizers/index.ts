// The tokenizers by name: these keys are what `pipeline.yaml` may say.

import { readFileSync } from "node:fs";
import path from "node:path";
import { didYouMean, systemErrorCode, UserError } from "../../util/errors.ts";
import { formatCount } from "../../util/format.ts";
import { bpe, type TrainingOptions, type TrainingProgress } from "./bpe.ts";
import { bytes } from "./bytes.ts";
import { gpt2 } from "./gpt2.ts";
import { ByteLevelTokenizer, SUMMARY_JSON, TOKENIZER_JSON, type Tokenizer, type TokenizerKind } from "./tokenizer.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";

export { MIN_VOCAB_SIZE } from "./bpe.ts";
export type { Tokenizer, TokenizerKind, TrainingOptions, TrainingProgress };

export interface TokenizerSource {
  /** Learns a tokenizer from documents. */
  train?(documents: AsyncIterable<string> | Iterable<string>, options: TrainingOptions): Promise<Tokenizer>;
  /** The tokenizer that needs no text. */
  fixed?(): Tokenizer;
}

export const tokenizers = { gpt2, bpe, bytes } satisfies Record<TokenizerKind, TokenizerSource>;

export const tokenizerNames = Object.keys(tokenizers) as [TokenizerKind, ...TokenizerKind[]];

export interface MakeTokenizerOptions extends Omit<TrainingOptions, "vocabSize"> {
  /** Needed by `bpe`. The others have one size: leave it out, or give that size. */
  readonly vocabSize?: number | undefined;
  /** Read by `bpe` alone. */
  readonly documents: AsyncIterable<string> | Iterable<string>;
}

/** Trains or reads the tokenizer of that name. Throws a UserError for an unknown name or a size it cannot have. */
export async function makeTokenizer(kind: string, options: MakeTokenizerOptions): Promise<Tokenizer> {
  const { vocabSize, documents, ...training } = options;
  if (!isTokenizerKind(kind)) {
    throw new UserError(`There is no tokenizer "${kind}".`, {
      code: "UNKNOWN_TOKENIZER",
      where: { path: "tokenizer" },
      hint: `Tokenizers are: ${tokenizerNames.join(", ")}.${didYouMean(kind, tokenizerNames)}`,
    });
  }
  const source: TokenizerSource = tokenizers[kind];
  if (source.train) {
    if (vocabSize !== undefined) return source.train(documents, { vocabSize, ...training });
    throw new UserError(`The ${kind} tokenizer needs a vocabSize.`, {
      code: "BAD_VOCAB_SIZE",
      where: { path: "vocabSize" },
      hint: "For tiny models 4096 is a good start.",
    });
  }
  const tokenizer = source.fixed!();
  if (vocabSize !== undefined && vocabSize !== tokenizer.vocabSize) {
    throw new UserError(
      `The ${kind} tokenizer has ${formatCount(tokenizer.vocabSize)} entries, not ${formatCount(vocabSize)}.`,
      {
        code: "BAD_VOCAB_SIZE",
        where: { path: "vocabSize" },
        hint: `Remove vocabSize or set it to ${tokenizer.vocabSize}.`,
      },
    );
  }
  return tokenizer;
}

/** Reads what `save` wrote. Throws a UserError if a file is missing, unreadable or not what its digest says. */
export function loadTokenizer(folder: string): Tokenizer {
  const summaryFile = path.join(folder, SUMMARY_JSON);
  const vocabularyFile = path.join(folder, TOKENIZER_JSON);
  const summary = parseSummary(readText(summaryFile), summaryFile);
  const tokenizer = new ByteLevelTokenizer(summary.kind, readTokenizerJson(readText(vocabularyFile), vocabularyFile));
  if (tokenizer.digest !== summary.digest) {
    throw new UserError(
      "The tokenizer is damaged: its vocabulary and merges do not have the digest recorded for them.",
      {
        code: "TOKENIZER_CORRUPT",
        where: { file: vocabularyFile },
        hint: "Run the stage that made it again.",
      },
    );
  }
  return tokenizer;
}

function isTokenizerKind(name: unknown): name is TokenizerKind {
  return tokenizerNames.some((kind) => kind === name);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new UserError("A tokenizer's file cannot be read.", {
      code: "TOKENIZER_UNREADABLE",
      where: { file },
      hint: `A tokenizer is a folder with ${TOKENIZER_JSON} and ${SUMMARY_JSON}, made by the tokenize stage.`,
      cause,
    });
  }
}

function parseSummary(text: string, file: string): { kind: TokenizerKind; digest: unknown } {
  try {
    const { kind, digest } = JSON.parse(text);
    if (isTokenizerKind(kind)) return { kind, digest };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
  }
  throw new UserError("The tokenizer's summary names no tokenizer of this program.", {
    code: "TOKENIZER_UNREADABLE",
    where: { file, path: "kind" },
    hint: `Kinds are: ${tokenizerNames.join(", ")}.`,
  });
}
