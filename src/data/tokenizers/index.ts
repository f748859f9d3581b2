// The tokenizers by name: these keys are what `pipeline.yaml` may say.

import { readFileSync } from "node:fs";
import path from "node:path";
import { didYouMean, systemErrorCode, UserError } from "../../util/errors.ts";
import { formatCount } from "../../util/format.ts";
import { bpe, MIN_VOCAB_SIZE, type TrainingOptions, type TrainingProgress, type TrainingTexts } from "./bpe.ts";
import { bytes } from "./bytes.ts";
import { gpt2 } from "./gpt2.ts";
import { ByteLevelTokenizer, SUMMARY_JSON, TOKENIZER_JSON, type Tokenizer, type TokenizerKind } from "./tokenizer.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";
import { Vocabulary } from "./vocabulary.ts";

export type { Tokenizer, TokenizerKind, TrainingOptions, TrainingProgress, TrainingTexts };
export { MIN_VOCAB_SIZE };

export interface TokenizerSource {
  /** Learns a tokenizer from documents. */
  train?(documents: TrainingTexts, options: TrainingOptions): Promise<Tokenizer>;
  /** The tokenizer that needs no text. */
  fixed?(): Tokenizer;
}

export const tokenizers = { gpt2, bpe, bytes } satisfies Record<TokenizerKind, TokenizerSource>;

export const tokenizerNames = Object.keys(tokenizers) as [TokenizerKind, ...TokenizerKind[]];

export interface MakeTokenizerOptions extends Omit<TrainingOptions, "vocabSize"> {
  /** Needed by `bpe`. The others have one size: leave it out, or give that size. */
  readonly vocabSize?: number | undefined;
  /** Read by `bpe` alone. */
  readonly documents: TrainingTexts;
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

/**
 * The tokenizer that the same training to `vocabSize` entries would have made: each merge depends on the earlier ones
 * alone, so one training to the largest size serves all sizes. Throws a UserError for a size that it does not cover.
 */
export function smallerTokenizer(learned: Tokenizer, vocabSize: number): Tokenizer {
  if (vocabSize >= MIN_VOCAB_SIZE && vocabSize <= learned.vocabSize) {
    const { byteOfId, merges } = learned.vocabulary;
    return new ByteLevelTokenizer("bpe", new Vocabulary(byteOfId, merges.slice(0, 2 * (vocabSize - MIN_VOCAB_SIZE))));
  }
  throw new UserError(
    `A tokenizer of ${formatCount(learned.vocabSize)} entries has no vocabulary of ${formatCount(vocabSize)} in it.`,
    {
      code: "BAD_VOCAB_SIZE",
      where: { path: "vocabSize" },
      hint: `Give a size from ${MIN_VOCAB_SIZE} to ${learned.vocabSize}, or learn a larger tokenizer.`,
    },
  );
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
