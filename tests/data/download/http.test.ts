import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { Wanted } from "../../../src/data/download/attempt.ts";
import { type DownloadOptions, downloadFile } from "../../../src/data/download/http.ts";
import type { Digest } from "../../../src/util/digest.ts";
import { cutAfter, HttpRig, serve, status } from "../../rigs/http-rig.ts";
import { temporaryFolder } from "../../rigs/stage-rig.ts";

const body = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919) % 251));
const sha256: Digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
const pinned: Wanted = { sha256, bytes: body.length };
const unpinned: Wanted = { sha256: undefined, bytes: undefined };

function options(more: Partial<DownloadOptions> = {}): DownloadOptions {
  const signal = new AbortController().signal;
  return { signal, environment: {}, attempts: 3, stallMs: 30_000, backoff: { baseMs: 2, maxMs: 20 }, ...more };
}

const newTarget = () => path.join(temporaryFolder("download"), "corpus.bin");
const partOf = (target: string) => `${target}.part`;

describe("a file that comes well", () => {
  test("is at its place with its digest, and no part is left", async () => {
    await using rig = await HttpRig.start(serve(body));
    const target = newTarget();
    const seen: number[] = [];
    const onProgress = (done: number) => void seen.push(done);
    const result = await downloadFile([`${rig.origin}/corpus.bin`], pinned, target, options({ onProgress }));
    expect(result).toEqual({ sha256, bytes: body.length });
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(existsSync(partOf(target)) || existsSync(`${partOf(target)}.json`)).toBe(false);
    expect(seen.at(-1)).toBe(body.length);
    expect(rig.requests).toEqual(["/corpus.bin"]);
  });

  test("is pinned on first use when nothing is known of it", async () => {
    await using rig = await HttpRig.start(serve(body));
    expect(await downloadFile([rig.origin], unpinned, newTarget(), options())).toEqual({ sha256, bytes: body.length });
  });

  test("is followed through redirects", async () => {
    await using rig = await HttpRig.start(
      status(302, { location: "/second" }),
      status(307, { location: "third" }),
      serve(body),
    );
    await downloadFile([`${rig.origin}/first`], pinned, newTarget(), options());
    expect(rig.requests).toEqual(["/first", "/second", "/third"]);
  });
});

describe("a connection that breaks", () => {
  test("goes on from the bytes that came, naming their version", async () => {
    await using rig = await HttpRig.start(cutAfter(body, 50_000), cutAfter(body, 60_000), serve(body));
    const target = newTarget();
    const retries: string[] = [];
    await downloadFile([`${rig.origin}/f`], pinned, target, options({ onRetry: (line) => void retries.push(line) }));
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual(["/f", '/f bytes=50000- "v1"', '/f bytes=110000- "v1"']);
    expect(retries).toHaveLength(2);
  });

  test("never gives up while bytes come, and gives up when none do", async () => {
    const small = body.subarray(0, 1000);
    const cuts = Array.from({ length: 8 }, () => cutAfter(small, 100));
    await using rig = await HttpRig.start(...cuts, serve(small));
    const wanted = { sha256: undefined, bytes: small.length };
    await downloadFile([rig.origin], wanted, newTarget(), options({ attempts: 2 }));
    expect(rig.requests).toHaveLength(9);

    await using dead = await HttpRig.start((request) => request.socket.destroy());
    const run = downloadFile([dead.origin], pinned, newTarget(), options());
    await expect(run).rejects.toMatchObject({ code: "DOWNLOAD_FAILED", exitCode: 1 });
    expect(dead.requests).toHaveLength(3);
  });

  test("resumes in another process from what a killed one left behind", async () => {
    await using rig = await HttpRig.start(serve(body));
    const target = newTarget();
    writeFileSync(partOf(target), body.subarray(0, 123_456));
    writeFileSync(`${partOf(target)}.json`, JSON.stringify({ url: `${rig.origin}/f`, validator: '"v1"' }));
    await downloadFile([`${rig.origin}/f`], unpinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual(['/f bytes=123456- "v1"']);
  });

  test("starts again where only a date says which version the part belongs to, unless a digest will judge it", async () => {
    await using rig = await HttpRig.start(serve(body));
    const date = "Wed, 21 Oct 2015 07:28:00 GMT";
    const target = newTarget();
    const keep = () => {
      writeFileSync(partOf(target), body.subarray(0, 1000));
      writeFileSync(`${partOf(target)}.json`, JSON.stringify({ url: `${rig.origin}/f`, validator: date }));
    };
    keep();
    await downloadFile([`${rig.origin}/f`], unpinned, target, options());
    keep();
    await downloadFile([`${rig.origin}/f`], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual(["/f", `/f bytes=1000- ${date}`]);
  });

  test("starts again when nobody knows which version the part belongs to", async () => {
    await using rig = await HttpRig.start(serve(body));
    const target = newTarget();
    writeFileSync(partOf(target), "something else");
    await downloadFile([`${rig.origin}/f`], unpinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual(["/f"]);
  });

  test("keeps a part of unknown version when a digest will judge it, and drops it when it does not fit", async () => {
    await using rig = await HttpRig.start(serve(body));
    const target = newTarget();
    writeFileSync(partOf(target), body.subarray(0, 1000));
    await downloadFile([`${rig.origin}/good`], pinned, target, options());
    writeFileSync(partOf(target), Buffer.alloc(1000, 1));
    await downloadFile([`${rig.origin}/bad`], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual(["/good bytes=1000-", "/bad bytes=1000-", "/bad"]);
  });

  test("needs no request when all bytes were there already", async () => {
    await using rig = await HttpRig.start(serve(body));
    const target = newTarget();
    writeFileSync(partOf(target), body);
    await downloadFile([rig.origin], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(rig.requests).toEqual([]);
  });
});

describe("a server that misbehaves", () => {
  test("may ignore Range: the file is taken from its beginning", async () => {
    const whole = (etag: string) => (_: unknown, response: import("node:http").ServerResponse) =>
      void response.writeHead(200, { etag, "content-length": body.length }).end(body);
    await using rig = await HttpRig.start(cutAfter(body, 50_000), whole('"v1"'));
    const target = newTarget();
    await downloadFile([rig.origin], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
  });

  test("may change the file between two parts: nothing of the old one stays", async () => {
    const next = Buffer.from(body).reverse();
    await using polite = await HttpRig.start(cutAfter(body, 50_000), serve(next, '"v2"'));
    const target = newTarget();
    await downloadFile([polite.origin], unpinned, target, options());
    expect(readFileSync(target).equals(next)).toBe(true);

    // This one sends the part in spite of If-Range, and only its ETag tells.
    await using rude = await HttpRig.start(
      cutAfter(body, 50_000),
      (_request, response) => {
        const range = `bytes 50000-${next.length - 1}/${next.length}`;
        response.writeHead(206, { etag: '"v2"', "content-range": range }).end(next.subarray(50_000));
      },
      serve(next, '"v2"'),
    );
    const second = newTarget();
    await downloadFile([rude.origin], unpinned, second, options());
    expect(readFileSync(second).equals(next)).toBe(true);
  });

  test("may send another part than the one asked for", async () => {
    await using rig = await HttpRig.start(
      cutAfter(body, 50_000),
      (_request, response) => {
        const range = `bytes 0-${body.length - 1}/${body.length}`;
        response.writeHead(206, { etag: '"v1"', "content-range": range }).end(body);
      },
      serve(body),
    );
    const target = newTarget();
    await downloadFile([rig.origin], unpinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
  });

  test("may announce more than it has: the body ended early, and the bytes are never accepted", async () => {
    await using rig = await HttpRig.start((_request, response) => {
      response.writeHead(200, { "content-length": body.length + 10 });
      response.write(body, () => setTimeout(() => response.destroy(), 20));
    });
    const target = newTarget();
    await expect(downloadFile([rig.origin], unpinned, target, options())).rejects.toThrow("could not be downloaded");
    expect(existsSync(target)).toBe(false);
  });

  test("is refused at once when its length is not that of the file", async () => {
    await using rig = await HttpRig.start(serve(body.subarray(1)));
    const run = downloadFile([rig.origin], pinned, newTarget(), options());
    await expect(run).rejects.toThrow("has 199,999 bytes instead of 200,000");
    expect(rig.requests).toHaveLength(1);
  });

  test("is stopped when it sends without end", async () => {
    await using rig = await HttpRig.start((_request, response) => {
      response.writeHead(200); // chunked, no length
      const timer = setInterval(() => response.write(body), 1);
      response.on("close", () => clearInterval(timer));
    });
    const target = newTarget();
    await expect(downloadFile([rig.origin], pinned, target, options())).rejects.toThrow("more than the 200,000 bytes");
    expect(statSync(partOf(target)).size).toBe(0);
  });

  test("is refused when its bytes are wrong, with both digests, and the part is dropped", async () => {
    const wrong = Buffer.from(body);
    wrong[77] = wrong[77]! ^ 1;
    const got = createHash("sha256").update(wrong).digest("hex");
    await using rig = await HttpRig.start(serve(wrong));
    const target = newTarget();
    const run = downloadFile([rig.origin], pinned, target, options());
    await expect(run).rejects.toThrow(`wrong bytes: expected ${sha256}, got sha256:${got}`);
    expect(existsSync(target)).toBe(false);
    expect(statSync(partOf(target)).size).toBe(0);
    expect(rig.requests).toHaveLength(1);
  });

  test("gets 416 answered: complete bytes are taken, others are fetched again", async () => {
    await using rig = await HttpRig.start(serve(body));
    const wanted = { sha256, bytes: undefined };
    const complete = newTarget();
    writeFileSync(partOf(complete), body);
    await downloadFile([rig.origin], wanted, complete, options());
    expect(rig.requests).toEqual([`/ bytes=${body.length}-`]);

    const tooLong = newTarget();
    writeFileSync(partOf(tooLong), Buffer.concat([body, body]));
    await downloadFile([rig.origin], wanted, tooLong, options());
    expect(readFileSync(tooLong).equals(body)).toBe(true);
  });

  test.each([429, 503])("is waited for after %i as long as it asks, up to the bound", async (code) => {
    await using rig = await HttpRig.start(
      status(code, { "retry-after": "1" }),
      status(code, { "retry-after": "Wed, 21 Oct 2099 07:28:00 GMT" }),
      serve(body),
    );
    const retries: string[] = [];
    const backoff = { baseMs: 1, maxMs: 150 };
    const onRetry = (line: string) => void retries.push(line);
    await downloadFile([rig.origin], pinned, newTarget(), options({ backoff, onRetry }));
    expect(retries.map((line) => line.replace(/^\S+: /, ""))).toEqual(
      Array(2).fill(`it answers ${code}; again in 150 ms`),
    );
  });

  test("is left after a bounded number of redirects", async () => {
    await using rig = await HttpRig.start(status(302, { location: "/again" }));
    const run = downloadFile([rig.origin], pinned, newTarget(), options());
    await expect(run).rejects.toThrow("redirects more than 10 times");
    expect(rig.requests).toHaveLength(11);
  });

  test("is given up when it stalls", async () => {
    await using rig = await HttpRig.start((_request, response) => {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, 10));
    });
    const run = downloadFile([rig.origin], pinned, newTarget(), options({ stallMs: 60, attempts: 2 }));
    await expect(run).rejects.toThrow("no byte came for 60 ms");
  });

  test("is not believed when a web page comes instead of an unpinned file", async () => {
    await using rig = await HttpRig.start((_request, response) => {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<h1>Log in</h1>");
    });
    await expect(downloadFile([rig.origin], unpinned, newTarget(), options())).rejects.toThrow("web page");
  });
});

describe("several mirrors", () => {
  test("are tried in turn, and a part of one is finished by another", async () => {
    await using gone = await HttpRig.start(status(404));
    await using broken = await HttpRig.start(cutAfter(body, 70_000), (request) => request.socket.destroy());
    await using good = await HttpRig.start(serve(body));
    const target = newTarget();
    await downloadFile([gone.origin, broken.origin, good.origin], pinned, target, options());
    expect(readFileSync(target).equals(body)).toBe(true);
    expect(gone.requests).toHaveLength(1);
    expect(good.requests).toEqual(["/ bytes=70000-"]);
  });

  test("are all named in the error", async () => {
    await using gone = await HttpRig.start(status(404));
    await using closed = await HttpRig.start(status(403));
    const run = downloadFile([`${gone.origin}/a`, `${closed.origin}/b`], pinned, newTarget(), options());
    await expect(run).rejects.toMatchObject({
      message: expect.stringMatching(/\/a: it answers 404\.\n.*\/b: it answers 403\./),
      hint: expect.stringContaining("HF_TOKEN"),
    });
  });
});

test("an address where nobody can be is left at once, with what to see to", async () => {
  const retries: string[] = [];
  const onRetry = (line: string) => void retries.push(line);
  // fetch() asks nothing of port 9; refused connections and unknown names are in outcome.test.ts.
  const run = downloadFile(["http://127.0.0.1:9/f"], pinned, newTarget(), options({ onRetry }));
  await expect(run).rejects.toMatchObject({
    code: "DOWNLOAD_FAILED",
    message: expect.stringContaining("bad port"),
    hint: "See whether this machine is online and the address is right.",
  });
  expect(retries).toEqual([]);
});

test("an abort ends the download and keeps what came", async () => {
  await using rig = await HttpRig.start((_request, response) => {
    response.writeHead(200, { etag: '"v1"', "content-length": body.length });
    response.write(body.subarray(0, 5000));
  });
  const stop = new AbortController();
  const target = newTarget();
  const run = downloadFile(
    [rig.origin],
    pinned,
    target,
    options({ signal: stop.signal, onProgress: () => stop.abort() }),
  );
  await expect(run).rejects.toThrow(/abort/i);
  expect(statSync(partOf(target)).size).toBe(5000);
});
