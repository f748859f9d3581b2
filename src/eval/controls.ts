// Language models that cannot know anything: what they score is what a benchmark gives away for nothing.

import { setImmediate } from "node:timers/promises";
import type { LanguageModel } from "../models/language-model.ts";

export const controlNames = ["uniform", "unigram"] as const;
export type ControlName = (typeof controlNames)[number];

/** Controls look at no context, so any window will do; this one is GPT-2's. */
const CONTEXT_WINDOW = 1024;

/** Every id is equally likely: fewer tokens always win, so only answers of one length show chance. */
export function uniform(vocabSize: number): LanguageModel {
  return contextFree(new Float32Array(vocabSize).fill(-Math.log(vocabSize)));
}

/**
 * Ids as often as in the training split, whatever came before. Adds one to each count (Laplace's rule of succession),
 * so that no id is impossible. `counts[id]` includes the end of text.
 */
export function unigram(counts: ArrayLike<number>): LanguageModel {
  const smoothed = Float64Array.from(counts, (count) => count + 1);
  const total = smoothed.reduce((sum, count) => sum + count, 0);
  return contextFree(Float32Array.from(smoothed, (count) => Math.log(count / total)));
}

/** `logProbs[id]` at every position. */
function contextFree(logProbs: Float32Array): LanguageModel {
  return {
    vocabSize: logProbs.length,
    contextWindow: CONTEXT_WINDOW,
    logProbs: (windows) =>
      windows.map(({ ids, scored }) => Float32Array.from(ids.subarray(ids.length - scored), (id) => logProbs[id]!)),
  };
}

/** Ids read at once. */
const PIECE = 1 << 20;

/** A split's stream: the part of a SplitReader that counting needs. */
export interface TokenStream {
  readonly tokens: number;
  readWindow(start: number, length: number): Int32Array;
}

/** How often each id occurs in a stream. Throws a RangeError for an id outside the vocabulary, or the signal's reason. */
export async function countIds(stream: TokenStream, vocabSize: number, signal?: AbortSignal): Promise<Float64Array> {
  const counts = new Float64Array(vocabSize);
  for (let start = 0; start < stream.tokens; start += PIECE) {
    await setImmediate(); // lets a signal in
    signal?.throwIfAborted();
    for (const id of stream.readWindow(start, Math.min(PIECE, stream.tokens - start))) {
      if (id < 0 || id >= vocabSize) throw new RangeError(`Token id ${id} is outside the vocabulary of ${vocabSize}`);
      counts[id]!++;
    }
  }
  return counts;
}
