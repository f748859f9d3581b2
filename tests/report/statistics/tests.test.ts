import fc from "fast-check";
import { expect, test } from "vitest";
import { mean, standardDeviation, standardError } from "../../../src/report/statistics/descriptive.ts";
import { holmAdjust } from "../../../src/report/statistics/holm.ts";
import { mcnemarExact } from "../../../src/report/statistics/mcnemar.ts";
import { equivalencePValue, jointDifference, pairedDifference } from "../../../src/report/statistics/paired.ts";
import { wilsonInterval } from "../../../src/report/statistics/proportion.ts";
import { tQuantile } from "../../../src/report/statistics/student-t.ts";

test("one value has a mean and no spread", () => {
  expect(mean([3])).toBe(3);
  expect(standardDeviation([3])).toBeUndefined();
  expect(standardError([3])).toBeUndefined();
  expect(standardDeviation([2, 4, 4, 4, 5, 5, 7, 9])).toBeCloseTo(Math.sqrt(32 / 7), 14);
  expect(standardError([1, 3])).toBeCloseTo(1, 14);
});

test("a paired difference of two seeds has one degree of freedom", () => {
  const result = pairedDifference([0.1, 0.3])!;
  expect(result).toMatchObject({ pairs: 2, df: 1 });
  expect(result.mean).toBeCloseTo(0.2, 14);
  expect(result.standardError).toBeCloseTo(0.1, 14);
  expect(result.high - result.mean).toBeCloseTo(1.27062, 4);
  expect(result.p).toBeCloseTo(0.295167, 6); // 2 (1/2 - arctan(2) / pi)
  expect(pairedDifference([0.1])).toBeUndefined();
});

test("a paired difference agrees with a worked example of five pairs", () => {
  // d = 1 2 3 4 5: mean 3, se sqrt(2.5 / 5) = 0.70711, t = 4.2426 on 4 df, p = 0.01324
  const result = pairedDifference([1, 2, 3, 4, 5])!;
  expect(result.standardError).toBeCloseTo(Math.SQRT1_2, 12);
  expect(result.p).toBeCloseTo(0.013236, 5);
  expect([result.low, result.high]).toEqual([expect.closeTo(1.03676, 4), expect.closeTo(4.96324, 4)]);
});

test("the equivalence test passes exactly when the 90 % interval lies inside the bounds", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -2, max: 2, noNaN: true }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 30 }),
      (center, error, df) => {
        const half = tQuantile(0.95, df) * error;
        const inside = center - half > -1 && center + half < 1;
        expect(equivalencePValue(center, error, df, 1) < 0.05).toBe(inside);
      },
    ),
  );
});

test("Wilson's interval meets a worked example and never leaves [0, 1]", () => {
  // 8 of 10: (0.49016, 0.94332), Newcombe 1998
  const { low, high } = wilsonInterval(0.8, 10);
  expect(low).toBeCloseTo(0.49016, 4);
  expect(high).toBeCloseTo(0.94332, 4);
  expect(wilsonInterval(0, 20).low).toBeCloseTo(0, 14);
  expect(wilsonInterval(0, 20).high).toBeGreaterThan(0.1);
  expect(wilsonInterval(1, 20).high).toBeCloseTo(1, 14);
});

test("McNemar's exact test is the binomial tail over the discordant items", () => {
  expect(mcnemarExact(0, 0)).toBe(1);
  expect(mcnemarExact(5, 5)).toBe(1);
  expect(mcnemarExact(8, 2)).toBeCloseTo(112 / 1024, 12); // 2 (45 + 10 + 1) / 2^10
  expect(mcnemarExact(0, 6)).toBeCloseTo(2 / 64, 12);
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), (a, b) => {
      expect(mcnemarExact(a, b)).toBe(mcnemarExact(b, a));
    }),
  );
});

test("Holm's correction gives the worked example of four tests", () => {
  expect(holmAdjust([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  expect(holmAdjust([])).toEqual([]);
});

test("Holm's correction never lowers a p-value, keeps their order, and is no harsher than Bonferroni's", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }), (values) => {
      const adjusted = holmAdjust(values);
      values.forEach((p, i) => {
        expect(adjusted[i]).toBeGreaterThanOrEqual(p);
        expect(adjusted[i]).toBeLessThanOrEqual(Math.min(1, p * values.length));
        values.forEach((q, j) => {
          if (p < q) expect(adjusted[i]).toBeLessThanOrEqual(adjusted[j]!);
        });
      });
    }),
  );
});

test("differences counted in whole items have at least the spread of rounding, and no spread at all is no evidence", () => {
  const tied = pairedDifference([1, 1], 0.5)!;
  expect(tied.standardError).toBeCloseTo(0.5 / Math.sqrt(24), 14);
  expect(tied.measuredError).toBe(0);
  expect(pairedDifference([1, 1])!.p).toBe(1);
  expect(equivalencePValue(0.1, 0, 1, 1)).toBe(1);
  expect(equivalencePValue(0, 0, 1, 1)).toBe(0);
});

test("the joint difference adds both variances, with degrees of freedom between the two", () => {
  const seeds = { standardError: 3, measuredError: 3, df: 2 };
  const joint = jointDifference(10, seeds, 5, 41); // items: 5^2 - 3^2 = 4^2
  expect(joint.standardError).toBeCloseTo(5, 12);
  expect(joint.df).toBeCloseTo(625 / (256 / 40 + 81 / 2), 12);
  expect(jointDifference(10, seeds, 3, 41).df).toBeCloseTo(2, 12);
  expect(jointDifference(10, undefined, 5, 41)).toMatchObject({ standardError: 5, df: expect.closeTo(40, 9) });
  expect(jointDifference(1, undefined, 0, 1)).toMatchObject({ standardError: 0, p: 1 });
});
