// A short training on any device: its losses, and a digest of all weights after it.

import { createHash } from "node:crypto";
import type { Backend } from "../../src/backend/backend.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";

const STREAM_TOKENS = 40_000;

export interface ShortRun {
  readonly config: ModelConfig;
  readonly steps: number;
  /** Sequences of one step, and of one micro-batch. */
  readonly sequences: number;
  readonly microBatch: number;
}

export interface ShortRunResult {
  readonly losses: readonly number[];
  readonly digest: string;
}

/** Ids that are frequent or rare, as words are, each drawn close to the one before: there is something to learn. */
function tokens(vocabSize: number) {
  const random = new CounterRandom(5, PURPOSE.sample);
  const ids = Int32Array.from({ length: STREAM_TOKENS }, (_, i) => Math.floor(vocabSize ** random.uniform(i)) - 1);
  for (let i = 1; i < ids.length; i++) if (i % 3 !== 0) ids[i] = (ids[i - 1]! * 7 + 3) % vocabSize;
  return { tokens: ids.length, readWindow: (start: number, length: number) => ids.slice(start, start + length) };
}

/** Steps are queued ahead of their results. The backend stays open. */
export async function shortRun(backend: Backend, { config, steps, sequences, microBatch }: ShortRun) {
  const { contextWindow } = config;
  const model = new Transformer(config);
  model.allocate(backend, { seed: 1, gradients: true });
  const trainer = new Trainer(backend, model, tokens(config.vocabSize), {
    ...{ steps, batchTokens: sequences * contextWindow, microBatch, contextWindow, seed: 1 },
    ...{ learningRate: 3e-3, minLearningRate: 3e-4, warmupSteps: Math.ceil(steps / 10), schedule: "cosine" },
    ...{ weightDecay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 },
  });
  const losses: number[] = [];
  const queued: Promise<{ loss: number }>[] = [];
  for (let step = 0; step < steps; step++) {
    queued.push(trainer.queueStep());
    if (queued.length >= 8) losses.push((await queued.shift()!).loss);
  }
  for (const result of queued) losses.push((await result).loss);
  const hash = createHash("sha256");
  for (const [name, { value }] of model.parameters()) {
    const { buffer, byteOffset, byteLength } = backend.read(value);
    hash.update(name).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return { losses, digest: hash.digest("hex") } satisfies ShortRunResult;
}
