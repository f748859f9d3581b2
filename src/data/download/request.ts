// One HTTP request: bounded redirects followed by hand, so that the token of one host never travels to another.

import { UserError } from "../../util/errors.ts";
import { type Environment, fetchThrough } from "./proxy.ts";

export class RequestRefused extends Error {}

const MAX_REDIRECTS = 10;
const TOKEN_HOST = "huggingface.co";

/**
 * Request headers for one hop. `HF_TOKEN` goes to https://huggingface.co only: its redirects lead to storage hosts
 * with signed addresses, which must not see it. Bodies are asked for as they are, since ranges count stored bytes.
 */
export function requestHeaders(url: URL, environment: Environment): Record<string, string> {
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "stlm-pipeline" };
  const token = tokenOf(environment);
  if (token !== "" && url.protocol === "https:" && url.hostname === TOKEN_HOST)
    headers["authorization"] = `Bearer ${token}`;
  return headers;
}

/** Without it the message of fetch() would hold the whole header. */
function tokenOf(environment: Environment): string {
  const token = (environment["HF_TOKEN"] ?? "").trim();
  if (/^[\x21-\x7e]*$/.test(token)) return token;
  throw new UserError("HF_TOKEN holds characters that no token has.", {
    code: "BAD_TOKEN",
    where: { path: "HF_TOKEN" },
    hint: "Set it to the token alone, or unset it.",
  });
}

/** Hosts that answered a request of this process, whatever they said. */
const answered = new Set<string>();

export function hasAnswered(address: string): boolean {
  return answered.has(new URL(address).host);
}

/**
 * GET with redirects followed, at most ten. Throws RequestRefused for a loop, for a step down from https to http
 * and for an address with a password in it (whose error would print it), and what fetch throws for a network failure.
 */
export async function request(
  address: string,
  extra: Readonly<Record<string, string>>,
  environment: Environment,
  signal: AbortSignal,
): Promise<Response> {
  const send = await fetchThrough(environment);
  let url = new URL(address);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers = { ...requestHeaders(url, environment), ...extra };
    if (url.username !== "" || url.password !== "") throw new RequestRefused("its address holds a password");
    const response = await send(url, { headers, redirect: "manual", signal });
    answered.add(url.host);
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || response.status === 304 || location === null) return response;
    await response.body?.cancel();
    if (!URL.canParse(location, url.href)) throw new RequestRefused("it redirects to something that is no address");
    const next = new URL(location, url);
    if (next.protocol !== "https:" && next.protocol !== url.protocol) {
      throw new RequestRefused(`it redirects from ${url.protocol}// to ${next.protocol}//${next.host}`);
    }
    url = next;
  }
  throw new RequestRefused(`it redirects more than ${MAX_REDIRECTS} times`);
}
