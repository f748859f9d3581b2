// McNemar's test, exact (McNemar 1947): do two models answer the same items differently more often in one direction?

import { incompleteBeta } from "./special.ts";

/**
 * Two-sided exact binomial p-value from the discordant items: `onlyFirst` were right for the first model alone,
 * `onlySecond` for the second alone. 1 where no item is discordant.
 */
export function mcnemarExact(onlyFirst: number, onlySecond: number): number {
  const discordant = onlyFirst + onlySecond;
  const larger = Math.max(onlyFirst, onlySecond);
  if (onlyFirst === onlySecond) return 1;
  // P(X >= k) for X ~ Binomial(n, 1/2) = I_{1/2}(k, n - k + 1)
  return Math.min(1, 2 * incompleteBeta(0.5, larger, discordant - larger + 1));
}
