// One optimizer step of the PyTorch peer's presets, without dropout: `npx tsx bench/train-step.ts [threads] [preset] [precision]`,
// with preset nano, 10m (8,192 words) or 50m and precision f32 or bf16. CPU seconds count all threads.

import type { Backend } from "../src/backend/backend.ts";
import { openBackend } from "../src/backend/index.ts";
import { presets } from "../src/models/presets.ts";
import { Transformer } from "../src/models/transformer.ts";
import { tokenArray } from "../src/train/token-array.ts";
import { Trainer } from "../src/train/trainer.ts";
import { cpuSeconds, median, sendRow } from "./rows.ts";
import { nameOf, operationsOf, STEP_PRESETS, type StepPreset } from "./step-cases.ts";

const threads = Number(process.argv[2] ?? 1);
const preset = (process.argv[3] ?? "nano") as StepPreset;
const precision = process.argv[4] === "bf16" ? "bf16" : "f32";
const { sequences, warmUp, steps, peer: _, ...sizes } = STEP_PRESETS[preset];
const config = { ...presets.nano.config, ...sizes, dropout: 0 };
const device = await openBackend("cpu", { threads, precision });
const { backend, kernelMs } = withStopwatch(device);
const model = new Transformer(config);
model.allocate(backend, { seed: 1, gradients: true });
const ids = Int32Array.from({ length: 100_000 }, (_, i) => (i * 7919) % config.vocabSize);
const batchTokens = sequences * config.contextWindow;
const trainer = new Trainer(backend, model, tokenArray(ids), {
  ...{ steps: warmUp + steps, batchTokens, contextWindow: config.contextWindow, microBatch: sequences, seed: 1 },
  ...{ learningRate: 1e-3, minLearningRate: 1e-4, warmupSteps: 1, schedule: "cosine", clip: 1 },
  ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
});
for (let step = 0; step < warmUp; step++) trainer.runStep();

const wall: number[] = [];
const kernelsBefore = kernelMs();
const cpu = cpuSeconds();
for (let step = 0; step < steps; step++) {
  const start = performance.now();
  trainer.runStep();
  wall.push((performance.now() - start) / 1e3);
}
const cpuPerStep = (cpuSeconds() - cpu) / steps;
const outside = 1 - (kernelMs() - kernelsBefore) / 1e3 / wall.reduce((sum, seconds) => sum + seconds, 0);
const tokensPerSecond = batchTokens / median(wall);
const peakMiB = process.resourceUsage().maxRSS / 1024;
const name = nameOf({ preset, precision, threads });
console.log(
  `${name}: ${model.countParameters()} parameters, ${tokensPerSecond.toFixed(0)} tokens/s, ${(cpuPerStep * 1e3).toFixed(1)} ms CPU ` +
    `a step, ${(operationsOf(preset) / cpuPerStep / 1e9).toFixed(1)} GFLOP/s per core, ` +
    `peak ${peakMiB.toFixed(0)} MiB, ${(100 * outside).toFixed(1)} % of the time outside of kernels`,
);
console.log(backend.info.description);
sendRow({ suite: "train step", name, value: tokensPerSecond, unit: "tokens/s" });
sendRow({ suite: "train step", name, value: cpuPerStep, unit: "CPU s/step" });
sendRow({ suite: "train step", name, value: peakMiB, unit: "MiB peak" });
sendRow({ suite: "train step", name, value: 100 * outside, unit: "% outside of kernels" });
device.close();

/** The device with a stopwatch on its kernels: what is left of a step is the rest of the program, in JavaScript. */
function withStopwatch(device: Backend): { readonly backend: Backend; kernelMs(): number } {
  let ms = 0;
  const kernels = new Proxy(device.kernels, {
    get(target, name) {
      const kernel = Reflect.get(target, name) as (args: unknown) => void;
      return (args: unknown) => {
        const start = performance.now();
        kernel(args);
        ms += performance.now() - start;
      };
    },
  });
  return { backend: { ...device, kernels }, kernelMs: () => ms };
}
