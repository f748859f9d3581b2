import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bootstrapEquivalencePValue,
  bootstrapPValue,
  hierarchicalBootstrap,
  type PairedItems,
  percentileInterval,
  ratioOfSums,
} from "../../../src/report/statistics/bootstrap.ts";
import { mean, standardDeviation } from "../../../src/report/statistics/descriptive.ts";
import { CounterRandom, PURPOSE } from "../../../src/util/philox.ts";

function single(values: readonly number[]): PairedItems {
  return {
    clusterSizes: values.map(() => 1),
    numerators: [Float64Array.from(values)],
    denominator: new Float64Array(values.length).fill(1),
  };
}

test("the estimate is the mean over pairs of the ratio of sums", () => {
  const items = {
    clusterSizes: [2, 1],
    numerators: [Float64Array.of(1, 2, 3), Float64Array.of(0, 0, 3)],
    denominator: Float64Array.of(1, 1, 4),
  };
  expect(ratioOfSums(items)).toBeCloseTo((6 / 6 + 3 / 6) / 2, 14);
});

test("the same seed gives the same bytes, another seed others, and more resamples keep the first ones", () => {
  const items = single([1, 2, 3, 4, 7]);
  expect(hierarchicalBootstrap(items, 50, 3)).toEqual(hierarchicalBootstrap(items, 50, 3));
  expect(hierarchicalBootstrap(items, 50, 3)).not.toEqual(hierarchicalBootstrap(items, 50, 4));
  const more = new Set(hierarchicalBootstrap(items, 80, 3));
  for (const value of hierarchicalBootstrap(items, 50, 3)) expect(more.has(value)).toBe(true);
});

test("with one run of independent items its spread is the plug-in standard error", () => {
  const random = new CounterRandom(1, PURPOSE.sample);
  const values = Array.from({ length: 200 }, (_, i) => random.normal(i));
  const estimates = hierarchicalBootstrap(single(values), 4000, 11);
  const plugIn = (standardDeviation(values)! * Math.sqrt(199 / 200)) / Math.sqrt(200);
  expect(standardDeviation(estimates)! / plugIn).toBeCloseTo(1, 1);
  expect(mean(estimates)).toBeCloseTo(mean(values), 2);
});

test("items that agree inside a cluster count as one: the spread is that of the clusters", () => {
  const random = new CounterRandom(2, PURPOSE.sample);
  const clusters = Array.from({ length: 40 }, (_, i) => random.normal(i));
  const values = clusters.flatMap((value) => [value, value, value, value, value]);
  const clustered = { ...single(values), clusterSizes: clusters.map(() => 5) };
  const spread = standardDeviation(hierarchicalBootstrap(clustered, 3000, 5))!;
  const naive = standardDeviation(hierarchicalBootstrap(single(values), 3000, 5))!;
  expect(spread / naive).toBeGreaterThan(2); // sqrt(5) = 2.24
  expect(spread / naive).toBeLessThan(2.5);
});

test("seeds that differ widen the interval although every item agrees", () => {
  const items = {
    clusterSizes: new Array<number>(50).fill(1),
    numerators: [new Float64Array(50).fill(1), new Float64Array(50).fill(3)],
    denominator: new Float64Array(50).fill(1),
  };
  const estimates = hierarchicalBootstrap(items, 1000, 9);
  expect(new Set(estimates)).toEqual(new Set([1, 2, 3]));
});

test("the percentile interval interpolates between order statistics", () => {
  const sorted = Float64Array.from({ length: 101 }, (_, i) => i);
  expect(percentileInterval(sorted, 0.9)).toEqual({ low: expect.closeTo(5, 9), high: expect.closeTo(95, 9) });
});

test("p-values count the far side and are never 0", () => {
  const sorted = Float64Array.of(-1, 1, 2, 3, 4, 5, 6, 7, 8);
  expect(bootstrapPValue(sorted)).toBeCloseTo((2 * 2) / 10, 14);
  expect(bootstrapPValue(Float64Array.of(1, 2, 3))).toBeCloseTo(0.5, 14);
  expect(bootstrapEquivalencePValue(sorted, 8.5)).toBeCloseTo(0.1, 14);
  expect(bootstrapEquivalencePValue(sorted, 6.5)).toBeCloseTo(0.3, 14);
});

test("a shift of the items shifts the interval by as much", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 12 }),
      fc.double({ min: -3, max: 3, noNaN: true }),
      (values, shift) => {
        const before = percentileInterval(hierarchicalBootstrap(single(values), 60, 1));
        const after = percentileInterval(hierarchicalBootstrap(single(values.map((value) => value + shift)), 60, 1));
        expect(after.low).toBeCloseTo(before.low + shift, 9);
        expect(after.high).toBeCloseTo(before.high + shift, 9);
      },
    ),
    { numRuns: 30 },
  );
});
