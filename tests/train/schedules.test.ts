import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ScheduleOptions, scheduleNames, schedules } from "../../src/train/schedules.ts";

const run: ScheduleOptions = { steps: 100, warmupSteps: 10, learningRate: 1, minLearningRate: 0.1 };

test("warm-up rises in equal steps to the full rate and already moves at the first step", () => {
  for (const name of scheduleNames.filter((name) => name !== "cosine-stlm")) {
    const rates = Array.from({ length: 10 }, (_, step) => schedules[name](step, run));
    expect(rates).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
  }
});

test("cosine is half way in the middle and at its minimum at the last step", () => {
  expect(schedules.cosine(10, run)).toBe(1);
  expect(schedules.cosine(10 + 89 / 2, run)).toBeCloseTo(0.55, 10);
  expect(schedules.cosine(99, run)).toBeCloseTo(0.1, 10);
});

test("cosine-stlm starts at zero and ends where the paper's code does: 1.12e-4, 9.6e-5 and 7.3e-5 instead of 6e-5", () => {
  const paper = (steps: number) =>
    schedules["cosine-stlm"](steps, { steps, warmupSteps: 5000, learningRate: 6e-4, minLearningRate: 6e-5 });
  expect(schedules["cosine-stlm"](0, run)).toBe(0);
  expect(paper(25_000)).toBeCloseTo(1.12e-4, 6);
  expect(paper(30_000)).toBeCloseTo(9.6e-5, 6);
  expect(paper(50_000)).toBeCloseTo(7.3e-5, 6);
});

test("wsd is flat, then falls in a straight line over the last fifth", () => {
  const at = (step: number) => schedules.wsd(step, run);
  expect([at(10), at(50), at(79)]).toEqual([1, 1, 1]);
  expect(at(89)).toBeCloseTo(0.55, 10);
  expect(at(99)).toBeCloseTo(0.1, 10);
});

test("inverse-sqrt halves when the steps are four times the warm-up and constant stays", () => {
  expect(schedules["inverse-sqrt"](39, run)).toBeCloseTo(0.5, 10);
  expect(schedules.constant(99, run)).toBe(1);
});

describe.each(scheduleNames)("%s", (name) => {
  test("stays between zero and the full rate, and after the warm-up not below the minimum", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(50), fc.nat(), (steps, warmupSteps, n) => {
        const options = { steps, warmupSteps, learningRate: 3e-3, minLearningRate: 3e-4 };
        const rate = schedules[name](n % steps, options);
        expect(rate).toBeLessThanOrEqual(3e-3 + 1e-15);
        expect(rate).toBeGreaterThanOrEqual(n % steps < warmupSteps ? 0 : 3e-4 - 1e-15);
      }),
    );
  });
});
