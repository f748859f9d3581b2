// One attempt at a file: asks for what is missing, appends what comes, and says how it ended. Ending badly is data,
// not an exception; the caller decides whether to try again, elsewhere, or not at all.

import { type Digest, hexOf } from "../../util/digest.ts";
import { messageOf, systemErrorCode } from "../../util/errors.ts";
import { formatBytes, formatCount, formatDuration } from "../../util/format.ts";
import { retryAfterMs } from "./backoff.ts";
import type { PartialFile } from "./partial.ts";
import { RequestRefused, request } from "./request.ts";

export interface Wanted {
  readonly sha256: Digest | undefined;
  readonly bytes: number | undefined;
}

export interface AttemptOptions {
  /** Without a byte for so long, the connection is given up. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Bytes of the file so far, of all its bytes where that is known. */
  readonly onProgress: (done: number, total: number | undefined) => void;
}

export type Outcome =
  | { readonly kind: "complete" }
  /** Worth another attempt at the same URL; `waitMs` is what the server asked for. */
  | { readonly kind: "retry"; readonly reason: string; readonly waitMs?: number }
  /** This URL will not give the file. `denied`: it wants a token. */
  | { readonly kind: "refused"; readonly reason: string; readonly denied?: boolean };

const retry = (reason: string): Outcome => ({ kind: "retry", reason });
const refused = (reason: string): Outcome => ({ kind: "refused", reason });

/** Statuses after which the same request may well succeed. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Throws only for the user's abort and for the local disk. */
export async function attempt(
  url: string,
  wanted: Wanted,
  partial: PartialFile,
  options: AttemptOptions,
): Promise<Outcome> {
  const saved = partial.readState();
  const sameVersion = saved?.url === url && saved.validator !== undefined;
  // Bytes of an unknown version are only worth keeping when a digest will tell whether they fit.
  if (partial.bytes > 0 && !sameVersion && wanted.sha256 === undefined) partial.restart();
  if (wanted.bytes !== undefined && partial.bytes > wanted.bytes) partial.restart();
  if (wanted.bytes !== undefined && wanted.bytes > 0 && partial.bytes === wanted.bytes)
    return check(partial, wanted, true);

  const resumed = partial.bytes > 0;
  const headers: Record<string, string> = {};
  if (resumed) headers["range"] = `bytes=${partial.bytes}-`;
  if (resumed && sameVersion) headers["if-range"] = saved.validator!;
  const watch = new StallWatch(options.stallMs);
  try {
    const signal = AbortSignal.any([options.signal, watch.signal]);
    const response = await request(url, headers, options.environment, signal);
    const outcome = await receive(response, url, wanted, partial, { ...options, watch, saved: saved?.validator });
    return outcome ?? check(partial, wanted, resumed && response.status === 206);
  } catch (error) {
    options.signal.throwIfAborted();
    if (watch.signal.aborted) return retry(`no byte came for ${formatDuration(options.stallMs)}`);
    if (error instanceof RequestRefused) return refused(error.message);
    if (isDiskError(error)) throw error;
    return retry(networkReason(error));
  } finally {
    watch.stop();
  }
}

/** Takes the body in; undefined when it came whole. */
async function receive(
  response: Response,
  url: string,
  wanted: Wanted,
  partial: PartialFile,
  options: AttemptOptions & { readonly watch: StallWatch; readonly saved: string | undefined },
): Promise<Outcome | undefined> {
  const early = await judgeHeaders(response, wanted, partial, options.saved);
  if (early !== undefined) {
    await response.body?.cancel();
    return early;
  }
  if (response.status === 200) partial.restart();
  const total = bodyLength(response, partial.bytes);
  if (wanted.bytes !== undefined && total !== undefined && total !== wanted.bytes) {
    await response.body?.cancel();
    return refused(`the file there has ${formatCount(total)} bytes instead of ${formatCount(wanted.bytes)}`);
  }
  partial.writeState({ url, validator: validatorOf(response) });
  if (response.body === null) return retry("the answer has no body");
  const limit = wanted.bytes ?? total ?? Number.POSITIVE_INFINITY;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    options.watch.touch();
    options.signal.throwIfAborted();
    if (partial.bytes + chunk.length > limit) {
      partial.restart();
      return refused(`it sends more than the ${formatCount(limit)} bytes that the file has`);
    }
    partial.append(chunk);
    options.onProgress(partial.bytes, wanted.bytes ?? total);
  }
  const end = wanted.bytes ?? total;
  if (end !== undefined && partial.bytes < end) {
    return retry(`the body ended after ${formatBytes(partial.bytes)} of ${formatBytes(end)}`);
  }
  return undefined;
}

/** What the status and headers alone decide; undefined when the body is to be read. */
async function judgeHeaders(
  response: Response,
  wanted: Wanted,
  partial: PartialFile,
  savedValidator: string | undefined,
): Promise<Outcome | undefined> {
  const { status } = response;
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    const validator = validatorOf(response);
    if (range === null || Number(range[1]) !== partial.bytes) {
      partial.restart();
      return retry("it sent another part of the file than the one asked for");
    }
    if (savedValidator !== undefined && validator !== undefined && validator !== savedValidator) {
      partial.restart();
      return retry("the file changed between two parts");
    }
    return undefined;
  }
  if (status === 416) {
    const size = /^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
    // All bytes were there already: only a digest can say whether they are the right ones.
    if (size !== null && Number(size[1]) === partial.bytes && wanted.sha256 !== undefined)
      return check(partial, wanted, true);
    partial.restart();
    return retry("it has fewer bytes than were kept from before (416)");
  }
  if (status === 200) {
    const type = response.headers.get("content-type") ?? "";
    if (wanted.sha256 === undefined && type.startsWith("text/html"))
      return refused("it answers with a web page instead of a file");
    return undefined;
  }
  const waitMs = retryAfterMs(response.headers.get("retry-after"), Date.now());
  if (TRANSIENT.has(status))
    return { kind: "retry", reason: `it answers ${status}`, ...(waitMs === undefined ? {} : { waitMs }) };
  return { kind: "refused", reason: `it answers ${status}`, denied: status === 401 || status === 403 };
}

/** Compares with the pinned digest. Wrong bytes are dropped; those put together from parts get another chance. */
function check(partial: PartialFile, wanted: Wanted, resumed: boolean): Outcome {
  const got = partial.digest();
  if (wanted.sha256 === undefined || got === hexOf(wanted.sha256)) return { kind: "complete" };
  partial.restart();
  if (resumed) return retry("the parts do not belong together");
  return refused(`wrong bytes: expected ${wanted.sha256}, got sha256:${got}`);
}

/** Bytes of the whole file, or undefined when the server does not say (or packs the body on the way). */
function bodyLength(response: Response, have: number): number | undefined {
  const encoding = response.headers.get("content-encoding");
  const length = response.headers.get("content-length");
  if (length === null || (encoding !== null && encoding !== "identity")) return undefined;
  return have + Number(length);
}

/** A packed body has no byte ranges that fit ours, and a weak ETag does not promise equal bytes. */
function validatorOf(response: Response): string | undefined {
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") return undefined;
  const etag = response.headers.get("etag");
  if (etag !== null && !etag.startsWith("W/")) return etag;
  return response.headers.get("last-modified") ?? undefined;
}

function isDiskError(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "EFBIG", "EPERM"].includes(systemErrorCode(error) ?? "");
}

/** fetch says "fetch failed" or "terminated" and hides why in the cause. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = systemErrorCode(cause);
  const text = messageOf(cause);
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}

/** Aborts its signal when nothing touched it for `ms`. */
class StallWatch {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout;

  constructor(private readonly ms: number) {
    this.timer = this.start();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  touch(): void {
    this.timer.refresh();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private start(): NodeJS.Timeout {
    return setTimeout(() => this.controller.abort(new Error("stalled")), this.ms);
  }
}
