// Attempts at one address with growing waits between them, for as long as bytes come.

import { setTimeout as sleep } from "node:timers/promises";
import { formatDuration } from "../../util/format.ts";
import { type Backoff, backoffMs } from "./backoff.ts";
import type { Retry } from "./outcome.ts";

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Failures in a row, without a new byte between them, before a URL is given up. Default 6. */
  readonly attempts?: number;
  /** Default 1 s, doubling up to 2 min. */
  readonly backoff?: Backoff;
  readonly onRetry?: (message: string) => void;
}

/** However slowly a server trickles, a URL gets no more attempts than this. */
const MAX_ATTEMPTS = 200;

export interface Attempted<Other> {
  readonly outcome: Retry | Other;
  /** New bytes came, so that the count of failures begins again. */
  readonly progressed: boolean;
  /** It had attempts of its own, and another one would not help. */
  readonly last?: boolean;
}

/** The first outcome that is no `retry`, or the last one. `seed` keeps the waits of several clients apart. */
export async function retrying<Other extends { readonly kind: string }>(
  url: string,
  seed: number,
  options: RetryOptions,
  attemptOnce: () => Promise<Attempted<Other>>,
): Promise<Retry | Other> {
  const { attempts = 6, backoff = { baseMs: 1000, maxMs: 120_000 }, signal, onRetry } = options;
  let failures = 0;
  for (let number = 1; ; number++) {
    const { outcome, progressed, last = false } = await attemptOnce();
    if (last || !isRetry(outcome)) return outcome;
    failures = progressed ? 1 : failures + 1;
    if (failures >= attempts || number >= MAX_ATTEMPTS) return outcome;
    const asked = Math.min(outcome.waitMs ?? 0, backoff.maxMs);
    const waitMs = Math.max(asked, backoffMs(failures - 1, backoff, seed));
    onRetry?.(`${new URL(url).host}: ${outcome.reason}; again in ${formatDuration(waitMs)}`);
    await sleep(waitMs, undefined, { signal });
  }
}

function isRetry(outcome: { readonly kind: string }): outcome is Retry {
  return outcome.kind === "retry";
}
