// Fetches a large file in parts side by side, a few connections at a time: one connection rarely fills a line.

import { type Digest, digestFile } from "../../util/digest.ts";
import { formatBytes } from "../../util/format.ts";
import type { Wanted } from "./attempt.ts";
import {
  type Failure,
  failureOf,
  failureOfThrown,
  type Refused,
  type Retry,
  refused,
  retry,
  StallWatch,
  strongEtagOf,
} from "./outcome.ts";
import { PartsFile } from "./parts-file.ts";
import { request } from "./request.ts";
import { type RetryOptions, retrying } from "./retrying.ts";

export interface PartsOptions extends RetryOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stallMs: number;
  readonly partBytes: number;
  readonly connections: number;
  readonly onProgress: (done: number, total: number) => void;
}

export type PartsOutcome =
  | { readonly kind: "complete"; readonly sha256: Digest; readonly bytes: number }
  | Refused
  /** Its attempts are used up; the parts so far are kept. */
  | Retry
  /** The server does not give ranges of one version of the file: nothing is kept. */
  | { readonly kind: "changed"; readonly reason: string };

type PartOutcome = Failure | { readonly kind: "complete" } | { readonly kind: "changed"; readonly reason: string };

/**
 * Brings the file of `bytes` bytes and the strong `etag` to `target`, with the digest of the whole. Throws only for
 * the user's abort and for the local disk.
 */
export async function fetchParts(
  url: string,
  { bytes, etag }: { readonly bytes: number; readonly etag: string },
  wanted: Wanted,
  target: string,
  options: PartsOptions,
): Promise<PartsOutcome> {
  const plan = { bytes, etag, partBytes: options.partBytes };
  const file = PartsFile.open(target, plan, wanted.sha256 !== undefined);
  const { resumed } = file;
  let failed: Exclude<PartOutcome, { kind: "complete" }> | undefined;
  try {
    failed = await fetchAll(url, etag, file, options);
    if (failed === undefined) file.sync();
  } finally {
    file.close();
  }
  if (failed !== undefined) {
    if (failed.kind === "changed") PartsFile.remove(target);
    return failed;
  }
  const { digest } = digestFile(target);
  if (wanted.sha256 === undefined || digest === wanted.sha256) return { kind: "complete", sha256: digest, bytes };
  PartsFile.remove(target);
  if (resumed) return { kind: "changed", reason: "the parts do not belong together" };
  return refused(`wrong bytes: expected ${wanted.sha256}, got ${digest}`);
}

/** undefined when every part came; else the first failure, which stops the other connections. */
async function fetchAll(
  url: string,
  etag: string,
  file: PartsFile,
  options: PartsOptions,
): Promise<Exclude<PartOutcome, { kind: "complete" }> | undefined> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let failed: Exclude<PartOutcome, { kind: "complete" }> | undefined;
  let next = 0;
  let thrown: unknown;
  const connection = async () => {
    while (next < file.count && !signal.aborted) {
      const part = next++;
      const outcome = await retrying<PartOutcome>(url, process.pid * 4096 + part, { ...options, signal }, async () => {
        const before = file.missing(part).from;
        const attempted = await fetchPart(url, etag, file, part, { ...options, signal });
        return { outcome: attempted, progressed: file.missing(part).from > before };
      });
      if (outcome.kind === "complete") continue;
      failed ??= outcome;
      stop.abort();
    }
  };
  const guarded = () =>
    connection().catch((error: unknown) => {
      thrown ??= error;
      stop.abort();
    });
  await Promise.all(Array.from({ length: Math.min(options.connections, file.count) }, guarded));
  options.signal.throwIfAborted();
  // A connection that another one's failure stopped has nothing to say of its own.
  if (failed === undefined && thrown !== undefined) throw thrown;
  return failed;
}

async function fetchPart(
  url: string,
  etag: string,
  file: PartsFile,
  part: number,
  options: PartsOptions,
): Promise<PartOutcome> {
  const { from, to } = file.missing(part);
  if (from === to) return { kind: "complete" };
  const watch = new StallWatch(options.stallMs);
  try {
    const signal = AbortSignal.any([options.signal, watch.signal]);
    const headers = { range: `bytes=${from}-${to - 1}`, "if-range": etag };
    const response = await request(url, headers, options.environment, signal);
    const judged = judgeRange(response, etag, from, to);
    if (judged !== undefined) {
      await response.body?.cancel();
      return judged;
    }
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      watch.touch();
      options.signal.throwIfAborted();
      if (chunk.length > to - file.missing(part).from) return { kind: "changed", reason: "it sends more than a part" };
      file.append(part, chunk);
      options.onProgress(file.bytes, file.totalBytes);
    }
    const left = to - file.missing(part).from;
    return left === 0 ? { kind: "complete" } : retry(`a part ended ${formatBytes(left)} too early`);
  } catch (error) {
    return failureOfThrown(error, url, watch, options);
  } finally {
    watch.stop();
  }
}

/** undefined when the body is the wanted range of the wanted version. */
function judgeRange(response: Response, etag: string, from: number, to: number): PartOutcome | undefined {
  const { status } = response;
  if (status === 200 || status === 416) return { kind: "changed", reason: "the file changed between two parts" };
  if (status !== 206) return failureOf(response);
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (range === null || Number(range[1]) !== from || Number(range[2]) !== to - 1)
    return { kind: "changed", reason: "it sent another part of the file than the one asked for" };
  const sent = strongEtagOf(response);
  if (sent !== undefined && sent !== etag) return { kind: "changed", reason: "the file changed between two parts" };
  return response.body === null ? retry("the answer has no body") : undefined;
}
