// One HTTP request: bounded redirects followed by hand, so that the token of one host never travels to another.

export class RequestRefused extends Error {}

const MAX_REDIRECTS = 10;
const TOKEN_HOST = "huggingface.co";

/**
 * Request headers for one hop. `HF_TOKEN` goes to https://huggingface.co only: its redirects lead to storage hosts
 * with signed addresses, which must not see it. Bodies are asked for as they are, since ranges count stored bytes.
 */
export function requestHeaders(
  url: URL,
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "stlm-pipeline" };
  const token = environment["HF_TOKEN"];
  if (token && url.protocol === "https:" && url.hostname === TOKEN_HOST) headers["authorization"] = `Bearer ${token}`;
  return headers;
}

/**
 * GET with redirects followed, at most ten. Throws RequestRefused for a loop or for a step down from https to http,
 * and what fetch throws for a network failure.
 */
export async function request(
  address: string,
  extra: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Response> {
  let url = new URL(address);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const headers = { ...requestHeaders(url, environment), ...extra };
    const response = await fetch(url, { headers, redirect: "manual", signal });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || response.status === 304 || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, url);
    if (next.protocol !== "https:" && next.protocol !== url.protocol) {
      throw new RequestRefused(`it redirects from ${url.protocol}// to ${next.protocol}//${next.host}`);
    }
    url = next;
  }
  throw new RequestRefused(`it redirects more than ${MAX_REDIRECTS} times`);
}

/** The proxy variable that is set although this Node.js does not use it, or undefined. */
export function ignoredProxy(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  if (environment["NODE_USE_ENV_PROXY"] === "1" && supportsProxy()) return undefined;
  return ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].find(
    (name) => environment[name],
  );
}

/** Node.js 22.21 and 24 learned to take the proxy from the environment. */
function supportsProxy(): boolean {
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  return major >= 24 || (major === 22 && minor >= 21);
}
