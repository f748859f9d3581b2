// The `model` artifact: model.safetensors and config.json, written by training, read by evaluation and sampling.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { Backend, Precision } from "../backend/backend.ts";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { countParameters, type ModelConfig, wholeModelConfigSchema } from "./config.ts";
import { loadWeights, saveWeights } from "./hugging-face.ts";
import type { LanguageModel } from "./language-model.ts";
import { Transformer } from "./transformer.ts";
import { TransformerLanguageModel } from "./transformer-language-model.ts";

/** config.json. */
export interface ModelAbout {
  readonly model: ModelConfig;
  readonly parameters: number;
  /** Digest of the tokenizer whose ids the model knows. */
  readonly tokenizer: string;
  /** Parameters of the run that trained it. */
  readonly training: Readonly<Record<string, unknown>>;
  readonly seed: number;
}

const aboutSchema = z.object({
  model: wholeModelConfigSchema,
  parameters: z.int(),
  tokenizer: z.string(),
  training: z.record(z.string(), z.unknown()),
  seed: z.int(),
});

export interface LoadedModel {
  readonly model: Transformer;
  readonly config: ModelConfig;
  readonly about: ModelAbout;
  readonly languageModel: LanguageModel;
}

/** Write both files into an existing folder. */
export function saveModel(
  folder: string,
  model: Transformer,
  backend: Backend,
  about: Pick<ModelAbout, "tokenizer" | "training" | "seed">,
): void {
  saveWeights(path.join(folder, "model.safetensors"), model, backend);
  const config: ModelAbout = { model: model.config, parameters: model.countParameters(), ...about };
  writeFileSync(path.join(folder, "config.json"), prettyCanonicalJson(config));
}

/** Read and check config.json alone. Throws a UserError BAD_MODEL. */
export function readModelAbout(folder: string): ModelAbout {
  const file = path.join(folder, "config.json");
  let about: ModelAbout;
  try {
    about = aboutSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw badModel(file, error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error));
  }
  const counted = countParameters(about.model);
  if (counted !== about.parameters)
    throw badModel(file, `it says ${about.parameters} parameters, its model has ${counted}`);
  return about;
}

/** In what the run that trained a model computed. */
export function trainedPrecision(about: ModelAbout): Precision {
  return about.training["precision"] === "bf16" ? "bf16" : "f32";
}

/** Load a model onto a device, for evaluation or as the start of more training. */
export async function loadModel(folder: string, backend: Backend): Promise<LoadedModel> {
  const about = readModelAbout(folder);
  const model = new Transformer(about.model);
  model.allocate(backend, {});
  loadWeights(path.join(folder, "model.safetensors"), model, backend);
  return { model, config: about.model, about, languageModel: new TransformerLanguageModel(backend, model) };
}

function badModel(file: string, what: string): UserError {
  return new UserError(`${file} does not describe a model: ${what}`, {
    code: "BAD_MODEL",
    where: { file },
    hint: "Point to the folder that a train stage wrote, with config.json and model.safetensors.",
  });
}
