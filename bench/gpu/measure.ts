// One measurement of the cuda device, in a process of its own: training steps of a preset at a micro-batch, or the time of each kernel.

import type { Backend } from "../../src/backend/backend.ts";
import type { GemmChoice } from "../../src/backend/cuda/gemm/choice.ts";
import { createCudaBackend } from "../../src/backend/cuda/index.ts";
import { type KernelTime, KernelTimes } from "../../src/backend/cuda/profile.ts";
import { trainingFlopsPerToken } from "../../src/models/flops.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { tokenArray } from "../../src/train/token-array.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { CounterRandom, PURPOSE } from "../../src/util/philox.ts";
import { BENCH_MODELS, type BenchModel } from "./models.ts";

export interface MeasureRequest {
  readonly model: BenchModel;
  /** Sequences at once, and micro-batches of one step. */
  readonly microBatch: number;
  readonly accumulate: number;
  /** Who multiplies; the device's own choice if absent. */
  readonly gemm?: GemmChoice;
  /** Wall time to measure for, after the warm-up. */
  readonly seconds: number;
  /** Time each kernel of two steps instead. */
  readonly profile?: boolean;
}

export interface Measurement {
  readonly tokensPerSecond: number;
  readonly stepMs: number;
  readonly steps: number;
  readonly modelFlopsPerSecond: number;
  /** Of the GPU's dense bf16 peak by its data sheet; absent where the GPU is not known. */
  readonly peakFlops?: number | undefined;
  readonly utilization?: number | undefined;
  readonly peakBytes: number;
  /** From the start of the process to the first result: compiling kernels, tuning, drawing weights, recording. */
  readonly startSeconds: number;
  readonly loss: number;
  readonly device: string;
  /** As in a run record: GPU, driver, who multiplied by which algorithms, joules since the device was opened. */
  readonly measures: Readonly<Record<string, number | string>>;
  /** The largest first; of two steps. */
  readonly kernels?: readonly KernelTime[] | undefined;
}

const WARM_UP_STEPS = 3;
const STEPS_AHEAD = 8;
const MOST_STEPS = 200;
const STREAM_TOKENS = 1 << 20;
const PROFILED_STEPS = 2;

export async function measure(request: MeasureRequest): Promise<Measurement> {
  const profile = request.profile ? new KernelTimes() : undefined;
  const backend = await createCudaBackend({ gemm: request.gemm, profile });
  try {
    const trainer = trainerOf(backend, request);
    let loss = 0;
    for (let step = 0; step < WARM_UP_STEPS; step++) loss = (await trainer.queueStep()).loss;
    const startSeconds = process.uptime();
    profile?.begin();
    const { steps, elapsedMs } = await runSteps(trainer, profile ? 0 : request.seconds * 1000);
    const kernels = profile?.end();
    const { batchTokens } = trainer.options;
    const tokensPerSecond = (steps * batchTokens * 1000) / elapsedMs;
    const modelFlopsPerSecond = tokensPerSecond * trainingFlopsPerToken(BENCH_MODELS[request.model]);
    const { peakFlops, description } = backend.info;
    return {
      ...{ tokensPerSecond, steps, stepMs: elapsedMs / steps, modelFlopsPerSecond, peakFlops },
      utilization: peakFlops && modelFlopsPerSecond / peakFlops,
      ...{ peakBytes: backend.memory().peakBytes, startSeconds, loss, device: description, kernels },
      measures: backend.measures?.() ?? {},
    };
  } finally {
    backend.close();
  }
}

function trainerOf(backend: Backend, { model: name, microBatch, accumulate }: MeasureRequest): Trainer {
  const config = BENCH_MODELS[name];
  const { contextWindow, vocabSize } = config;
  const model = new Transformer(config);
  model.allocate(backend, { seed: 1, gradients: true });
  // Frequent and rare ids, as in text: what the embedding's gradient costs depends on it.
  const random = new CounterRandom(7, PURPOSE.sample);
  const ids = Int32Array.from({ length: STREAM_TOKENS }, (_, i) => Math.floor(vocabSize ** random.uniform(i)) - 1);
  return new Trainer(backend, model, tokenArray(ids), {
    ...{ steps: 10_000, batchTokens: microBatch * accumulate * contextWindow, contextWindow, microBatch, seed: 1 },
    ...{ learningRate: 6e-4, minLearningRate: 6e-5, warmupSteps: 100, schedule: "cosine", clip: 1 },
    ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
  });
}

/** Steps queued ahead of their results, as in training, until the time is over; two at least. */
async function runSteps(trainer: Trainer, milliseconds: number): Promise<{ steps: number; elapsedMs: number }> {
  const started = performance.now();
  const queued: Promise<unknown>[] = [];
  let steps = 0;
  while (steps < PROFILED_STEPS || (performance.now() - started < milliseconds && steps < MOST_STEPS)) {
    queued.push(trainer.queueStep());
    steps++;
    if (queued.length >= STEPS_AHEAD) await queued.shift();
  }
  await Promise.all(queued);
  return { steps, elapsedMs: performance.now() - started };
}
