// Floating-point operations of a model by formula, so that the figure is the same on every machine.

import { countParameters, type ModelConfig } from "./config.ts";

/**
 * Operations per trained token, forward and backward: 6 (N - lookups) + 12 numLayers hiddenDim contextWindow
 * (Kaplan et al. 2020, table 1, with attention as in Chowdhery et al. 2022, appendix B). N counts all weights; lookups are
 * tables that are only read by row (an untied embedding, learned positions). A tied embedding counts, as the output projection.
 * The causal half of attention that is never computed is counted, as usual.
 */
export function trainingFlopsPerToken(config: ModelConfig): number {
  const { vocabSize: V, hiddenDim: C, numLayers, contextWindow } = config;
  const lookups = (config.tied ? 0 : V * C) + (config.positions === "learned" ? contextWindow * C : 0);
  return 6 * (countParameters(config) - lookups) + 12 * numLayers * C * contextWindow;
}
