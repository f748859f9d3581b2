// Holm's step-down correction (Holm 1979): the chance of one false claim in the whole family stays at alpha.

/** Adjusted p-values in the order given: a claim stands at level alpha when its adjusted value is at most alpha. */
export function holmAdjust(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => pValues[a]! - pValues[b]! || a - b);
  const adjusted = new Array<number>(pValues.length);
  let running = 0;
  order.forEach((index, rank) => {
    running = Math.max(running, Math.min(1, (pValues.length - rank) * pValues[index]!));
    adjusted[index] = running;
  });
  return adjusted;
}
