// Hierarchical bootstrap of a paired difference: seeds, then clusters, then items, drawn with replacement. Every seed
// sees the same items, so seeds and items are crossed and drawn independently (the pigeonhole bootstrap of Owen 2007);
// items are drawn inside their cluster (Davison & Hinkley 1997, section 3.8). One seed fewer is drawn than there are:
// with few, drawing all would halve their variance or worse (Rao & Wu 1988).

import { CounterRandom, PURPOSE } from "../../util/philox.ts";

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
 * `resamples` estimates, whose standard deviation is the bootstrap standard error. The generator is counted by (seed, resample, draw), so a resample does
 * not depend on the others.
 */
export function hierarchicalBootstrap(items: PairedItems, resamples: number, seed: number): Float64Array {
  const pairs = items.numerators.length;
  const drawn = Math.max(1, pairs - 1);
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
    const chosen = Array.from({ length: drawn }, () => items.numerators[next(pairs)]!);
    let numerator = 0;
    let denominator = 0;
    for (let c = 0; c < starts.length; c++) {
      const cluster = starts.length === 1 ? 0 : next(starts.length);
      const size = items.clusterSizes[cluster]!;
      for (let i = 0; i < size; i++) {
        const item = starts[cluster]! + (size === 1 ? 0 : next(size));
        for (const values of chosen) numerator += values[item]!;
        denominator += items.denominator[item]!;
      }
    }
    estimates[resample] = numerator / (drawn * denominator);
  }
  return estimates;
}
