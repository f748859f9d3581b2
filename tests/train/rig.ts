// A tiny training run in a folder of its own, on the reference device unless another is given.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Backend } from "../../src/backend/backend.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { saveModel } from "../../src/models/checkpoint.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { evaluateHeldOut } from "../../src/models/held-out.ts";
import { TransformerLanguageModel } from "../../src/models/transformer-language-model.ts";
import { Checkpoints } from "../../src/train/checkpoint.ts";
import { type LoopResult, train } from "../../src/train/loop.ts";
import { type TokenSource, Trainer, type TrainerOptions } from "../../src/train/trainer.ts";
import { randomIds, tinyModel } from "../models/tiny.ts";

export const tinyOptions: TrainerOptions = {
  steps: 7,
  warmupSteps: 2,
  learningRate: 1e-2,
  minLearningRate: 1e-3,
  schedule: "cosine",
  contextWindow: 16,
  batchTokens: 64,
  microBatch: 4,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  clip: 1,
  seed: 1,
};

/** A stream that repeats itself, so that there is something to learn. */
export function repeatingTokens(length = 600): TokenSource {
  const ids = Int32Array.from({ length }, (_, i) => (i * i) % 7);
  return {
    tokens: length,
    readWindow(start, count, out = new Int32Array(count)) {
      out.set(ids.subarray(start, start + count));
      return out;
    },
  };
}

export function tinyTrainer(
  options: Partial<TrainerOptions> = {},
  model: Partial<ModelConfig> = {},
  backend: Backend = createReferenceBackend(),
): Trainer {
  return new Trainer(backend, tinyModel(backend, model), repeatingTokens(), { ...tinyOptions, ...options });
}

export interface RigRun {
  readonly backend?: Backend;
  readonly options?: Partial<TrainerOptions>;
  readonly model?: Partial<ModelConfig>;
  readonly checkpointEvery?: number;
  readonly evalEvery?: number;
  /** Stop by signal after this step of the whole run. */
  readonly stopAfter?: number;
}

export class TrainRig implements Disposable {
  readonly folder = mkdtempSync(path.join(tmpdir(), "stlm-train-"));
  readonly warnings: string[] = [];

  get checkpointFolder(): string {
    return path.join(this.folder, "checkpoints");
  }

  /** Run, or go on where an earlier call was stopped; the weights are saved in `folder`. */
  async run(run: RigRun = {}): Promise<LoopResult> {
    const { backend = createReferenceBackend(), options = {}, checkpointEvery = 2, evalEvery = 3, stopAfter } = run;
    const model = tinyModel(backend, { dropout: 0.1, ...run.model });
    const all = { ...tinyOptions, ...options };
    const trainer = new Trainer(backend, model, repeatingTokens(), all);
    const languageModel = new TransformerLanguageModel(backend, model);
    const documents = [{ ids: randomIds(5, 40, 7), bytes: 90 }];
    const controller = new AbortController();
    const result = await train(trainer, {
      steps: all.steps,
      evalEvery,
      checkpointEvery,
      checkpoints: new Checkpoints(this.checkpointFolder, all, (message) => this.warnings.push(message)),
      evaluate: (signal) => evaluateHeldOut(languageModel, documents, 0, signal),
      signal: controller.signal,
      progress: (step) => {
        if (step === stopAfter) controller.abort();
      },
    });
    saveModel(this.folder, model, backend, { tokenizer: "none", training: {}, seed: 1 });
    return result;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
