// The loss-curve anchor beside the PyTorch peer's `--curve`: does our engine learn the same? Byte tokens of the bundled stories, the
// nano model with a vocabulary of 257, 300 steps of 2,048 tokens, no dropout: `npx tsx bench/loss-curve.ts [f32 or bf16]`.
//
// Two comparisons. Seeds 1 to 3, each engine with its own random numbers: the mean final validation bits per byte should agree within
// two standard errors. And one run with weights and windows from the integer hash that both know: the losses of the first steps
// should agree step by step.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Precision } from "../src/backend/backend.ts";
import { openBackend } from "../src/backend/index.ts";
import { uniformWindows, type WindowSource } from "../src/data/sampler.ts";
import { wholeWindow } from "../src/models/language-model.ts";
import { presets } from "../src/models/presets.ts";
import { Transformer } from "../src/models/transformer.ts";
import { TransformerLanguageModel } from "../src/models/transformer-language-model.ts";
import { tokenArray } from "../src/train/token-array.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assetPath } from "../src/util/package-root.ts";
import { fillWeights, hash32, hashUniform } from "../tests/parity/hash.ts";
import { sendRow } from "./rows.ts";
import { findTorch } from "./torch.ts";

const SEEDS = [1, 2, 3];
const STEPS = 300;
const SEQUENCES = 16;
const TRACED_STEPS = 100;
const SEPARATOR = 256;
const THREADS = 2;

const precision = (process.argv[2] ?? "f32") as Precision;
const config = { ...presets.nano.config, vocabSize: SEPARATOR + 1, dropout: 0 };
const T = config.contextWindow;
const stories = assetPath("data", "stories.jsonl.gz");
const { training, validation } = readBytes();
const backend = await openBackend("cpu", { threads: THREADS, precision });

/** Every 20th document is for validation; each ends with the separator. */
function readBytes() {
  const parts = { training: [] as number[], validation: [] as number[] };
  const lines = gunzipSync(readFileSync(stories)).toString("utf8").trimEnd().split("\n");
  for (const [i, line] of lines.entries()) {
    const part = i % 20 === 19 ? parts.validation : parts.training;
    for (const byte of Buffer.from(JSON.parse(line).text, "utf8")) part.push(byte);
    part.push(SEPARATOR);
  }
  return { training: Int32Array.from(parts.training), validation: Int32Array.from(parts.validation) };
}

function trainer(model: Transformer, windows: WindowSource, seed: number): Trainer {
  return new Trainer(backend, model, windows, {
    ...{ steps: STEPS, batchTokens: SEQUENCES * T, contextWindow: T, microBatch: SEQUENCES, seed },
    ...{ learningRate: 3e-3, minLearningRate: 3e-4, warmupSteps: 30, schedule: "cosine", clip: 1 },
    ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
  });
}

function newModel(seed: number): Transformer {
  const model = new Transformer(config);
  model.allocate(backend, { seed, gradients: true });
  return model;
}

/** Bits per byte over every whole window that does not overlap another; separators are read but not scored. */
function validationBits(model: Transformer): number {
  const languageModel = new TransformerLanguageModel(backend, model);
  let [nats, bytes] = [0, 0];
  for (let start = 0; start < validation.length - T; start += T) {
    const ids = validation.subarray(start, start + T + 1);
    const [logProbs] = languageModel.logProbs([wholeWindow(ids)]);
    for (const [t, value] of logProbs!.entries()) {
      if (ids[t + 1] === SEPARATOR) continue;
      nats -= value;
      bytes++;
    }
  }
  return nats / bytes / Math.LN2;
}

function curve(seed: number): number {
  const model = newModel(seed);
  const run = trainer(model, uniformWindows(tokenArray(training), seed), seed);
  for (let step = 0; step < STEPS; step++) run.runStep();
  const bits = validationBits(model);
  console.log(`seed ${seed}: ${bits.toFixed(4)} bits per byte`);
  return bits;
}

/** Losses and final validation with weights and windows from the hash: the rules are the peer's `hash_init` and `window_starts`. */
function trace(seed: number): { readonly losses: number[]; readonly bits: number } {
  const model = newModel(seed);
  const shapes = new Map(model.parameters());
  let matrix = 0;
  const rules = new Map<string, (i: number) => number>();
  for (const [name, { shape }] of shapes) {
    if (shape.length < 2) {
      rules.set(name, () => 1);
      continue;
    }
    // The gate and the value of SwiGLU are two matrices there and one here.
    const halves = name.endsWith("feedForward.input.weight") ? 2 : 1;
    const [columns, size] = [shape[1]!, (shape[0]! * shape[1]!) / halves];
    const keys = Array.from({ length: halves }, () => hash32(1000 * seed + matrix++));
    rules.set(name, (i) => hashUniform(i % size, keys[Math.floor(i / size)]!) / Math.sqrt(columns));
  }
  fillWeights(model, backend, (_, name, i) => rules.get(name)!(i));
  const key = hash32(seed);
  const windows: WindowSource = {
    drawWindow(step, index, out) {
      const start = hash32((step * SEQUENCES + index + key) >>> 0) % (training.length - T);
      out.set(training.subarray(start, start + out.length));
    },
  };
  const run = trainer(model, windows, seed);
  const losses = Array.from({ length: STEPS }, () => run.runStep().loss);
  return { losses, bits: validationBits(model) };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const squaredError = (values: readonly number[]) => {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1) / values.length;
};
const report = (name: string, value: number, unit: string) => {
  console.log(`${name}: ${value.toPrecision(5)} ${unit}`);
  sendRow({ suite: "loss curve", name: `${precision}, ${name}`, value, unit });
};

const peer = await findTorch();
const ours = SEEDS.map(curve);
report("final validation, mean of 3 seeds", mean(ours), "bits/byte");
report("final validation, standard error", Math.sqrt(squaredError(ours)), "bits/byte");
if (typeof peer === "string") {
  console.log(peer);
} else {
  const options = ["--curve", "--data", stories, "--threads", String(THREADS)];
  const theirs = await peer.json<{ runs: { validation_bits_per_byte: Record<string, number> }[] }>([
    ...options,
    ...["--seeds", SEEDS.join(",")],
  ]);
  const bits = theirs.runs.map((run) => run.validation_bits_per_byte[STEPS]!);
  report("final validation, mean of 3 seeds, PyTorch", mean(bits), "bits/byte");
  const difference = mean(ours) - mean(bits);
  report("difference, ours less PyTorch's", difference, "bits/byte");
  report("difference", difference / Math.sqrt(squaredError(ours) + squaredError(bits)), "standard errors");
  type Hashed = { runs: { losses: number[]; validation_bits_per_byte: Record<string, number> }[] };
  const [hashed] = (await peer.json<Hashed>([...options, "--hash", "--trace", "--seeds", "1"])).runs;
  const { losses, bits: hashedBits } = trace(1);
  const apart = losses.slice(0, TRACED_STEPS).map((loss, step) => Math.abs(loss - hashed!.losses[step]!));
  report(`same weights and windows, largest difference in ${TRACED_STEPS} steps`, Math.max(...apart), "nats");
  const validationDifference = hashedBits - hashed!.validation_bits_per_byte[STEPS]!;
  report("same weights and windows, difference of the final validation", validationDifference, "bits/byte");
}
backend.close();
