// Leases: one per stage key. A second process waits for the first and then takes its result; a dead owner is replaced
// at once on the same machine, and after a silence on another. There is nothing to unlock by hand.

import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, hexOf, shortDigest } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import { formatDuration } from "../util/format.ts";
import { beat, type Claim, type ClaimContent, isClaimHeld, releaseClaim, tryClaim } from "./claim.ts";
import type { Store } from "./store.ts";
import { asStoreError } from "./store-errors.ts";

const HEARTBEAT_MS = 10_000;
/** Nine missed heartbeats. Measured by our own clock between two looks, so the machines' clocks need not agree. */
const SILENCE_MS = 90_000;
const FIRST_POLL_MS = 20;
const LAST_POLL_MS = 500;

export interface LeaseOptions {
  /** How long to wait for another owner. Default: for ever; `signal` is the way out. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  /** Called when the wait begins and each time another process becomes the owner. */
  readonly onWait?: (holder: LeaseHolder) => void;
  /** How long an owner on another machine may be silent before it is taken for dead. Default 90 s. */
  readonly silenceMs?: number;
}

export interface LeaseHolder {
  /** Undefined where the lease could not be read. */
  readonly pid: number | undefined;
  readonly host: string | undefined;
  readonly since: string | undefined;
}

export class Lease {
  private readonly timer: NodeJS.Timeout;

  constructor(
    readonly key: Digest,
    private readonly claim: Claim,
  ) {
    this.timer = setInterval(() => beat(claim), HEARTBEAT_MS);
    this.timer.unref();
  }

  /** Ask before publishing: false when another process took this one for dead (after a suspend, say). */
  isHeld(): boolean {
    return isClaimHeld(this.claim);
  }

  /** Gives the key back. Harmless when it is no longer held. */
  release(): void {
    clearInterval(this.timer);
    releaseClaim(this.claim);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Waits until this process owns the key. Throws UserError LEASE_HELD after `waitMs`, and the signal's reason when it
 * is aborted.
 */
export async function acquireLease(store: Store, key: Digest, options: LeaseOptions = {}): Promise<Lease> {
  const { waitMs = Number.POSITIVE_INFINITY, signal, onWait, silenceMs = SILENCE_MS } = options;
  const startedAt = performance.now();
  let seen: { readonly pulse: string; readonly token: string | undefined; readonly at: number } | undefined;
  let silentPulse: string | undefined;
  for (let pollMs = FIRST_POLL_MS; ; ) {
    signal?.throwIfAborted();
    const attempt = claimOrThrow(store, key, silentPulse);
    if (attempt !== undefined && "claim" in attempt) return new Lease(key, attempt.claim);
    const now = performance.now();
    if (attempt !== undefined) {
      const { pulse, holder } = attempt.held;
      if (seen === undefined || seen.token !== holder?.token) onWait?.(describe(holder));
      if (seen?.pulse !== pulse) seen = { pulse, token: holder?.token, at: now };
      silentPulse = now - seen.at > silenceMs ? pulse : undefined;
      if (now - startedAt > waitMs) throw heldError(key, holder, now - startedAt);
    }
    await pause(Math.min(pollMs, Math.max(1, startedAt + waitMs - now)), signal);
    pollMs = Math.min(pollMs * 1.5, LAST_POLL_MS);
  }
}

/** Ends early on abort; the caller then throws the signal's own reason. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}

function claimOrThrow(store: Store, key: Digest, silentPulse: string | undefined) {
  try {
    return tryClaim(store.layout, store.layout.leases, hexOf(key), silentPulse);
  } catch (error) {
    throw asStoreError(error, store.layout.leases);
  }
}

function describe(holder: ClaimContent | undefined): LeaseHolder {
  return { pid: holder?.owner.pid, host: holder?.owner.host, since: holder?.since };
}

function heldError(key: Digest, holder: ClaimContent | undefined, waitedMs: number): UserError {
  const who = holder === undefined ? "Another process" : `Process ${holder.owner.pid} on ${holder.owner.host}`;
  return new UserError(
    `${who} still runs stage key ${shortDigest(key)} after ${formatDuration(waitedMs)} of waiting.`,
    {
      code: "LEASE_HELD",
      hint: "Let it finish, or stop it; then run the same command again. A lease of a stopped process frees itself.",
      exitCode: 1,
    },
  );
}
