// What evaluation needs of a model, and no more: so a unigram model can sit the same exams as a transformer.

/** Ids to pass through a model, 1 <= ids.length <= contextWindow + 1, of which the last `scored` < ids.length count. */
export interface Window {
  readonly ids: Int32Array;
  readonly scored: number;
}

export interface LanguageModel {
  readonly vocabSize: number;
  /** The most ids that one prediction may rest on. */
  readonly contextWindow: number;
  /**
   * For each window of n ids: `scored` values, log p(ids[t+1] | ids[0..t]) in nats for the last `scored` t < n - 1.
   * A window's values never depend on the others in the call, nor on how many of its ids are scored. Windows that
   * begin alike, and calls with many windows, may be cheaper.
   */
  logProbs(windows: readonly Window[]): Float32Array[];
}

/** The window in which every id but the first is scored. */
export function wholeWindow(ids: Int32Array): Window {
  return { ids, scored: ids.length - 1 };
}
