// The plainest summaries of a sample. With one value there is no spread: the answer is undefined, never 0.

/** Arithmetic mean; NaN for no values. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Sample standard deviation (divisor n - 1), in two passes; undefined below two values. */
export function standardDeviation(values: ArrayLike<number>): number | undefined {
  if (values.length < 2) return undefined;
  const center = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - center) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** Standard error of the mean; undefined below two values. */
export function standardError(values: ArrayLike<number>): number | undefined {
  const deviation = standardDeviation(values);
  return deviation === undefined ? undefined : deviation / Math.sqrt(values.length);
}
