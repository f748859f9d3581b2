// The paired t-test: differences between two arms that share a seed, so also their initialisation and data order
// (Student 1908; pairing in language-model evaluation: Miller 2024, arXiv 2411.00640).

import { mean, standardError } from "./descriptive.ts";
import { tCdf, tQuantile, tTwoSided } from "./student-t.ts";

export interface PairedDifference {
  /** Number of pairs, at least 2. */
  readonly pairs: number;
  readonly mean: number;
  readonly standardError: number;
  /** pairs - 1 */
  readonly df: number;
  /** 95 % interval. */
  readonly low: number;
  readonly high: number;
  /** Two-sided p-value of "the mean difference is 0". */
  readonly p: number;
}

/** Summary of differences (treatment - control), one per pair; undefined below two pairs. */
export function pairedDifference(differences: readonly number[], confidence = 0.95): PairedDifference | undefined {
  const error = standardError(differences);
  if (error === undefined) return undefined;
  const df = differences.length - 1;
  const center = mean(differences);
  const half = tQuantile(0.5 + confidence / 2, df) * error;
  const p = error === 0 ? Number(center === 0) : tTwoSided(center / error, df);
  return {
    pairs: differences.length,
    mean: center,
    standardError: error,
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
  if (error === 0) return Number(Math.abs(center) >= bound);
  return Math.max(tCdf(-(center + bound) / error, df), tCdf((center - bound) / error, df));
}
