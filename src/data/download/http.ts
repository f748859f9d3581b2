// Downloads a file over HTTP: mirrors in turn, attempts with growing waits, resumed where the last one broke off.

import { mkdirSync, renameSync } from "node:fs";
import path from "node:path";
import type { Digest } from "../../util/digest.ts";
import { UserError } from "../../util/errors.ts";
import { attempt, type Wanted } from "./attempt.ts";
import { type Failure, retry } from "./outcome.ts";
import { PartialFile } from "./partial.ts";
import { fetchParts } from "./parts.ts";
import { PartsFile } from "./parts-file.ts";
import { proxyOf } from "./proxy.ts";
import { type RetryOptions, retrying } from "./retrying.ts";

export interface DownloadOptions extends RetryOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Bytes of the file so far, of all its bytes where that is known. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** Default one minute. */
  readonly stallMs?: number;
  /** A file of at least two parts comes over several connections. Default 4 of 32 MiB; one connection for 1. */
  readonly parts?: { readonly partBytes: number; readonly connections: number };
}

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
  const failures: { url: string; outcome: Failure }[] = [];
  try {
    for (const url of urls) {
      const outcome = await tryUrl(url, wanted, partial, target, options);
      if (outcome.kind !== "complete") failures.push({ url, outcome });
      else {
        partial.remove();
        PartsFile.remove(`${target}.parts`);
        return { sha256: outcome.sha256, bytes: outcome.bytes };
      }
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

type UrlOutcome = Failure | { readonly kind: "complete"; readonly sha256: Digest; readonly bytes: number };

async function tryUrl(
  url: string,
  wanted: Wanted,
  partial: PartialFile,
  target: string,
  options: DownloadOptions,
): Promise<UrlOutcome> {
  const { partBytes = 32 << 20, connections = 4 } = options.parts ?? {};
  const common = {
    stallMs: options.stallMs ?? 60_000,
    signal: options.signal,
    environment: options.environment,
    onProgress: options.onProgress ?? (() => {}),
  };
  let splitFrom: number | undefined = connections > 1 ? 2 * partBytes : undefined;
  return retrying<UrlOutcome>(url, process.pid, options, async () => {
    const before = partial.bytes;
    const outcome = await attempt(url, wanted, partial, { ...common, splitFrom });
    const progressed = partial.bytes > before;
    if (outcome.kind === "complete") {
      partial.sync();
      renameSync(partial.path, target);
      return { outcome: { kind: "complete", sha256: `sha256:${partial.digest()}`, bytes: partial.bytes }, progressed };
    }
    if (outcome.kind !== "split") return { outcome, progressed };
    const parts = await fetchParts(url, outcome, wanted, `${target}.parts`, {
      ...options,
      ...common,
      partBytes,
      connections,
    });
    if (parts.kind === "complete") renameSync(`${target}.parts`, target);
    if (parts.kind !== "changed") return { outcome: parts, progressed, last: true };
    splitFrom = undefined; // one connection sees one version of the file
    return { outcome: retry(parts.reason), progressed };
  });
}

function hintFor(outcomes: readonly Failure[], environment: DownloadOptions["environment"]): string {
  const lines: string[] = [];
  const refusals = outcomes.filter((outcome) => outcome.kind === "refused");
  const isDown = refusals.some(({ unreachable }) => unreachable === "host");
  const hasRetried = outcomes.some((outcome) => outcome.kind === "retry");
  if (refusals.some(({ denied }) => denied === true)) {
    lines.push("The set may ask for an account: accept its terms on the hub and set HF_TOKEN in the environment.");
  }
  if (refusals.some(({ unreachable }) => unreachable === "certificate")) {
    lines.push("If your network signs certificates of its own, name the file of its authority by NODE_EXTRA_CA_CERTS.");
  }
  const proxy = proxyOf(environment);
  if (proxy !== undefined && (hasRetried || isDown)) {
    lines.push(`The requests went through the proxy of ${proxy.names}: see whether it answers and lets them through.`);
  } else if (isDown) lines.push("See whether this machine is online and the address is right.");
  if (hasRetried) lines.push("What came so far is kept: run again to go on.");
  return lines.length > 0 ? lines.join("\n") : "See whether the address is still right.";
}
