import fc from "fast-check";
import { expect, test } from "vitest";
import { hierarchicalBootstrap, type PairedItems, ratioOfSums } from "../../../src/report/statistics/bootstrap.ts";
import { mean, standardDeviation, standardError } from "../../../src/report/statistics/descriptive.ts";
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

test("seeds that differ widen the spread although every item agrees, and by the unbiased amount", () => {
  const items = {
    clusterSizes: new Array<number>(50).fill(1),
    numerators: [1, 3, 8].map((value) => new Float64Array(50).fill(value)),
    denominator: new Float64Array(50).fill(1),
  };
  const estimates = hierarchicalBootstrap(items, 20_000, 9);
  expect(new Set(estimates)).toEqual(new Set([1, 2, 3, 4.5, 5.5, 8])); // two of three seeds each time
  expect(standardDeviation(estimates)! / standardError([1, 3, 8])!).toBeCloseTo(1, 1);
});

test("a shift of the items shifts every estimate by as much", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 12 }),
      fc.double({ min: -3, max: 3, noNaN: true }),
      (values, shift) => {
        const before = hierarchicalBootstrap(single(values), 60, 1);
        const after = hierarchicalBootstrap(single(values.map((value) => value + shift)), 60, 1);
        after.forEach((value, i) => {
          expect(value).toBeCloseTo(before[i]! + shift, 9);
        });
      },
    ),
    { numRuns: 30 },
  );
});
