// Language models that cannot know anything: what they score is what a benchmark gives away for nothing.

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
    logProbs: (sequences) => sequences.map((ids) => Float32Array.from(ids.subarray(1), (id) => logProbs[id]!)),
  };
}

/** How often each id occurs in `tokens`. Throws a RangeError for an id outside the vocabulary. */
export function countIds(tokens: Iterable<number>, vocabSize: number): Float64Array {
  const counts = new Float64Array(vocabSize);
  for (const id of tokens) {
    if (id >= vocabSize) throw new RangeError(`Token id ${id} is outside the vocabulary of ${vocabSize}`);
    counts[id]!++;
  }
  return counts;
}
