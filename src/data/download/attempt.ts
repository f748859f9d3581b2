// One attempt at a file: asks for what is missing, appends what comes, and says how it ended.

import { type Digest, hexOf } from "../../util/digest.ts";
import { formatBytes, formatCount } from "../../util/format.ts";
import {
  bodyBytes,
  type Failure,
  failureOf,
  failureOfThrown,
  refused,
  retry,
  StallWatch,
  strongEtagOf,
  validatorOf,
} from "./outcome.ts";
import type { PartialFile } from "./partial.ts";
import { request } from "./request.ts";

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
  /** From so many bytes on, a file of which nothing is there yet is left to several connections. */
  readonly splitFrom?: number | undefined;
}

export type Outcome =
  | { readonly kind: "complete" }
  /** The file is large and the server gives ranges of this version of it: nothing was taken. */
  | { readonly kind: "split"; readonly bytes: number; readonly etag: string }
  | Failure;

/** Throws only for the user's abort, for the local disk and for settings that cannot be. */
export async function attempt(
  url: string,
  wanted: Wanted,
  partial: PartialFile,
  options: AttemptOptions,
): Promise<Outcome> {
  const saved = partial.readState();
  const sameVersion = saved?.url === url && saved.validator !== undefined;
  // Bytes of an unknown version are only worth keeping when a digest will tell whether they fit. A date is no version:
  // two of one file may bear the same.
  const isKnown = sameVersion && saved.validator!.startsWith('"');
  if (partial.bytes > 0 && !isKnown && wanted.sha256 === undefined) partial.restart();
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
    return failureOfThrown(error, url, watch, options);
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
  const length = bodyBytes(response);
  const total = length === undefined ? undefined : partial.bytes + length;
  if (wanted.bytes !== undefined && total !== undefined && total !== wanted.bytes) {
    await response.body?.cancel();
    return refused(`the file there has ${formatCount(total)} bytes instead of ${formatCount(wanted.bytes)}`);
  }
  const etag = strongEtagOf(response);
  if (total !== undefined && total >= (options.splitFrom ?? Number.POSITIVE_INFINITY) && etag !== undefined) {
    if (response.status === 200 && response.headers.get("accept-ranges") === "bytes") {
      await response.body?.cancel();
      return { kind: "split", bytes: total, etag };
    }
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
  return failureOf(response);
}

/** Compares with the pinned digest. Wrong bytes are dropped; those put together from parts get another chance. */
function check(partial: PartialFile, wanted: Wanted, resumed: boolean): Outcome {
  const got = partial.digest();
  if (wanted.sha256 === undefined || got === hexOf(wanted.sha256)) return { kind: "complete" };
  partial.restart();
  if (resumed) return retry("the parts do not belong together");
  return refused(`wrong bytes: expected ${wanted.sha256}, got sha256:${got}`);
}
