// Hierarchical bootstrap of a paired difference: seeds, then clusters, then items, drawn with replacement. Every seed
// sees the same items, so seeds and items are crossed and drawn independently (the pigeonhole bootstrap of Owen 2007);
// items are drawn inside their cluster (Davison & Hinkley 1997, section 3.8). Both choices err on the wide side.
// Intervals are percentiles (Efron 1979): BCa needs a jackknife, which crossed factors with two seeds do not give.

import { CounterRandom, PURPOSE } from "../../util/philox.ts";
import type { Interval } from "./proportion.ts";

/**
 * A difference as a ratio of sums over items. In bits per byte `numerator` is the difference in bits of a document and
 * `denominator` its bytes; for accuracy they are the difference in correctness and 1 (or 1 / size for a macro average).
 */
export interface PairedItems {
  /** Number of items in each cluster; items of a cluster are neighbours. */
  readonly clusterSizes: readonly number[];
  /** One array a pair of runs, each over all items. */
  readonly numerators: readonly Float64Array[];
  /** Over all items, shared by all pairs. */
  readonly denominator: Float64Array;
}

/** The estimate itself: mean over pairs of sum(numerator) / sum(denominator). */
export function ratioOfSums(items: PairedItems): number {
  const total = items.denominator.reduce((sum, value) => sum + value, 0);
  const sums = items.numerators.map((numerator) => numerator.reduce((sum, value) => sum + value, 0) / total);
  return sums.reduce((sum, value) => sum + value, 0) / sums.length;
}

/**
 * `resamples` estimates in increasing order. The generator is counted by (seed, resample, draw), so a resample does
 * not depend on the others.
 */
export function hierarchicalBootstrap(items: PairedItems, resamples: number, seed: number): Float64Array {
  const pairs = items.numerators.length;
  const starts: number[] = [];
  let end = 0;
  for (const size of items.clusterSizes) {
    starts.push(end);
    end += size;
  }
  const estimates = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    const random = new CounterRandom(seed, PURPOSE.bootstrap, resample);
    let draw = 0;
    const next = (bound: number) => Math.floor(random.uniform(draw++) * bound);
    const chosen = Array.from({ length: pairs }, () => items.numerators[next(pairs)]!);
    let numerator = 0;
    let denominator = 0;
    for (let c = 0; c < starts.length; c++) {
      const cluster = starts.length === 1 ? 0 : next(starts.length);
      const size = items.clusterSizes[cluster]!;
      for (let i = 0; i < size; i++) {
        const item = starts[cluster]! + (size === 1 ? 0 : next(size));
        for (let p = 0; p < pairs; p++) numerator += chosen[p]![item]!;
        denominator += items.denominator[item]!;
      }
    }
    estimates[resample] = numerator / (pairs * denominator);
  }
  return estimates.sort();
}

/** The central share `confidence` of sorted estimates. */
export function percentileInterval(sorted: Float64Array, confidence = 0.95): Interval {
  const tail = (1 - confidence) / 2;
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
}

/** Two-sided p-value of "the effect is 0" by the share of estimates on the far side; at least 2 / (resamples + 1). */
export function bootstrapPValue(sorted: Float64Array): number {
  const below = sorted.filter((value) => value <= 0).length;
  const above = sorted.filter((value) => value >= 0).length;
  return Math.min(1, (2 * (1 + Math.min(below, above))) / (sorted.length + 1));
}

/** P-value of "the effect lies outside (-bound, bound)": the larger of the two shares beyond a bound (TOST). */
export function bootstrapEquivalencePValue(sorted: Float64Array, bound: number): number {
  const below = sorted.filter((value) => value <= -bound).length;
  const above = sorted.filter((value) => value >= bound).length;
  return (1 + Math.max(below, above)) / (sorted.length + 1);
}

/** Linear interpolation between order statistics (type 7 of Hyndman & Fan 1996). */
function quantile(sorted: Float64Array, p: number): number {
  const position = p * (sorted.length - 1);
  const index = Math.floor(position);
  const next = sorted[Math.min(index + 1, sorted.length - 1)]!;
  return sorted[index]! + (position - index) * (next - sorted[index]!);
}
