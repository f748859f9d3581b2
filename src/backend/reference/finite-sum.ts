// What a sum over a row that float32 cannot hold means: NaN, so that an overflow ends as a divergence, never as 1/sqrt(inf) = 0.

/** The sum, or NaN where it is no finite float32. */
export function finiteOrNaN(sum: number): number {
  return Number.isFinite(Math.fround(sum)) ? sum : Number.NaN;
}
