// The paired t-test: differences between two arms that share a seed, so also their data order and the initial values of equally named parameters
// (Student 1908; pairing in language-model evaluation: Miller 2024, arXiv 2411.00640).

import { mean, standardError } from "./descriptive.ts";
import { satterthwaite, tCdf, tQuantile, tTwoSided } from "./student-t.ts";

export interface PairedDifference {
  /** Number of pairs, at least 2. */
  readonly pairs: number;
  readonly mean: number;
  readonly standardError: number;
  /** The same without the floor that the resolution sets. */
  readonly measuredError: number;
  /** pairs - 1 */
  readonly df: number;
  /** 95 % interval. */
  readonly low: number;
  readonly high: number;
  /** Two-sided p-value of "the mean difference is 0". */
  readonly p: number;
}

/**
 * Summary of differences (treatment - control), one per pair; undefined below two pairs. `resolution` is the step in which
 * a difference is counted (100 / items for an accuracy in percent): equal counts in two runs do not mean that there is no
 * spread, so the standard deviation is at least that of rounding to this step, resolution / sqrt(12) (Sheppard 1898).
 */
export function pairedDifference(differences: readonly number[], resolution = 0): PairedDifference | undefined {
  const measured = standardError(differences);
  if (measured === undefined) return undefined;
  const error = Math.max(measured, resolution / Math.sqrt(12 * differences.length));
  const df = differences.length - 1;
  const center = mean(differences);
  const half = tQuantile(0.975, df) * error;
  // Without any spread there is nothing to hold the difference against: no evidence, not perfect evidence.
  const p = error === 0 ? 1 : tTwoSided(center / error, df);
  return {
    pairs: differences.length,
    mean: center,
    standardError: error,
    measuredError: measured,
    df,
    low: center - half,
    high: center + half,
    p,
  };
}

/**
 * Two one-sided t-tests (Schuirmann 1987): the p-value of "the true difference lies outside (-bound, bound)".
 * Below alpha exactly when the 1 - 2 alpha interval lies inside the bounds.
 */
export function equivalencePValue(center: number, error: number, df: number, bound: number): number {
  if (error === 0) return Number(center !== 0); // no spread is no evidence, unless both arms are one and the same
  return Math.max(tCdf(-(center + bound) / error, df), tCdf((center - bound) / error, df));
}

/** A difference judged over seeds and items together. */
export interface JointDifference {
  readonly standardError: number;
  /** The part of standardError^2 that comes from the items. */
  readonly itemVariance: number;
  readonly df: number;
  /** 95 % interval. */
  readonly low: number;
  readonly high: number;
  readonly p: number;
}

/**
 * The difference with both of its variances, that between seeds and that between items, each with its own degrees of
 * freedom (Satterthwaite 1946). `bootstrapError` is the error of the hierarchical bootstrap, which holds both; what it has beyond
 * `seedError` comes from the items. `seeds` is undefined with one pair: only the items speak then.
 */
export function jointDifference(
  center: number,
  seeds: { readonly standardError: number; readonly measuredError: number; readonly df: number } | undefined,
  bootstrapError: number,
  clusters: number,
): JointDifference {
  const items = Math.max(0, bootstrapError ** 2 - (seeds?.measuredError ?? 0) ** 2);
  const between = (seeds?.standardError ?? 0) ** 2;
  const error = Math.sqrt(items + between);
  const df = satterthwaite([
    { variance: items, df: clusters - 1 },
    { variance: between, df: seeds?.df ?? 0 },
  ]);
  const half = tQuantile(0.975, df) * error;
  const p = error === 0 ? 1 : tTwoSided(center / error, df);
  return { standardError: error, itemVariance: items, df, low: center - half, high: center + half, p };
}
