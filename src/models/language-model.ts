// What evaluation needs of a model, and no more: so a unigram model can sit the same exams as a transformer.

export interface LanguageModel {
  readonly vocabSize: number;
  /** The most tokens one sequence may have. */
  readonly contextWindow: number;
  /**
   * For each sequence of n token ids (1 <= n <= contextWindow + 1): n-1 values, the t-th being
   * log p(ids[t+1] | ids[0..t]) in nats. A sequence's values never depend on the others in the call.
   */
  logProbs(sequences: readonly Int32Array[]): Float32Array[];
}
