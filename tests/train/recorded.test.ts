// Training on a device that records its steps and gives results back later, against the same device told each step anew.

import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { Trainer, type TrainerOptions } from "../../src/train/trainer.ts";
import { openDevices } from "../backend/devices.ts";
import { createRecordingDevice, type RecordingDevice } from "../backend/recording-device.ts";
import { tinyModel } from "../models/tiny.ts";
import { type RigRun, repeatingTokens, TrainRig, tinyOptions } from "./rig.ts";

const devices = await openDevices();
afterAll(() => {
  for (const { backend } of devices) backend.close();
});

/** Rates that float32 holds exactly, as they reach a recorded step: then both ways have the same bits. */
const exactRates = { schedule: "constant", learningRate: 2 ** -6, minLearningRate: 0, steps: 20 } as const;
/** Three sequences at once, then one: two shapes. */
const options: TrainerOptions = { ...tinyOptions, ...exactRates, microBatch: 3 };

function trainerOn(backend: Backend, change: Partial<TrainerOptions> = {}, variant: Partial<ModelConfig> = {}) {
  const model = tinyModel(backend, { dropout: 0.1, ...variant });
  const trainer = new Trainer(backend, model, repeatingTokens(), { ...options, ...change });
  const weights = () => model.parameters().map(([, { value }]) => backend.read(value));
  return { trainer, weights };
}

async function run(backend: Backend, rig: RigRun) {
  using folder = new TrainRig();
  const result = await folder.run({ ...rig, backend });
  const weights = readFileSync(path.join(folder.folder, "model.safetensors")).toString("base64");
  return { weights, curve: result.metrics.text(), diverged: result.diverged, evaluation: result.evaluation };
}

describe.each(devices)("on $name", ({ name, backend }) => {
  // The reference keeps a clipping factor in double precision, a recorded step in float32.
  const clip = name === "reference" ? 2 ** 20 : 0.3;
  const recording = (turns = 1): RecordingDevice => createRecordingDevice(backend, { turns });

  test.each([
    ["constant dropout", {}],
    ["dropout by step", { dropout: { probability: 0.3, schedule: { shape: "triangle", cycles: 2, trough: 0 } } }],
  ] as const)("recorded steps have the bits of direct ones: %s", async (_, change) => {
    const direct = trainerOn(backend, { clip, ...change });
    const recorded = trainerOn(recording(), { clip, ...change });
    const expected = Array.from({ length: 8 }, () => direct.trainer.runStep());
    expect(await Promise.all(expected.map(() => recorded.trainer.queueStep()))).toEqual(expected);
    expect(recorded.weights()).toEqual(direct.weights());
    expect(recorded.trainer.runStep()).toEqual(direct.trainer.runStep());
    if (clip < 1) expect(Math.min(...expected.map(({ gradientNorm }) => gradientNorm))).toBeGreaterThan(clip);
  });

  test("after the first step nothing is allocated, recorded anew or called outside of a recording", () => {
    const device = recording();
    const { trainer } = trainerOn(device, { clip });
    trainer.runStep();
    const [memory, { direct }] = [device.memory(), { ...device.counts }];
    for (let step = 0; step < 3; step++) trainer.runStep();
    expect(device.memory()).toEqual(memory);
    expect(device.counts).toEqual({ direct, recordings: 3, replays: 4 * 3 }); // two shapes and the update
  });

  test("nothing is allocated after the first step without recording either", () => {
    let allocations = 0;
    const allocate: Backend["allocate"] = (dtype, length) => {
      allocations++;
      return backend.allocate(dtype, length);
    };
    const { trainer } = trainerOn({ ...backend, allocate }, { clip });
    trainer.runStep();
    const [memory, before] = [backend.memory(), allocations];
    for (let step = 0; step < 3; step++) trainer.runStep();
    expect(backend.memory()).toEqual(memory);
    expect(allocations).toBe(before);
  });

  test.each([
    ["a gradient that overflows", { learningRate: 2 ** 100, clip: 2 ** 100 }, /is (NaN|Infinity) at step \d+/],
    ["a loss above its bound", { maxLoss: 0.8, warmupSteps: 4 }, /above the bound 0.8 at step 5/],
  ] as const)(
    "a divergence found late leaves weights and curve as one found at once: %s",
    async (_, change, reason) => {
      const rig = { options: { ...options, clip, ...change }, evalEvery: 50, checkpointEvery: 50 };
      const expected = await run(backend, rig);
      expect(expected.diverged).toMatch(reason);
      expect(expected.evaluation.step).toBeGreaterThan(0);
      for (const turns of [0, 3, 40]) expect(await run(recording(turns), rig)).toEqual(expected);
    },
  );

  test("an error of the device ends the run, also where it comes late", async () => {
    const broken = { ...recording(), readLater: () => Promise.reject(new Error("the device is gone")) };
    using folder = new TrainRig();
    await expect(folder.run({ options, backend: broken })).rejects.toThrow("the device is gone");
  });

  test("evaluations and checkpoints in between see the weights of their step", async () => {
    const rig = { options: { ...options, clip }, evalEvery: 3, checkpointEvery: 2 };
    expect(await run(recording(20), rig)).toEqual(await run(backend, rig));
  });

  test("a run stopped after any step and started again ends with the same bytes", async () => {
    const rig = { options: { ...options, clip, steps: 9 }, checkpointEvery: 4, evalEvery: 5 };
    const expected = await run(backend, rig);
    for (const stopAfter of [1, 4, 6, 9]) {
      using folder = new TrainRig();
      await expect(folder.run({ ...rig, backend: recording(2), stopAfter })).rejects.toThrow(/abort/i);
      const result = await folder.run({ ...rig, backend: recording() });
      expect(result.measured.resumedFrom, `stopped after ${stopAfter}`).toBeGreaterThanOrEqual(stopAfter);
      expect(readFileSync(path.join(folder.folder, "model.safetensors")).toString("base64")).toBe(expected.weights);
      expect(result.metrics.text()).toBe(expected.curve);
    }
  });
});

test.each([
  ["the baseline", {}],
  ["learned positions", { positions: "learned" }],
  [
    "sinusoids, layer norm, biases and GELU",
    { positions: "sincos", norm: "layer", bias: true, ffn: "gelu", tied: false },
  ],
] as const)(
  "activations in bf16 give the losses of f32 within a hundredth, and nothing else is bf16: %s",
  (_, variant) => {
    const { backend } = devices[0]!;
    const exact = trainerOn(backend, { clip: 1 }, variant);
    const rounded = trainerOn(createRecordingDevice(backend, { activations: "bf16" }), { clip: 1 }, variant);
    for (let step = 0; step < 6; step++) {
      const [expected, { loss }] = [exact.trainer.runStep().loss, rounded.trainer.runStep()];
      expect(loss).not.toBe(expected);
      expect(Math.abs(loss / expected - 1)).toBeLessThan(0.01);
    }
  },
);
