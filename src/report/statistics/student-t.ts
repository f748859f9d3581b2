// Student's t distribution (Student 1908): what a mean of few runs needs in place of the normal.

import { bisect, incompleteBeta, normalCdf } from "./special.ts";

/** P(T <= t) with `df` > 0 degrees of freedom; `df` may be Infinity (the normal). */
export function tCdf(t: number, df: number): number {
  if (df === Number.POSITIVE_INFINITY) return normalCdf(t);
  if (!Number.isFinite(t)) return t > 0 ? 1 : 0;
  // Of the two equal forms, the one whose argument is small: near 0 the other would lose every digit of t.
  if (t * t < df) return 0.5 + (Math.sign(t) / 2) * incompleteBeta((t * t) / (df + t * t), 0.5, df / 2);
  const tail = incompleteBeta(df / (df + t * t), df / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

/** P(|T| >= |t|): the two-sided p-value. */
export function tTwoSided(t: number, df: number): number {
  return 2 * tCdf(-Math.abs(t), df);
}

/** The t with P(T <= t) = p, 0 < p < 1. */
export function tQuantile(p: number, df: number): number {
  if (p === 0.5) return 0;
  if (p > 0.5) return -tQuantile(1 - p, df);
  let low = -1;
  while (tCdf(low, df) > p) low *= 2;
  return bisect((t) => tCdf(t, df), p, low, 0);
}

/**
 * Degrees of freedom of a sum of independent variance estimates (Satterthwaite 1946), between the smallest of theirs and their
 * sum. Estimates of variance 0 or without degrees of freedom do not count; at least 1.
 */
export function satterthwaite(parts: readonly { readonly variance: number; readonly df: number }[]): number {
  const known = parts.filter(({ variance, df }) => variance > 0 && df > 0);
  const total = known.reduce((sum, { variance }) => sum + variance, 0);
  const weighted = known.reduce((sum, { variance, df }) => sum + (variance / total) ** 2 / df, 0);
  return weighted === 0 ? Math.max(1, ...parts.map(({ df }) => df)) : 1 / weighted;
}
