import { afterAll, describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { Transformer } from "../../src/models/transformer.ts";
import type { Trainable } from "../../src/train/device-step.ts";
import { Trainer, type TrainerOptions } from "../../src/train/trainer.ts";
import { UserError } from "../../src/util/errors.ts";
import { openDevices } from "../backend/devices.ts";
import { tinyConfig, tinyModel } from "../models/tiny.ts";
import { repeatingTokens, tinyOptions, tinyTrainer } from "./rig.ts";

const devices = await openDevices();
afterAll(() => {
  for (const { backend } of devices) backend.close();
});

describe.each([0, 0.3])("with dropout %s", (dropout) => {
  test.each(devices)(
    "the micro-batch changes neither losses nor gradient norms beyond rounding on $name",
    ({ backend }) => {
      const curve = (microBatch: number) => {
        const trainer = tinyTrainer({ microBatch }, { dropout }, backend);
        return Array.from({ length: 6 }, () => trainer.runStep());
      };
      const whole = curve(4);
      for (const microBatch of [1, 3]) {
        for (const [i, { loss, gradientNorm }] of curve(microBatch).entries()) {
          expect(Math.abs(loss - whole[i]!.loss)).toBeLessThan(1e-5);
          expect(Math.abs(gradientNorm / whole[i]!.gradientNorm - 1)).toBeLessThan(1e-4);
        }
      }
    },
  );
});

test("training lowers the loss of a text that repeats itself", () => {
  const trainer = tinyTrainer({ steps: 60 });
  const losses = Array.from({ length: 60 }, () => trainer.runStep().loss);
  expect(losses[0]).toBeGreaterThan(3.4); // ln 37 = 3.61
  expect(losses[59]).toBeLessThan(1);
});

test("no device memory is taken after the first step", () => {
  const trainer = tinyTrainer({ microBatch: 3 }, { dropout: 0.1 });
  trainer.runStep();
  const { peakBytes } = trainer.backend.memory();
  for (let i = 0; i < 3; i++) trainer.runStep();
  expect(trainer.backend.memory().peakBytes).toBe(peakBytes);
});

test.each([
  [{ microBatch: 0 }, "microBatch is 0 and must be a whole number above 0"],
  [{ steps: 1.5 }, "steps is 1.5 and must be a whole number above 0"],
  [{ contextWindow: 0 }, "contextWindow is 0"],
  [{ batchTokens: Number.NaN }, "batchTokens is NaN"],
  [{ warmupSteps: -1 }, "warmupSteps is -1 and must be a whole number, 0 or above"],
  [{ learningRate: undefined }, "learningRate is undefined and must be a number above 0"],
  [{ minLearningRate: "1e-3" }, "minLearningRate is 1e-3"],
  [{ beta2: 1 }, "beta2 is 1 and must be a number from 0 to below 1"],
  [{ clip: 0 }, "clip is 0"],
  [{ maxLoss: Number.NaN }, "maxLoss is NaN"],
  [{ seed: 2 ** 32 }, "seed is 4294967296"],
  [{ schedule: "cosin" }, 'schedule "cosin" does not exist'],
])("options that no training can have are refused by name: %o", (change, message) => {
  expect(() => tinyTrainer(change as Partial<TrainerOptions>)).toThrow(message);
  expect(() => tinyTrainer(change as Partial<TrainerOptions>)).toThrow(UserError);
});

test("a model that was allocated without gradients is refused", () => {
  const backend = createReferenceBackend();
  const model = new Transformer(tinyConfig());
  model.allocate(backend, { seed: 1 });
  expect(() => new Trainer(backend, model, repeatingTokens(), tinyOptions)).toThrow("The model has no gradients");
});

test("a batch that is no multiple of the context window is refused with the nearest size", () => {
  expect(() => tinyTrainer({ batchTokens: 70 })).toThrow("batchTokens 70 is not a multiple of contextWindow 16");
});

test("a stream shorter than a window is refused", () => {
  const trainer = tinyTrainer({ contextWindow: 640, batchTokens: 640 });
  expect(() => trainer.runStep()).toThrow(/600 tokens/);
});

test("dropout masks differ between steps and between micro-batches", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend, { dropout: 0.3 });
  const losses: string[] = [];
  const watched: Trainable = {
    parameters: () => model.parameters(),
    losses(ids, targets, gradientScale) {
      const result = model.losses(ids, targets, gradientScale);
      losses.push([...result.read()].join());
      return result;
    },
  };
  // Every window has the same tokens and the weights stand still, so that only the masks can change a loss.
  const sameTokens = {
    ...repeatingTokens(),
    readWindow: (_: number, length: number) => new Int32Array(length).fill(3),
  };
  const still = { learningRate: 1e-30, minLearningRate: 1e-30, microBatch: 1 };
  const trainer = new Trainer(backend, watched, sameTokens, { ...tinyOptions, ...still });
  const before = model.parameters().map(([, { value }]) => backend.read(value));
  for (let step = 0; step < 3; step++) trainer.runStep();
  expect(model.parameters().map(([, { value }]) => backend.read(value))).toEqual(before);
  expect(losses).toHaveLength(12);
  expect(new Set(losses).size).toBe(12);
});
