import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Wanted } from "../../../src/data/download/attempt.ts";
import { type DownloadOptions, downloadFile } from "../../../src/data/download/http.ts";
import { type Handler, HttpRig, serve, serveRanges, status } from "../../rigs/http-rig.ts";
import { temporaryFolder } from "../../rigs/stage-rig.ts";

const PART = 20_000;
const body = Buffer.from(Array.from({ length: 190_000 }, (_, index) => (index * 7919) % 251)); // 10 parts
const digestOf = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}` as const;
const pinned: Wanted = { sha256: digestOf(body), bytes: body.length };
const unpinned: Wanted = { sha256: undefined, bytes: undefined };

function options(more: Partial<DownloadOptions> = {}): DownloadOptions {
  const signal = new AbortController().signal;
  const parts = { partBytes: PART, connections: 4 };
  return { signal, environment: {}, attempts: 3, stallMs: 30_000, backoff: { baseMs: 1, maxMs: 10 }, parts, ...more };
}

const newTarget = () => path.join(temporaryFolder("download"), "corpus.bin");
const leftovers = (target: string) => readdirSync(path.dirname(target)).filter((name) => name !== "corpus.bin");
const rangesOf = (requests: readonly string[]) => requests.filter((line) => line.includes("bytes=")).sort();

/** The first bytes of every part but two, and then nothing: what a broken line leaves. */
const half: Handler = (request, response) => {
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from < 4 * PART) serveRanges(body)(request, response);
  else if (from < 6 * PART) serveRanges(body, { cut: 5000 })(request, response);
  else response.writeHead(404).end();
};

describe("a large file", () => {
  test("comes over several connections, never more than asked for, with the digest of the whole", async () => {
    let open = 0;
    let most = 0;
    await using rig = await HttpRig.start((request, response) => {
      most = Math.max(most, ++open);
      response.on("close", () => open--);
      setTimeout(() => serveRanges(body)(request, response), 5);
    });
    const target = newTarget();
    const seen: number[] = [];
    const onProgress = (done: number) => void seen.push(done);
    const result = await downloadFile([`${rig.origin}/f`], unpinned, target, options({ onProgress }));
    expect(result).toEqual({ sha256: digestOf(body), bytes: body.length });
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(leftovers(target)).toEqual([]);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    expect(seen.at(-1)).toBe(body.length);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    expect(rig.requests[0]).toBe("/f");
    expect(rangesOf(rig.requests)).toHaveLength(10);
    expect(rig.requests.slice(1).every((line) => line.endsWith('"v1"'))).toBe(true);
  });

  test("goes on with each part where it broke off", async () => {
    const cuts = Array.from({ length: 6 }, () => serveRanges(body, { cut: 7000 }));
    await using rig = await HttpRig.start(serveRanges(body), ...cuts, serveRanges(body));
    const target = newTarget();
    await downloadFile([rig.origin], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    const again = rangesOf(rig.requests).filter((line) => Number(/bytes=(\d+)/.exec(line)![1]) % PART !== 0);
    expect(again.length).toBeGreaterThan(3);
    expect(again.every((line) => Number(/bytes=(\d+)/.exec(line)![1]) % PART >= 7000)).toBe(true);
  });

  test("keeps the parts of a failed run, checks them, and asks only for the rest", async () => {
    await using broken = await HttpRig.start(serveRanges(body), half);
    const target = newTarget();
    const url = (rig: HttpRig) => [`${rig.origin}/f`];
    await expect(downloadFile(url(broken), unpinned, target, options())).rejects.toThrow("404");
    expect(leftovers(target)).toContain("corpus.bin.parts");
    const file = openSync(`${target}.parts`, "r+");
    writeSync(file, Buffer.from([body[PART]! ^ 1]), 0, 1, PART); // the disk lost a byte of the second part
    closeSync(file);
    await using good = await HttpRig.start(serveRanges(body));
    await downloadFile(url(good), unpinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    const asked = rangesOf(good.requests).map((line) => /bytes=(\d+)-/.exec(line)![1]);
    expect(asked).toContain(String(PART));
    expect(asked).not.toContain("0");
    expect(asked.length).toBeLessThan(10);
  });

  test("is finished by another mirror when its digest is known, and begun again when it is not", async () => {
    for (const wanted of [pinned, unpinned]) {
      await using broken = await HttpRig.start(serveRanges(body), half);
      await using other = await HttpRig.start(serveRanges(body, { etag: '"other"' }));
      const target = newTarget();
      await downloadFile([broken.origin, other.origin], wanted, target, options());
      expect(readFileSync(target).equals(body)).toBe(true);
      const asked = rangesOf(other.requests).length;
      if (wanted === pinned) expect(asked).toBeLessThan(10);
      else expect(asked).toBe(10);
    }
  });

  test("comes over one connection from a server without ranges or without a strong ETag", async () => {
    const weak: Handler = (_request, response) => {
      const headers = { etag: 'W/"1"', "accept-ranges": "bytes", "content-length": body.length };
      response.writeHead(200, headers).end(body);
    };
    for (const handler of [serve(body), weak]) {
      await using rig = await HttpRig.start(handler);
      const target = newTarget();
      await downloadFile([`${rig.origin}/f`], pinned, target, options());
      expect(readFileSync(target).equals(body)).toBe(true);
      expect(rig.requests).toEqual(["/f"]);
    }
  });
});

describe("a server that misbehaves", () => {
  const next = Buffer.from(body).reverse();
  const rude: Handler = (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (from === undefined) return serveRanges(next, { etag: '"v2"' })(request, response);
    const headers = { etag: '"v2"', "content-range": `bytes ${from}-${to}/${next.length}` };
    response.writeHead(206, headers).end(next.subarray(Number(from), Number(to) + 1));
  };
  const shifted: Handler = (request, response) => {
    if (request.headers.range === undefined) return serveRanges(body)(request, response);
    response.writeHead(206, { etag: '"v1"', "content-range": `bytes 1-${PART}/${body.length}` });
    response.end(body.subarray(1, PART + 1));
  };

  test.each([
    ["changes the file between two parts", serveRanges(next, { etag: '"v2"' }), next],
    ["does so and ignores If-Range", rude, next],
    ["sends other parts than those asked for", shifted, body],
  ])("and %s gives one version over one connection", async (_what, handler, expected) => {
    await using rig = await HttpRig.start(serveRanges(body), serveRanges(body), handler);
    const target = newTarget();
    const { sha256 } = await downloadFile([rig.origin], unpinned, target, options());
    expect(sha256).toBe(digestOf(expected));
    expect(readFileSync(target).equals(expected)).toBe(true);
    expect(leftovers(target)).toEqual([]);
  });

  test("and gives wrong bytes is refused with both digests, and nothing is kept", async () => {
    await using rig = await HttpRig.start(serveRanges(next));
    const target = newTarget();
    const run = downloadFile([rig.origin], pinned, target, options());
    await expect(run).rejects.toThrow(`wrong bytes: expected ${digestOf(body)}, got ${digestOf(next)}`);
    expect(existsSync(target) || existsSync(`${target}.parts`)).toBe(false);
  });

  test("and wants to be left alone for a while is", async () => {
    const busy = status(429, { "retry-after": "1" });
    await using rig = await HttpRig.start(serveRanges(body), busy, serveRanges(body));
    const retries: string[] = [];
    const backoff = { baseMs: 1, maxMs: 80 };
    const target = newTarget();
    await downloadFile([rig.origin], pinned, target, options({ backoff, onRetry: (line) => void retries.push(line) }));
    expect(retries.map((line) => line.replace(/^\S+: /, ""))).toEqual(["it answers 429; again in 80 ms"]);
  });

  test("and does all of it in any order gives the right bytes or an error, whatever the order", async () => {
    const handlers: Record<string, Handler> = {
      good: serveRanges(body),
      cut: serveRanges(body, { cut: 3000 }),
      busy: status(503),
      dead: (request) => request.socket.destroy(),
      other: serveRanges(next, { etag: '"v2"' }),
      rude,
      shifted,
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...Object.keys(handlers)), { maxLength: 25 }), async (names) => {
        await using rig = await HttpRig.start(...names.map((name) => handlers[name]!), serveRanges(body));
        const target = newTarget();
        const ended = await downloadFile([rig.origin], unpinned, target, options({ attempts: 4 })).catch(
          (error: Error & { code: string }) => error,
        );
        if (ended instanceof Error) expect(ended.code).toBe("DOWNLOAD_FAILED");
        else expect([digestOf(body), digestOf(next)]).toContain(digestOf(readFileSync(target)));
      }),
      { numRuns: 25 },
    );
  });
});

test("a download killed with SIGKILL keeps its finished parts for the next process", async () => {
  await using rig = await HttpRig.start((request, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (from < 5 * PART || killed) serveRanges(body)(request, response);
  });
  let killed = false;
  const target = newTarget();
  const script = `
    import { downloadFile } from ${JSON.stringify(path.resolve("src/data/download/http.ts"))};
    await downloadFile([${JSON.stringify(rig.origin)}], { sha256: undefined, bytes: undefined }, ${JSON.stringify(target)},
      { signal: new AbortController().signal, environment: {}, parts: { partBytes: ${PART}, connections: 4 } });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: "inherit" });
  for (let waited = 0; rig.requests.length < 10 && waited < 30_000; waited += 20) await sleep(20);
  child.kill("SIGKILL");
  await once(child, "exit");
  killed = true;
  const before = rig.requests.length;
  await downloadFile([rig.origin], unpinned, target, options());
  expect(readFileSync(target).equals(body)).toBe(true);
  expect(rangesOf(rig.requests.slice(before))).toHaveLength(5);
});
