// Intervals for a share of successes that stay honest near 0 and 1 and with few items
// (Brown, Cai & DasGupta 2001; for language-model scores Bowyer et al. 2025, arXiv 2503.01747).

import { normalQuantile } from "./special.ts";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson 1927: the shares that a score test at `confidence` does not reject. `items` may be fractional: an effective
 * sample size p(1 - p) / se^2 carries clustering into the interval (Korn & Graubard 1998).
 */
export function wilsonInterval(share: number, items: number, confidence = 0.95): Interval {
  const z = normalQuantile(0.5 + confidence / 2);
  const scale = 1 + (z * z) / items;
  const center = (share + (z * z) / (2 * items)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / items + (z * z) / (4 * items * items));
  return { low: Math.max(0, center - half), high: Math.min(1, center + half) };
}
