// How a request for a file ended. Ending badly is data, not an exception: the caller decides whether to try again,
// elsewhere, or not at all.

import { messageOf, systemErrorCode, UserError } from "../../util/errors.ts";
import { formatDuration } from "../../util/format.ts";
import { retryAfterMs } from "./backoff.ts";
import { hasAnswered, RequestRefused } from "./request.ts";

export interface Retry {
  /** Worth another attempt at the same URL; `waitMs` is what the server asked for. */
  readonly kind: "retry";
  readonly reason: string;
  readonly waitMs?: number;
}

export interface Refused {
  /** This URL will not give the file. */
  readonly kind: "refused";
  readonly reason: string;
  /** It wants a token. */
  readonly denied?: boolean;
  /** Nobody is there, or somebody whose certificate is not to be trusted. */
  readonly unreachable?: "host" | "certificate";
}

export type Failure = Retry | Refused;

export const retry = (reason: string): Retry => ({ kind: "retry", reason });
export const refused = (reason: string): Refused => ({ kind: "refused", reason });

/** Statuses after which the same request may well succeed. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What a status means that brings no file. */
export function failureOf(response: Response): Failure {
  const { status } = response;
  const waitMs = retryAfterMs(response.headers.get("retry-after"), Date.now());
  if (!TRANSIENT.has(status))
    return { kind: "refused", reason: `it answers ${status}`, denied: status === 401 || status === 403 };
  return { kind: "retry", reason: `it answers ${status}`, ...(waitMs === undefined ? {} : { waitMs }) };
}

/** Bytes of the body, or undefined when the server does not say (or packs it on the way). */
export function bodyBytes(response: Response): number | undefined {
  const length = response.headers.get("content-length");
  return length === null || isPacked(response) ? undefined : Number(length);
}

/**
 * What If-Range may name (RFC 9110, section 13.1.5): a packed body has no byte ranges that fit ours, and a weak ETag
 * does not promise equal bytes.
 */
export function validatorOf(response: Response): string | undefined {
  return (
    strongEtagOf(response) ?? (isPacked(response) ? undefined : (response.headers.get("last-modified") ?? undefined))
  );
}

export function strongEtagOf(response: Response): string | undefined {
  const etag = response.headers.get("etag");
  return etag === null || etag.startsWith("W/") || isPacked(response) ? undefined : etag;
}

function isPacked(response: Response): boolean {
  const encoding = response.headers.get("content-encoding");
  return encoding !== null && encoding !== "identity";
}

function isDiskError(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "EFBIG", "EPERM"].includes(systemErrorCode(error) ?? "");
}

/** fetch says "fetch failed" or "terminated" and hides why in the cause. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = systemErrorCode(cause);
  const text = messageOf(cause).trim();
  if (text === "") return code ?? "the connection failed"; // an address of two protocols fails with a list of errors
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}

/** No waiting brings these to an end, unless the host was reached before: then a line or a server is down for a while. */
const UNREACHABLE = new Set(["ENOTFOUND", "ECONNREFUSED", "EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER"]);
/** https://nodejs.org/api/tls.html, "X509 certificate error codes", and those of a wrong name. */
const CERTIFICATE = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA)/;

function unreachable(error: unknown): Refused["unreachable"] {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = systemErrorCode(cause) ?? "";
  if (CERTIFICATE.test(code)) return "certificate";
  return UNREACHABLE.has(code) || messageOf(cause) === "bad port" ? "host" : undefined;
}

/** Aborts its signal when nothing touched it for `ms`. */
export class StallWatch {
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.timer = setTimeout(() => this.controller.abort(new Error("stalled")), ms);
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
}

/** What an error means that a request for `url` threw. Throws on what is not the network's: an abort, a disk, a mistake of the user's. */
export function failureOfThrown(
  error: unknown,
  url: string,
  watch: StallWatch,
  { signal, stallMs }: { readonly signal: AbortSignal; readonly stallMs: number },
): Failure {
  signal.throwIfAborted();
  if (watch.signal.aborted) return retry(`no byte came for ${formatDuration(stallMs)}`);
  if (error instanceof RequestRefused) return refused(error.message);
  if (isDiskError(error) || error instanceof UserError) throw error;
  const place = hasAnswered(url) ? undefined : unreachable(error);
  if (place === undefined) return retry(networkReason(error));
  return { kind: "refused", reason: networkReason(error), unreachable: place };
}
