import { expect, test } from "vitest";
import { normal, parameterRandom, uniform } from "../../src/tensor/random.ts";

function moments(values: Float32Array) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

test("initialisers have the promised mean and spread, and each parameter numbers of its own", () => {
  const fill = (rule: ReturnType<typeof normal>, name: string) => {
    const values = new Float32Array(20_000);
    rule(parameterRandom(1, name), values);
    return values;
  };
  const flat = fill(uniform(0.5), "a");
  expect(moments(flat).mean).toBeCloseTo(0, 2);
  expect(moments(flat).deviation).toBeCloseTo(0.5 / Math.sqrt(3), 2);
  expect(Math.max(...flat.map(Math.abs))).toBeLessThanOrEqual(0.5);
  const bell = fill(normal(2), "b");
  expect(moments(bell).mean).toBeCloseTo(0, 1);
  expect(moments(bell).deviation / 2).toBeCloseTo(1, 1);
  expect(fill(normal(2), "b")).toEqual(bell);
  expect(fill(normal(2), "c")).not.toEqual(bell);
});
