// One optimizer step of the nano model without dropout, 8 sequences of 128 tokens: `npx tsx bench/train-step.ts [threads]`.
// The same work as the PyTorch peer's `--preset nano`. CPU seconds count all threads.

import { openBackend } from "../src/backend/index.ts";
import { presets } from "../src/models/presets.ts";
import { Transformer } from "../src/models/transformer.ts";
import { tokenArray } from "../src/train/token-array.ts";
import { Trainer } from "../src/train/trainer.ts";
import { cpuSeconds, median, sendRow } from "./rows.ts";

const WARM_UP_STEPS = 5;
const STEPS = 20;

const threads = Number(process.argv[2] ?? 1);
const config = { ...presets.nano.config, dropout: 0 };
const backend = await openBackend("cpu", { threads });
const model = new Transformer(config);
model.allocate(backend, { seed: 1, gradients: true });
const ids = Int32Array.from({ length: 100_000 }, (_, i) => (i * 7919) % config.vocabSize);
const trainer = new Trainer(backend, model, tokenArray(ids), {
  ...{ steps: WARM_UP_STEPS + STEPS, batchTokens: 1024, contextWindow: config.contextWindow, microBatch: 8, seed: 1 },
  ...{ learningRate: 1e-3, minLearningRate: 1e-4, warmupSteps: 2, schedule: "cosine", clip: 1 },
  ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
});
for (let step = 0; step < WARM_UP_STEPS; step++) trainer.runStep();

const wall: number[] = [];
const cpu = cpuSeconds();
for (let step = 0; step < STEPS; step++) {
  const start = performance.now();
  trainer.runStep();
  wall.push((performance.now() - start) / 1e3);
}
const cpuPerStep = (cpuSeconds() - cpu) / STEPS;
const tokensPerSecond = trainer.options.batchTokens / median(wall);
const name = `nano, ${threads} thread${threads > 1 ? "s" : ""}`;
console.log(`${name}: ${tokensPerSecond.toFixed(0)} tokens/s, ${(cpuPerStep * 1e3).toFixed(1)} ms CPU a step`);
console.log(backend.info.description);
sendRow({ suite: "train step", name, value: tokensPerSecond, unit: "tokens/s" });
sendRow({ suite: "train step", name, value: cpuPerStep, unit: "CPU s/step" });
backend.close();
