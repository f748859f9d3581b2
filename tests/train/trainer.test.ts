import { expect, test } from "vitest";
import { tinyTrainer } from "./rig.ts";

const curve = (options: Parameters<typeof tinyTrainer>[0]) => {
  const trainer = tinyTrainer(options);
  return Array.from({ length: 6 }, () => trainer.runStep());
};

test("the micro-batch changes neither losses nor gradient norms beyond rounding", () => {
  const whole = curve({ microBatch: 4 });
  for (const microBatch of [1, 3]) {
    for (const [i, { loss, gradientNorm }] of curve({ microBatch }).entries()) {
      expect(Math.abs(loss - whole[i]!.loss)).toBeLessThan(1e-5);
      expect(Math.abs(gradientNorm / whole[i]!.gradientNorm - 1)).toBeLessThan(1e-4);
    }
  }
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

test("a batch that is no multiple of the context window is refused with the nearest size", () => {
  expect(() => tinyTrainer({ batchTokens: 70 })).toThrow("batchTokens 70 is not a multiple of contextWindow 16");
});

test("a stream shorter than a window is refused", () => {
  const trainer = tinyTrainer({ contextWindow: 640, batchTokens: 640 });
  expect(() => trainer.runStep()).toThrow(/600 tokens/);
});
