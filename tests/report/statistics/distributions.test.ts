import fc from "fast-check";
import { expect, test } from "vitest";
import { minimumDetectableEffect, pairsNeeded, tTestPower } from "../../../src/report/statistics/power.ts";
import {
  bisect,
  erfc,
  incompleteBeta,
  logGamma,
  normalCdf,
  normalQuantile,
} from "../../../src/report/statistics/special.ts";
import { satterthwaite, tCdf, tQuantile, tTwoSided } from "../../../src/report/statistics/student-t.ts";
import { CounterRandom, PURPOSE } from "../../../src/util/philox.ts";

test("log-gamma gives factorials and the half-integer value", () => {
  expect(logGamma(5)).toBeCloseTo(Math.log(24), 12);
  expect(logGamma(1)).toBeCloseTo(0, 12);
  expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 12);
  expect(logGamma(171)).toBeCloseTo(706.5730622457874, 9);
});

test("the error function meets its tabled values on both sides of the switch of method", () => {
  // Abramowitz & Stegun, table 7.1
  expect(erfc(0)).toBe(1);
  expect(erfc(1)).toBeCloseTo(0.1572992070502851, 14);
  expect(erfc(2)).toBeCloseTo(0.004677734981047266, 14);
  expect(erfc(3) / 2.209049699858544e-5).toBeCloseTo(1, 11);
  expect(erfc(-1)).toBeCloseTo(1.842700792949715, 14);
  const edge = Math.sqrt(1.5);
  expect(erfc(edge - 1e-9) / erfc(edge + 1e-9)).toBeCloseTo(1, 7);
});

test("the incomplete beta function is the binomial tail that counting gives", () => {
  // P(X >= 3), X ~ Binomial(5, 0.3) = I_0.3(3, 3), summed by hand: 0.16308
  expect(incompleteBeta(0.3, 3, 3)).toBeCloseTo(0.16308, 12);
  expect(incompleteBeta(0.5, 8, 3)).toBeCloseTo(56 / 1024, 12); // P(X >= 8), X ~ Binomial(10, 1/2)
  expect(incompleteBeta(0.7, 1, 1)).toBeCloseTo(0.7, 14);
});

test("the normal quantile inverts the distribution", () => {
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12);
  expect(normalQuantile(0.8)).toBeCloseTo(0.8416212335729143, 12);
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), (p) => {
      expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 12);
    }),
  );
});

test("t quantiles equal the printed tables", () => {
  // Student's table as in any textbook, 97.5 % and 95 % points.
  const table = [
    [1, 12.7062, 6.3138],
    [2, 4.3027, 2.92],
    [3, 3.1824, 2.3534],
    [4, 2.7764, 2.1318],
    [9, 2.2622, 1.8331],
    [30, 2.0423, 1.6973],
    [120, 1.9799, 1.6577],
  ] as const;
  for (const [df, wide, narrow] of table) {
    expect(tQuantile(0.975, df)).toBeCloseTo(wide, 4);
    expect(tQuantile(0.95, df)).toBeCloseTo(narrow, 4);
  }
  expect(tQuantile(0.995, 1)).toBeCloseTo(63.6567, 3);
  expect(tQuantile(0.975, Number.POSITIVE_INFINITY)).toBeCloseTo(1.959964, 6);
});

test("with one degree of freedom t is Cauchy's distribution", () => {
  fc.assert(
    fc.property(fc.double({ min: -50, max: 50, noNaN: true }), (t) => {
      expect(tCdf(t, 1)).toBeCloseTo(0.5 + Math.atan(t) / Math.PI, 11);
    }),
  );
});

test("t quantile and distribution are inverse, and the two-sided value is symmetric", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 200 }), (p, df) => {
      expect(tCdf(tQuantile(p, df), df)).toBeCloseTo(p, 10);
      expect(tTwoSided(2, df)).toBe(tTwoSided(-2, df));
    }),
  );
});

test("bisection finds a root to its tolerance", () => {
  expect(bisect((x) => x * x, 2, 0, 2)).toBeCloseTo(Math.SQRT2, 15);
  expect(Math.abs(bisect((x) => x * x, 2, 0, 2, 0.01) - Math.SQRT2)).toBeLessThan(0.01);
});

test("power without an effect is the level of the test", () => {
  for (const df of [1, 2, 5, 40, 499]) expect(tTestPower(0, df, 0.05)).toBeCloseTo(0.05, 4);
  expect(tTestPower(0, Number.POSITIVE_INFINITY, 0.05)).toBeCloseTo(0.05, 10);
});

test("power of the paired t-test agrees with a simulation", () => {
  const random = new CounterRandom(7, PURPOSE.sample);
  for (const [pairs, effect] of [
    [2, 12],
    [4, 3],
  ] as const) {
    const rounds = 20_000;
    const critical = tQuantile(0.975, pairs - 1);
    let found = 0;
    let draw = 0;
    for (let round = 0; round < rounds; round++) {
      const values = Array.from({ length: pairs }, () => effect / Math.sqrt(pairs) + random.normal(draw++));
      const center = values.reduce((a, b) => a + b) / pairs;
      const spread = Math.sqrt(values.reduce((a, b) => a + (b - center) ** 2, 0) / (pairs - 1) / pairs);
      if (Math.abs(center / spread) > critical) found++;
    }
    // Five standard errors of a simulated share.
    expect(Math.abs(found / rounds - tTestPower(effect, pairs - 1, 0.05))).toBeLessThan(5 * Math.sqrt(0.25 / rounds));
  }
});

test("the minimum detectable effect has the power it promises", () => {
  expect(minimumDetectableEffect(1, Number.POSITIVE_INFINITY)).toBeCloseTo(1.959964 + 0.841621, 3);
  for (const df of [1, 3, 20]) expect(tTestPower(minimumDetectableEffect(1, df), df, 0.05)).toBeCloseTo(0.8, 4);
  expect(minimumDetectableEffect(0.5, 3)).toBeCloseTo(minimumDetectableEffect(1, 3) / 2, 9);
});

test("Satterthwaite's degrees of freedom lie between the smallest and the sum", () => {
  expect(satterthwaite([{ variance: 1, df: 4 }])).toBeCloseTo(4, 12);
  expect(
    satterthwaite([
      { variance: 1, df: 4 },
      { variance: 1, df: 4 },
    ]),
  ).toBeCloseTo(8, 12);
  expect(
    satterthwaite([
      { variance: 1, df: 1 },
      { variance: 0, df: 50 },
    ]),
  ).toBeCloseTo(1, 12);
  expect(
    satterthwaite([
      { variance: 0, df: 1 },
      { variance: 0, df: 50 },
    ]),
  ).toBe(50);
  const part = fc.record({
    variance: fc.double({ min: 0.01, max: 100, noNaN: true }),
    df: fc.integer({ min: 1, max: 90 }),
  });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const df = satterthwaite(parts);
      expect(df).toBeGreaterThanOrEqual(Math.min(...parts.map((each) => each.df)) - 1e-9);
      expect(df).toBeLessThanOrEqual(parts.reduce((sum, each) => sum + each.df, 0) + 1e-9);
    }),
  );
});

test("the pairs needed are the fewest whose power suffices, as tables of the paired t-test have them", () => {
  const needed = (effect: number, itemVariance = 0) =>
    pairsNeeded({ effect, pairDeviation: 1, itemVariance, clusters: 100 }, 0.05, 0.8, 1000);
  // Cohen 1988, one sample at 5 %, two-sided, 80 % power: d = 0.8, 0.5, 0.2.
  expect([needed(0.8), needed(-0.5), needed(0.2)]).toEqual([15, 34, 199]);
  expect(needed(0.01)).toBeUndefined();
  expect(needed(0)).toBeUndefined();
  expect(needed(0.5, 0.005)!).toBeGreaterThan(34);
  expect(needed(0.5, 1)).toBeUndefined(); // no number of pairs outweighs the items
});
