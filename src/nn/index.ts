// `stlm-pipeline/nn`: layers, and the Module that names their weights.

export { type AttentionConfig, CausalSelfAttention, type RowLayout } from "./attention.ts";
export { Embedding } from "./embedding.ts";
export { FeedForward, type FeedForwardConfig } from "./feed-forward.ts";
export { type InitScheme, initSchemes } from "./init.ts";
export { Linear } from "./linear.ts";
export { Module, type NamedParameter } from "./module.ts";
export { createNorm, LayerNorm, type Norm, RmsNorm } from "./norm.ts";
export { sinusoidalTable, sinusoids } from "./positions.ts";
