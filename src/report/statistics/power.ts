// What a test could have found: its power, and the smallest true effect that it finds four times out of five.

import { bisect, incompleteGamma, normalCdf } from "./special.ts";
import { satterthwaite, tQuantile } from "./student-t.ts";

const REACH = 9; // a standard normal lies outside +-9 with probability 2e-19
const GRID = 600; // even: Simpson's rule

/**
 * Power of the two-sided t-test at level `alpha` when the true effect is `effect` standard errors: the noncentral t
 * (Johnson, Kotz & Balakrishnan 1995, chapter 31) as the mean over Z of P(c * sqrt(chi2 / df) < |Z + effect|).
 */
export function tTestPower(effect: number, df: number, alpha: number): number {
  const critical = tQuantile(1 - alpha / 2, df);
  return powerBeyond(critical, effect, df);
}

function powerBeyond(critical: number, effect: number, df: number): number {
  if (df === Number.POSITIVE_INFINITY) return normalCdf(effect - critical) + normalCdf(-effect - critical);
  const width = (2 * REACH) / GRID;
  let sum = 0;
  for (let i = 0; i <= GRID; i++) {
    const z = -REACH + i * width;
    const density = Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI);
    const [rejected] = incompleteGamma(df / 2, (df * ((z + effect) / critical) ** 2) / 2);
    sum += density * rejected * (i === 0 || i === GRID ? 1 : i % 2 === 1 ? 4 : 2);
  }
  return Math.min(1, (sum * width) / 3);
}

/** The smallest true effect, in the unit of `error`, that the test finds with probability `power`; to five digits. */
export function minimumDetectableEffect(error: number, df: number, alpha = 0.05, power = 0.8): number {
  const critical = tQuantile(1 - alpha / 2, df);
  let high = critical;
  while (powerBeyond(critical, high, df) < power) high *= 2;
  return bisect((effect) => powerBeyond(critical, effect, df), power, 0, high, high * 1e-6) * error;
}

/** What a difference of paired runs consists of, as measured or assumed. */
export interface PairedSpread {
  /** Mean difference. */
  readonly effect: number;
  /** Standard deviation of a pair's difference. */
  readonly pairDeviation: number;
  /** Variance that items give the mean difference; more pairs do not lower it, since all see the same items. */
  readonly itemVariance: number;
  readonly clusters: number;
}

/**
 * The fewest pairs with which both tests of paired.ts tell an effect of this size from 0 at level `alpha` with probability
 * `power` each; undefined if `limit` pairs are too few.
 */
export function pairsNeeded(spread: PairedSpread, alpha: number, power: number, limit: number): number | undefined {
  const { effect, pairDeviation, itemVariance, clusters } = spread;
  if (effect === 0 || pairDeviation === 0) return undefined;
  const suffices = (pairs: number) => {
    const between = pairDeviation ** 2 / pairs;
    const df = satterthwaite([
      { variance: itemVariance, df: clusters - 1 },
      { variance: between, df: pairs - 1 },
    ]);
    const found = (variance: number, freedom: number) =>
      tTestPower(Math.abs(effect) / Math.sqrt(variance), freedom, alpha) >= power;
    return found(between, pairs - 1) && found(between + itemVariance, df);
  };
  if (!suffices(limit)) return undefined;
  let low = 1; // too few
  let high = limit;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (suffices(middle)) high = middle;
    else low = middle;
  }
  return high;
}
