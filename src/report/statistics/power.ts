// What a test could have found: its power, and the smallest true effect that it finds four times out of five.

import { bisect, incompleteGamma, normalCdf } from "./special.ts";
import { tQuantile } from "./student-t.ts";

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
