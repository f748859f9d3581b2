// How well a model predicts held-out text, whole splits document by document. The primary figure is bits per UTF-8
// byte, which models with different tokenizers share; the end of text is kept apart, because no byte stands for it.

import { setImmediate } from "node:timers/promises";
import { scoreDocuments } from "../models/document-scores.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { DocumentRow } from "./items.ts";

/** Figures of one split. What is not finite, or has nothing to divide by, is null. */
export interface Perplexity {
  /** Sum of -log p over the documents' own tokens. */
  readonly nats: number | null;
  /** Without ends of text. */
  readonly tokens: number;
  readonly bytes: number;
  /** Code points. */
  readonly characters: number;
  readonly documents: number;
  /** Sum of -log p over the end of text after each document. */
  readonly endOfTextNats: number | null;
  /** nats / (ln 2 * bytes). */
  readonly bitsPerByte: number | null;
  /** exp(nats / tokens). */
  readonly tokenPerplexity: number | null;
  /** exp(nats / characters): the kind of figure 1 of Hillier et al. 2024. */
  readonly characterPerplexity: number | null;
}

/** A split's documents: the part of a SplitReader that scoring needs. */
export interface HeldOutSplit {
  readonly name: string;
  documents(): Iterable<{ readonly ids: Int32Array; readonly bytes: number; readonly characters: number }>;
}

export interface ScoreSplitOptions {
  readonly endOfText: number;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of tokens scored so far. */
  readonly onProgress?: ((tokens: number) => void) | undefined;
}

/** One row per document, in their order. Throws the signal's reason when aborted. */
export async function scoreSplit(
  model: LanguageModel,
  split: HeldOutSplit,
  { endOfText, signal, onProgress }: ScoreSplitOptions,
): Promise<DocumentRow[]> {
  const sizes: { bytes: number; characters: number }[] = [];
  function* idsOfDocuments() {
    for (const { ids, bytes, characters } of split.documents()) {
      sizes.push({ bytes, characters });
      yield ids;
    }
  }
  const rows: DocumentRow[] = [];
  let done = 0;
  for (const { nats, tokens, endOfTextNats } of scoreDocuments(model, idsOfDocuments(), endOfText)) {
    const document = rows.length;
    const { bytes, characters } = sizes[document]!;
    rows.push({
      split: split.name,
      document,
      nats: finiteOrNull(nats),
      end_of_text_nats: finiteOrNull(endOfTextNats),
      tokens,
      bytes,
      characters,
    });
    done += tokens;
    onProgress?.(done);
    await setImmediate(); // lets a signal and the progress line through
    signal?.throwIfAborted();
  }
  return rows;
}

/** The figures of one split's rows. */
export function perplexityOf(rows: readonly DocumentRow[]): Perplexity {
  const nats = sumOrNull(rows.map((row) => row.nats));
  const tokens = sum(rows.map((row) => row.tokens));
  const bytes = sum(rows.map((row) => row.bytes));
  const characters = sum(rows.map((row) => row.characters));
  const per = (count: number) => (nats === null || count === 0 ? null : nats / count);
  const expOf = (value: number | null) => (value === null ? null : finiteOrNull(Math.exp(value)));
  const natsPerByte = per(bytes);
  return {
    nats,
    tokens,
    bytes,
    characters,
    documents: rows.length,
    endOfTextNats: sumOrNull(rows.map((row) => row.end_of_text_nats)),
    bitsPerByte: natsPerByte === null ? null : natsPerByte / Math.LN2,
    tokenPerplexity: expOf(per(tokens)),
    characterPerplexity: expOf(per(characters)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function sumOrNull(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((total, value) => (total === null || value === null ? null : total + value), 0);
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
