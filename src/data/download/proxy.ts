// The proxy that the environment names, as other programs understand it: http_proxy, https_proxy, all_proxy and
// no_proxy, in small letters or capitals.

import { UserError } from "../../util/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ProxySettings {
  /** Addresses, which may hold a password: never to be printed. Empty: straight to the server. */
  readonly http: string;
  readonly https: string;
  readonly none: string;
  /** The variables that are set, for messages. */
  readonly names: string;
}

/** undefined when no variable names a proxy. Throws a UserError for an address that is none. */
export function proxyOf(environment: Environment): ProxySettings | undefined {
  const first = (...names: string[]) =>
    names.flatMap((name) => [name, name.toUpperCase()]).find((name) => environment[name]);
  const http = first("http_proxy", "all_proxy");
  const https = first("https_proxy", "all_proxy");
  if (http === undefined && https === undefined) return undefined;
  const none = first("no_proxy");
  return {
    http: addressIn(environment, http),
    https: addressIn(environment, https),
    none: none === undefined ? "" : environment[none]!,
    names: [...new Set([http, https])].filter((name) => name !== undefined).join(" and "),
  };
}

function addressIn(environment: Environment, name: string | undefined): string {
  if (name === undefined) return "";
  const value = environment[name]!.trim();
  const address = value.includes("://") ? value : `http://${value}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  // With a path, `htp:/proxy` or a whole sentence would pass for a host and what stands after it.
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === "/") return address;
  // Without its value, in which a password may stand.
  throw new UserError(`${name} is not the address of an HTTP proxy.`, {
    code: "BAD_PROXY",
    where: { path: name },
    hint: "It should look like http://proxy.example.org:3128.",
  });
}

type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** One for each setting, so that connections are used again. */
const proxied = new Map<string, Promise<Fetch>>();

/** fetch() through the environment's proxy, or the built-in one when there is none. */
export function fetchThrough(environment: Environment): Promise<Fetch> {
  const settings = proxyOf(environment);
  if (settings === undefined) return Promise.resolve(fetch);
  const key = JSON.stringify([settings.http, settings.https, settings.none]);
  const known = proxied.get(key) ?? makeFetch(settings);
  proxied.set(key, known);
  return known;
}

async function makeFetch({ http, https, none }: ProxySettings): Promise<Fetch> {
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  // Given in full, it does not look into process.env. Plain HTTP is forwarded, since many proxies tunnel only to 443.
  const dispatcher = new EnvHttpProxyAgent({ httpProxy: http, httpsProxy: https, noProxy: none, proxyTunnel: false });
  // Its Request and Response are those of the built-in fetch under other type names.
  const send = fetch as unknown as (url: URL, init: object) => Promise<Response>;
  return (url, init) => send(url, { ...init, dispatcher });
}
