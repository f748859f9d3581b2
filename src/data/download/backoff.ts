// How long to wait before another attempt: exponential with full jitter (Brooker 2015, "Exponential Backoff And
// Jitter"), or what the server asks for.

import { CounterRandom, PURPOSE } from "../../util/philox.ts";

export interface Backoff {
  /** Upper bound of the first wait; it doubles with each failure. */
  readonly baseMs: number;
  /** No wait is longer, whatever the server asks for. */
  readonly maxMs: number;
}

/**
 * Milliseconds to wait after failure number `failure` (0, 1, ...). At least half of the bound, so that a wait is
 * never nothing; `seed` keeps several clients apart.
 */
export function backoffMs(failure: number, backoff: Backoff, seed: number): number {
  const bound = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(failure, 30));
  return Math.round(bound * (0.5 + 0.5 * new CounterRandom(seed, PURPOSE.retry).uniform(failure)));
}

/** Milliseconds that a Retry-After header asks for (seconds or a date; RFC 9110, section 10.2.3), or undefined. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
