// What a test could have found: its power, and the smallest true effect that it finds four times out of five.

import { bisect, logGamma, normalCdf, normalQuantile } from "./special.ts";
import { tQuantile } from "./student-t.ts";

/** Above this the t distribution is the normal for our purpose, and its scale is too narrow to integrate on a grid. */
const LARGE_DF = 500;
const GRID = 8000; // even: Simpson's rule
const GRID_END = 12; // the scale s = sqrt(chi2 / df) exceeds 12 with probability below 1e-32 for every df >= 1

/**
 * Power of the two-sided t-test at level `alpha` when the true effect is `effect` standard errors: the noncentral t
 * (Johnson, Kotz & Balakrishnan 1995, chapter 31), integrated over the scale estimate by Simpson's rule.
 */
export function tTestPower(effect: number, df: number, alpha: number): number {
  if (df > LARGE_DF) {
    const critical = normalQuantile(1 - alpha / 2);
    return normalCdf(effect - critical) + normalCdf(-effect - critical);
  }
  const critical = tQuantile(1 - alpha / 2, df);
  const logScale = Math.log(2) + (df / 2) * Math.log(df / 2) - logGamma(df / 2);
  const width = GRID_END / GRID;
  let sum = 0;
  for (let i = 0; i <= GRID; i++) {
    const s = i * width;
    const density =
      df === 1 && s === 0 ? Math.exp(logScale) : Math.exp(logScale + (df - 1) * Math.log(s) - (df * s * s) / 2);
    const rejected = normalCdf(effect - critical * s) + normalCdf(-effect - critical * s);
    sum += density * rejected * (i === 0 || i === GRID ? 1 : i % 2 === 1 ? 4 : 2);
  }
  return Math.min(1, (sum * width) / 3);
}

/** The smallest true effect, in the unit of `error`, that the test finds with probability `power`; to six digits. */
export function minimumDetectableEffect(error: number, df: number, alpha = 0.05, power = 0.8): number {
  let high = 4;
  while (tTestPower(high, df, alpha) < power) high *= 2;
  return bisect((effect) => tTestPower(effect, df, alpha), power, 0, high, high * 1e-7) * error;
}
