import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { type DownloadOptions, downloadFile } from "../../../src/data/download/http.ts";
import { proxyOf } from "../../../src/data/download/proxy.ts";
import { cutAfter, HttpRig, serve } from "../../rigs/http-rig.ts";
import { ProxyRig } from "../../rigs/proxy-rig.ts";
import { temporaryFolder } from "../../rigs/stage-rig.ts";

const body = Buffer.alloc(100_000, "once upon a time ");
const wanted = { sha256: undefined, bytes: body.length };
const newTarget = () => path.join(temporaryFolder("download"), "corpus.bin");

function options(environment: Record<string, string>, more: Partial<DownloadOptions> = {}): DownloadOptions {
  const signal = new AbortController().signal;
  return { signal, environment, attempts: 2, stallMs: 30_000, backoff: { baseMs: 1, maxMs: 5 }, ...more };
}

describe("a proxy of the environment", () => {
  test.each(["http_proxy", "HTTP_PROXY", "all_proxy"])("named by %s forwards plain requests", async (name) => {
    await using server = await HttpRig.start(cutAfter(body, 30_000), serve(body));
    await using proxy = await ProxyRig.start();
    const target = newTarget();
    await downloadFile([`${server.origin}/a`], wanted, target, options({ [name]: `http://127.0.0.1:${proxy.port}` }));
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(proxy.lines).toEqual(Array(2).fill(`GET ${server.origin}/a`));
    expect(server.requests).toEqual(["/a", '/a bytes=30000- "v1"']);
  });

  test("is passed by for the hosts of no_proxy", async () => {
    await using server = await HttpRig.start(serve(body));
    const environment = { http_proxy: "http://127.0.0.1:9", no_proxy: "example.org,127.0.0.1" };
    await downloadFile([server.origin], wanted, newTarget(), options(environment));
    expect(server.requests).toHaveLength(1);
  });

  test("gets its own login, and an error names the variable but neither address nor password", async () => {
    await using server = await HttpRig.start(serve(body));
    await using proxy = await ProxyRig.start({ login: "me:pa55word" });
    const address = (login: string) => ({ http_proxy: `http://${login}@127.0.0.1:${proxy.port}` });
    await downloadFile([server.origin], wanted, newTarget(), options(address("me:pa55word")));
    expect(server.requests).toHaveLength(1);

    const lines: string[] = [];
    const onRetry = (line: string) => void lines.push(line);
    const https = { https_proxy: `http://me:pa55word@127.0.0.1:1` };
    const run = downloadFile(["https://example.org/a"], wanted, newTarget(), options(https, { onRetry }));
    const error = await run.then(
      () => undefined,
      (thrown: Error & { hint: string }) => thrown,
    );
    expect(error).toMatchObject({ code: "DOWNLOAD_FAILED", hint: expect.stringContaining("the proxy of https_proxy") });
    expect(`${error?.message} ${error?.hint} ${error?.stack} ${lines.join(" ")}`).not.toContain("pa55word");
  });

  test("that is no address is refused without being printed", () => {
    for (const address of ["socks5://me:pa55word@localhost", "htp:/me:pa55word@localhost", "http://a/b", "a b", " "]) {
      expect(() => proxyOf({ HTTPS_PROXY: address })).toThrow(/^HTTPS_PROXY is not the address of an HTTP proxy\.$/);
    }
    expect(proxyOf({ https_proxy: "proxy.example.org:3128" })).toMatchObject({
      https: "http://proxy.example.org:3128",
      names: "https_proxy",
    });
    expect(proxyOf({ no_proxy: "*", http_proxy: "" })).toBeUndefined();
  });
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe.skipIf(!hasOpenssl)("the token of the hub (skipped without the openssl program)", () => {
  const token = "hf_T0kenThatNobodyMayRead";

  /** A certificate for the hub and for a storage host, signed by itself. */
  function certificate(): { key: string; cert: string; file: string } {
    const folder = temporaryFolder("certificate");
    const [key, cert] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
    const names = "subjectAltName=DNS:huggingface.co,DNS:storage.example.org";
    const made = spawnSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=huggingface.co", "-addext", names, "-keyout", key, "-out", cert],
    ]);
    expect(made.status, String(made.stderr)).toBe(0);
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8"), file: cert };
  }

  test("travels through a tunnel to the hub alone, not to where it redirects, and is written nowhere", async () => {
    const { key, cert, file } = certificate();
    const seen: { host: string | undefined; authorization: string | undefined }[] = [];
    const note = ({ host, authorization }: IncomingHttpHeaders) => void seen.push({ host, authorization });
    const server = createServer({ key, cert }, (request, response) => {
      note(request.headers);
      if (request.headers.host === "huggingface.co") {
        response.writeHead(302, { location: "https://storage.example.org/signed?key=1" }).end();
      } else if (seen.length === 2) response.writeHead(503).end();
      else serve(body)(request, response);
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const { port } = server.address() as AddressInfo;
    await using proxy = await ProxyRig.start({ route: () => ({ host: "127.0.0.1", port }) });
    const folder = temporaryFolder("dataset");
    const work = temporaryFolder("work");
    const script = path.join(temporaryFolder("script"), "download.mts");
    writeFileSync(
      script,
      `
      import { acquireDataset } from ${JSON.stringify(path.resolve("src/data/download/acquire.ts"))};
      const say = (...words) => console.log(...words);
      const [, , name] = process.argv;
      const file = { path: "a.txt", format: "txt", source: { kind: "url", urls: ["https://huggingface.co/" + name] } };
      const dataset = { name: "set", kind: "text", license: "MIT", homepage: "", language: "en", description: "",
        size: "", files: [file], text: { template: "{text}" } };
      await acquireDataset(dataset, ${JSON.stringify(folder)}, {
        work: ${JSON.stringify(work)}, dataDir: undefined, environment: process.env,
        signal: new AbortController().signal, log: { info: say, warn: say, progress: say },
        http: { attempts: 3, backoff: { baseMs: 1, maxMs: 5 } },
      });`,
    );
    mkdirSync(path.join(folder, "files"), { recursive: true });
    const environment = {
      PATH: process.env["PATH"],
      HF_TOKEN: token,
      HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
      NODE_EXTRA_CA_CERTS: file,
    };
    const child = spawn(process.execPath, ["--import", "tsx", script, "datasets/a"], { env: environment });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    const [code] = await once(child, "exit");
    server.closeAllConnections();
    server.close();
    expect(code, output).toBe(0);
    expect(output).toContain("it answers 503; again in");
    const hub = { host: "huggingface.co", authorization: `Bearer ${token}` };
    const storage = { host: "storage.example.org", authorization: undefined };
    expect(seen).toEqual([hub, storage, hub, storage]);
    expect(proxy.lines).toContain("CONNECT huggingface.co:443");
    expect(proxy.lines).toContain("CONNECT storage.example.org:443");

    const written = [folder, work].flatMap((root) =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "latin1")),
    );
    expect(written.length).toBeGreaterThan(2);
    expect([...written, output, JSON.stringify(proxy.requests)].filter((text) => text.includes(token))).toEqual([]);
  });
});
