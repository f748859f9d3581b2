// `stlm-pipeline/models`: language models as data and as functions: build, count, save, load, score, sample.

/** A run's model: config.json and model.safetensors in one folder. */
export { type LoadedModel, loadModel, type ModelAbout, readModelAbout, saveModel } from "./checkpoint.ts";
/** What a transformer is, as numbers, and how many weights that makes. */
export { countParameters, type ModelConfig, type ModelParams, modelConfigSchema } from "./config.ts";
/** Nats of whole documents under one rule for their ends and windows. */
export { type DocumentScore, scoreDocuments } from "./document-scores.ts";
/** Operations per trained token, by formula. */
export { trainingFlopsPerToken } from "./flops.ts";
/** Text, one token at a time. */
export { generate, type SamplingOptions } from "./generate.ts";
/** Weights alone, in one safetensors file. */
export { loadWeights, saveWeights } from "./hugging-face.ts";
/** What evaluation needs of a model: log-probabilities of the ids in given windows. */
export { type LanguageModel, type Window, wholeWindow } from "./language-model.ts";
/** The scores of every next token. */
export { logitsOf } from "./logits.ts";
/** Configs by name, the paper's among them. */
export { type PresetName, presets } from "./presets.ts";
/** The model of the paper's tables 1 and 2: every row is a config of it. */
export { Transformer } from "./transformer.ts";
/** A transformer as a LanguageModel. */
export { TransformerLanguageModel } from "./transformer-language-model.ts";
