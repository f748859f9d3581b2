// Downloads a file over HTTP: mirrors in turn, attempts with growing waits, resumed where the last one broke off.

import { mkdirSync, renameSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Digest } from "../../util/digest.ts";
import { UserError } from "../../util/errors.ts";
import { formatDuration } from "../../util/format.ts";
import { attempt, type Outcome, type Wanted } from "./attempt.ts";
import { type Backoff, backoffMs } from "./backoff.ts";
import { PartialFile } from "./partial.ts";
import { ignoredProxy } from "./request.ts";

export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Bytes of the file so far, of all its bytes where that is known. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  readonly onRetry?: (message: string) => void;
  /** Failures in a row, without a new byte between them, before a URL is given up. Default 6. */
  readonly attempts?: number;
  /** Default one minute. */
  readonly stallMs?: number;
  /** Default 1 s, doubling up to 2 min. */
  readonly backoff?: Backoff;
}

/** However slowly a server trickles, a URL gets no more attempts than this. */
const MAX_ATTEMPTS = 200;

/**
 * Fetches the first of `urls` that gives the wanted bytes to `target`. A part lies in `<target>.part` until then and
 * survives a kill. Throws a UserError that lists what every URL answered.
 */
export async function downloadFile(
  urls: readonly string[],
  wanted: Wanted,
  target: string,
  options: DownloadOptions,
): Promise<{ sha256: Digest; bytes: number }> {
  mkdirSync(path.dirname(target), { recursive: true });
  const partial = PartialFile.open(`${target}.part`);
  const failures: { url: string; outcome: Exclude<Outcome, { kind: "complete" }> }[] = [];
  try {
    for (const url of urls) {
      const outcome = await tryUrl(url, wanted, partial, options);
      if (outcome.kind === "complete") {
        partial.sync();
        const result = { sha256: `sha256:${partial.digest()}` as const, bytes: partial.bytes };
        renameSync(partial.path, target);
        partial.removeState();
        return result;
      }
      failures.push({ url, outcome });
    }
  } finally {
    partial.close();
  }
  const list = failures.map(({ url, outcome }) => `${url}: ${outcome.reason}.`).join("\n");
  throw new UserError(`${path.basename(target)} could not be downloaded.\n${list}`, {
    code: "DOWNLOAD_FAILED",
    hint: hintFor(
      failures.map(({ outcome }) => outcome),
      options.environment,
    ),
    exitCode: 1,
  });
}

async function tryUrl(url: string, wanted: Wanted, partial: PartialFile, options: DownloadOptions): Promise<Outcome> {
  const attempts = options.attempts ?? 6;
  const backoff = options.backoff ?? { baseMs: 1000, maxMs: 120_000 };
  let failures = 0;
  let last: Outcome = { kind: "retry", reason: "no attempt was made" };
  for (let number = 0; number < MAX_ATTEMPTS && failures < attempts; number++) {
    const before = partial.bytes;
    last = await attempt(url, wanted, partial, {
      stallMs: options.stallMs ?? 60_000,
      signal: options.signal,
      environment: options.environment,
      onProgress: options.onProgress ?? (() => {}),
    });
    if (last.kind !== "retry") return last;
    failures = partial.bytes > before ? 1 : failures + 1;
    if (failures >= attempts) break;
    const asked = Math.min(last.waitMs ?? 0, backoff.maxMs);
    const waitMs = Math.max(asked, backoffMs(failures - 1, backoff, process.pid));
    options.onRetry?.(`${new URL(url).host}: ${last.reason}; again in ${formatDuration(waitMs)}`);
    await sleep(waitMs, undefined, { signal: options.signal });
  }
  return last;
}

function hintFor(outcomes: readonly Outcome[], environment: DownloadOptions["environment"]): string {
  const lines: string[] = [];
  if (outcomes.some((outcome) => outcome.kind === "refused" && outcome.denied === true)) {
    lines.push("The set may ask for an account: accept its terms on the hub and set HF_TOKEN in the environment.");
  }
  const proxy = ignoredProxy(environment);
  if (proxy !== undefined && outcomes.some((outcome) => outcome.kind === "retry")) {
    lines.push(
      `${proxy} is set, which this Node.js does not use (from 22.21 on, NODE_USE_ENV_PROXY=1 makes it): fetch the file with another program.`,
    );
  }
  if (outcomes.some((outcome) => outcome.kind === "retry")) lines.push("What came so far is kept: run again to go on.");
  return lines.length > 0 ? lines.join("\n") : "See whether the address is still right.";
}
