// Who sits the exam: a trained model, or a control that cannot know anything.

import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import type { LanguageModel, Window } from "../models/language-model.ts";
import { messageOf, UserError } from "../util/errors.ts";
import { type ControlName, countIds, type TokenStream, uniform, unigram } from "./controls.ts";

/** As metrics.json names it. */
export type SubjectInfo =
  | { readonly kind: "model"; readonly parameters: number; readonly status: "completed" | "diverged" }
  | { readonly kind: "control"; readonly control: ControlName };

export interface Subject {
  readonly info: SubjectInfo;
  readonly model: LanguageModel;
}

const summarySchema = z.object({ status: z.enum(["completed", "diverged"]) });

/**
 * The model of a `model` artifact. One whose training diverged is a subject like any other as long as its weights are
 * finite; else every log-probability is NaN, whatever its kernels would make of the weights.
 * Throws a UserError when the artifact is no model, or was trained on the ids of another tokenizer.
 */
export async function openModel(folder: string, backend: Backend, tokenizer: string): Promise<Subject> {
  const loaded = await loadModel(folder, backend);
  if (loaded.about.tokenizer !== tokenizer) {
    throw new UserError("The model was trained on the ids of another tokenizer than the one given.", {
      code: "TOKENIZER_MISMATCH",
      where: { file: path.join(folder, "config.json"), path: "tokenizer" },
      hint: "Give the evaluate stage the tokenizer and the shards that its model was trained with.",
    });
  }
  const { parameters } = loaded.about;
  const info = { kind: "model", parameters, status: readStatus(folder) } as const;
  return { info, model: hasFiniteWeights(loaded, backend) ? loaded.languageModel : unknowing(loaded.languageModel) };
}

export async function openControl(
  control: ControlName,
  train: TokenStream,
  vocabSize: number,
  signal?: AbortSignal,
): Promise<Subject> {
  const info = { kind: "control", control } as const;
  if (control === "uniform") return { info, model: uniform(vocabSize) };
  return { info, model: unigram(await countIds(train, vocabSize, signal)) };
}

function readStatus(folder: string): "completed" | "diverged" {
  const file = path.join(folder, "summary.json");
  try {
    return summarySchema.parse(JSON.parse(readFileSync(file, "utf8"))).status;
  } catch (cause) {
    throw new UserError(`${file} does not say how training ended: ${messageOf(cause)}`, {
      code: "BAD_MODEL",
      where: { file },
      hint: "Point to the folder that a train stage wrote.",
      cause,
    });
  }
}

function hasFiniteWeights({ model }: LoadedModel, backend: Backend): boolean {
  return model.parameters().every(([, parameter]) => backend.read(parameter.value).every(Number.isFinite));
}

function unknowing({ vocabSize, contextWindow }: LanguageModel): LanguageModel {
  const logProbs = (windows: readonly Window[]) =>
    windows.map(({ scored }) => new Float32Array(scored).fill(Number.NaN));
  return { vocabSize, contextWindow, logProbs };
}
