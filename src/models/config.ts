// What a transformer is, as numbers. One schema for pipeline.yaml, checkpoints and the programmatic API.

import { z } from "zod";
import { UserError } from "../util/errors.ts";
import { formatCount } from "../util/format.ts";

/** Sizes and choices of one model. Terms and defaults follow Hillier et al. 2024, table 1. */
export const modelConfigSchema = z
  .strictObject({
    contextWindow: z.int().min(1).describe("Positions the model sees at once (tokens)"),
    hiddenDim: z.int().min(1).describe("Width of the residual stream"),
    numLayers: z.int().min(1),
    numHeads: z.int().min(1).describe("Query heads"),
    numKvHeads: z.int().min(1).describe("Key/value heads; each serves numHeads / numKvHeads query heads"),
    ffn: z.enum(["swiglu", "gelu"]).default("swiglu").describe("Feed-forward: gated SwiGLU, or plain GELU"),
    ffnDim: z.int().min(1),
    positions: z.enum(["rope", "sincos", "learned", "none"]).default("rope"),
    norm: z.enum(["rms", "layer"]).default("rms"),
    tied: z.boolean().default(true).describe("Output projection shares the embedding matrix"),
    bias: z.boolean().default(false),
    init: z.enum(["default", "stlm"]).default("default").describe("`stlm`: the paper's own initialisation"),
    dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0.1)
      .describe("After the embedding, on attention weights and on attention output"),
    parameters: z
      .int()
      .optional()
      .describe("The exact number of parameters that is expected; training refuses another"),
  })
  .refine((config) => config.hiddenDim % config.numHeads === 0, {
    path: ["numHeads"],
    message: "hiddenDim must be a multiple of numHeads",
  })
  .refine((config) => config.numHeads % config.numKvHeads === 0, {
    path: ["numKvHeads"],
    message: "numHeads must be a multiple of numKvHeads",
  })
  .refine(({ positions, hiddenDim, numHeads }) => positions !== "rope" || (hiddenDim / numHeads) % 2 !== 1, {
    path: ["hiddenDim"],
    message: "rope turns pairs: hiddenDim / numHeads must be even",
  });

/** With the vocabulary, as checkpoints have it. */
export const wholeModelConfigSchema = modelConfigSchema.safeExtend({ vocabSize: z.int().min(1) });

/** As written in pipeline.yaml; the vocabulary comes from the tokenizer. */
export type ModelParams = z.output<typeof modelConfigSchema>;

export interface ModelConfig extends ModelParams {
  readonly vocabSize: number;
}

/** Throws a UserError BAD_MODEL_CONFIG that names each field: one that is misspelt would make another model without a word. */
export function requireModelConfig(config: ModelConfig): void {
  const { error } = wholeModelConfigSchema.safeParse(config);
  if (!error) return;
  const findings = error.issues.map(({ path, message }) => [...path, message].join(": "));
  throw new UserError(`No model has this configuration: ${findings.join("; ")}.`, {
    code: "BAD_MODEL_CONFIG",
    where: { path: error.issues[0]!.path.join(".") },
    hint: "Start from one that is right, { ...presets.nano.config, numLayers: 2 }, or let modelConfigSchema fill in what is not given.",
  });
}

/**
 * Exact number of parameters. Sinusoidal tables and RoPE have none.
 * Hillier et al. 2024, table 1: hidden 512, 8 layers, 16/4 heads, SwiGLU 1536, tied, vocabulary 50,257 gives 49,857,536.
 */
export function countParameters(config: ModelConfig): number {
  const { vocabSize: V, hiddenDim: C, numLayers: L, ffnDim: F } = config;
  const headDim = C / config.numHeads;
  const kvDim = config.numKvHeads * headDim;
  const qkvOut = C + 2 * kvDim;
  const ffnIn = config.ffn === "swiglu" ? 2 * F : F;
  const norm = config.norm === "layer" && config.bias ? 2 * C : C;
  const attention = C * qkvOut + C * C + (config.bias ? qkvOut + C : 0);
  const ffn = C * ffnIn + F * C + (config.bias ? ffnIn + C : 0);
  const embedding = V * C * (config.tied ? 1 : 2) + (config.positions === "learned" ? config.contextWindow * C : 0);
  return embedding + L * (attention + ffn + 2 * norm) + norm;
}

/** Throws a UserError PARAMETER_COUNT where `parameters` is given and the model has another number. */
export function requireParameterCount(config: ModelConfig): void {
  const counted = countParameters(config);
  if (config.parameters === undefined || config.parameters === counted) return;
  const { vocabSize } = config;
  throw new UserError(
    `The model has ${formatCount(counted)} parameters with a vocabulary of ${formatCount(vocabSize)}, and ${formatCount(config.parameters)} are expected.`,
    {
      code: "PARAMETER_COUNT",
      where: { path: "params.model.parameters" },
      hint: `Correct the sizes or the tokenizer, or write parameters: ${counted}; without it any number is accepted.`,
    },
  );
}
