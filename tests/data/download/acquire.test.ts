import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { Dataset, DatasetFile } from "../../../src/data/datasets/dataset.ts";
import { joinDatasets } from "../../../src/data/datasets/join.ts";
import { readDatasetManifest } from "../../../src/data/datasets/manifest.ts";
import { type AcquireContext, acquireDataset } from "../../../src/data/download/acquire.ts";
import { PINS_FILE } from "../../../src/data/download/pins.ts";
import type { Digest } from "../../../src/util/digest.ts";
import { cutAfter, type Handler, HttpRig, serve, status } from "../../rigs/http-rig.ts";
import { digestFolder, temporaryFolder } from "../../rigs/stage-rig.ts";

const body = Buffer.from('{"text":"Once upon a time"}\n'.repeat(500));
const sha256: Digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;

function datasetOf(...files: DatasetFile[]): Dataset {
  const about = { license: "MIT", homepage: "https://example.org", language: "en", description: "", size: "" };
  return { name: "tales", kind: "text", ...about, files, text: { template: "{text}" } };
}

function contextWith(more: Partial<AcquireContext> = {}): AcquireContext & { readonly lines: string[] } {
  const lines: string[] = [];
  const log = {
    info: (line: string) => void lines.push(line),
    warn: (line: string) => void lines.push(line),
    progress: (done: number, total: number, unit: string) => void lines.push(`${done}/${total} ${unit}`),
  };
  const http = { attempts: 2, stallMs: 30_000, backoff: { baseMs: 1, maxMs: 5 } };
  const signal = new AbortController().signal;
  return { work: temporaryFolder("work"), dataDir: undefined, environment: {}, signal, log, http, lines, ...more };
}

const local: DatasetFile = {
  path: "a.jsonl",
  format: "jsonl",
  source: { kind: "data-dir", path: "sets/a.jsonl" },
  sha256,
};
const remote = (url: string, more: Partial<DatasetFile> = {}): DatasetFile => ({
  path: "part/a.jsonl",
  format: "jsonl",
  source: { kind: "url", urls: [url] },
  ...more,
});

describe("a local folder", () => {
  test("gives a file whose digest is right", async () => {
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "sets"));
    writeFileSync(path.join(dataDir, "sets/a.jsonl"), body);
    const folder = temporaryFolder("dataset");
    await acquireDataset(datasetOf(local), folder, contextWith({ dataDir }));
    expect(readDatasetManifest(folder).files).toEqual([
      { path: "a.jsonl", format: "jsonl", bytes: body.length, sha256 },
    ]);
    expect(readFileSync(path.join(folder, "files/a.jsonl")).equals(body)).toBe(true);
  });

  test("that lacks the file is told which one to put where", async () => {
    const dataDir = temporaryFolder("data");
    const missing = acquireDataset(datasetOf(local), temporaryFolder(), contextWith({ dataDir }));
    await expect(missing).rejects.toMatchObject({
      code: "DATA_DIR_FILE_MISSING",
      hint: expect.stringContaining(path.join(dataDir, "sets/a.jsonl")),
    });
    const unnamed = acquireDataset(datasetOf(local), temporaryFolder(), contextWith());
    await expect(unnamed).rejects.toMatchObject({
      hint: expect.stringMatching(/--data-dir or STLM_DATA_DIR.*sets\/a\.jsonl/),
    });
  });

  test("that holds other bytes is refused with both digests", async () => {
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "sets"));
    writeFileSync(path.join(dataDir, "sets/a.jsonl"), "something else");
    const run = acquireDataset(datasetOf(local), temporaryFolder(), contextWith({ dataDir }));
    await expect(run).rejects.toMatchObject({
      code: "WRONG_BYTES",
      message: expect.stringMatching(new RegExp(`expected ${sha256}, got sha256:[0-9a-f]{64}`)),
    });
  });

  test("that holds a file of another size than published is refused, digest or not", async () => {
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "tales/part"), { recursive: true });
    writeFileSync(path.join(dataDir, "tales/part/a.jsonl"), body);
    const file = remote("http://127.0.0.1:9", { bytes: body.length + 1 });
    const run = acquireDataset(datasetOf(file), temporaryFolder(), contextWith({ dataDir }));
    await expect(run).rejects.toMatchObject({
      code: "WRONG_BYTES",
      message: expect.stringContaining("expected 14,001 bytes, got 14,000 bytes"),
    });
  });

  test("is warned of when nothing says what the file should hold", async () => {
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "tales/part"), { recursive: true });
    writeFileSync(path.join(dataDir, "tales/part/a.jsonl"), body);
    const warnings: string[] = [];
    const context = contextWith({ dataDir });
    const log = { ...context.log, warn: (line: string) => void warnings.push(line) };
    const file = remote("http://127.0.0.1:9", { bytes: body.length });
    await acquireDataset(datasetOf(file), temporaryFolder(), { ...context, log });
    expect(warnings).toEqual([
      `part/a.jsonl has no published digest and is taken as it lies in the local folder: ${sha256}`,
    ]);
    warnings.length = 0;
    await acquireDataset(datasetOf({ ...file, sha256 }), temporaryFolder(), { ...context, log });
    expect(warnings).toEqual([]);
  });

  test("serves a set of the network too, without asking the network", async () => {
    await using rig = await HttpRig.start(status(500));
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "tales/part"), { recursive: true });
    writeFileSync(path.join(dataDir, "tales/part/a.jsonl"), body);
    await acquireDataset(datasetOf(remote(rig.origin, { sha256 })), temporaryFolder(), contextWith({ dataDir }));
    expect(rig.requests).toEqual([]);
  });
});

describe("the network", () => {
  test("gives the same artifact whether or not the connection broke", async () => {
    await using good = await HttpRig.start(serve(body));
    await using bad = await HttpRig.start(cutAfter(body, 5000), cutAfter(body, 100), serve(body));
    const [smooth, rough] = [temporaryFolder(), temporaryFolder()];
    await acquireDataset(datasetOf(remote(good.origin, { sha256 })), smooth, contextWith());
    await acquireDataset(datasetOf(remote(bad.origin, { sha256 })), rough, contextWith());
    expect(digestFolder(rough)).toBe(digestFolder(smooth));
  });

  test("shows and records the digest of an unpinned file", async () => {
    await using rig = await HttpRig.start(serve(body));
    const folder = temporaryFolder();
    const context = contextWith();
    await acquireDataset(datasetOf(remote(rig.origin)), folder, context);
    expect(context.lines).toContain(`part/a.jsonl is pinned on first use: ${sha256}`);
    expect(readDatasetManifest(folder).files[0]!.sha256).toBe(sha256);
  });

  test("is not asked again for files that a killed run had finished", async () => {
    await using rig = await HttpRig.start(serve(body), status(404), serve(body));
    const files = [remote(`${rig.origin}/1`), { ...remote(`${rig.origin}/2`), path: "b.jsonl" }];
    const context = contextWith();
    await expect(acquireDataset(datasetOf(...files), temporaryFolder(), context)).rejects.toThrow("404");
    const folder = temporaryFolder();
    await acquireDataset(datasetOf(...files), folder, context);
    expect(rig.requests).toEqual(["/1", "/2", "/2"]);
    expect(readdirSync(path.join(folder, "files")).sort()).toEqual(["b.jsonl", "part"]);
  });

  test("is asked again where the disk lost a byte of a finished file", async () => {
    await using rig = await HttpRig.start(serve(body), status(404), serve(body));
    const files = [remote(`${rig.origin}/1`), { ...remote(`${rig.origin}/2`), path: "b.jsonl" }];
    const context = contextWith();
    await expect(acquireDataset(datasetOf(...files), temporaryFolder(), context)).rejects.toThrow("404");
    writeFileSync(path.join(context.work, "files/part/a.jsonl"), body.subarray(1));
    const folder = temporaryFolder();
    await acquireDataset(datasetOf(...files), folder, context);
    expect(rig.requests).toEqual(["/1", "/2", "/1", "/2"]);
    expect(readFileSync(path.join(folder, "files/part/a.jsonl")).equals(body)).toBe(true);
  });

  test("that fails is answered by where to put the file by hand", async () => {
    await using rig = await HttpRig.start(status(404));
    const run = acquireDataset(datasetOf(remote(rig.origin)), temporaryFolder(), contextWith());
    await expect(run).rejects.toMatchObject({
      code: "DOWNLOAD_FAILED",
      hint: expect.stringContaining("put the file at <folder>/tales/part/a.jsonl"),
    });
    const known = { bytes: body.length, sha256 };
    const pinned = acquireDataset(datasetOf(remote(rig.origin, known)), temporaryFolder(), contextWith());
    await expect(pinned).rejects.toMatchObject({
      hint: expect.stringMatching(new RegExp(`file \\(14,000 bytes\\) at .*checked against ${sha256}`)),
    });
  });
});

describe("a set whose files only the hub knows", () => {
  const listed = (hub: string): DatasetFile => ({
    path: "main",
    format: "jsonl",
    source: { kind: "listing", repository: "me/tales", ending: ".jsonl", hub },
  });
  const entry = (name: string, more: object = {}) => ({
    type: "file",
    path: name,
    size: body.length,
    oid: "1",
    ...more,
  });
  const lfs = { oid: sha256.slice("sha256:".length), size: body.length, pointerSize: 130 };
  const answer = (...entries: object[]): Handler => {
    return (_request, response) => void response.writeHead(200).end(JSON.stringify(entries));
  };

  test("is fetched in the order of the names with the hub's own digests", async () => {
    const listing = answer(
      entry("data/b c.jsonl", { lfs }),
      entry("README.md"),
      { type: "directory", path: "data", size: 0 },
      entry("data/a.jsonl"),
    );
    await using rig = await HttpRig.start(listing, serve(body));
    const folder = temporaryFolder();
    const context = contextWith();
    await acquireDataset(datasetOf(listed(rig.origin)), folder, context);
    expect(readDatasetManifest(folder).files.map((file) => file.path)).toEqual([
      "main/data/a.jsonl",
      "main/data/b c.jsonl",
    ]);
    expect(rig.requests).toEqual([
      "/api/datasets/me/tales/tree/main?recursive=true",
      "/datasets/me/tales/resolve/main/data/a.jsonl",
      "/datasets/me/tales/resolve/main/data/b%20c.jsonl",
    ]);
    expect(context.lines.filter((line) => line.includes("pinned on first use"))).toHaveLength(2);
  });

  test("is refused where the hub's digest is not that of the bytes", async () => {
    const listing = answer(entry("a.jsonl", { lfs: { ...lfs, oid: "ab".repeat(32) } }));
    await using rig = await HttpRig.start(listing, serve(body));
    const run = acquireDataset(datasetOf(listed(rig.origin)), temporaryFolder(), contextWith());
    await expect(run).rejects.toThrow(`wrong bytes: expected sha256:${"ab".repeat(32)}, got ${sha256}`);
  });

  test.each([
    ["leads out of its folder", answer(entry("../../a.jsonl")), 'names the file "../../a.jsonl"'],
    ["names nothing that fits", answer(entry("README.md")), "names no *.jsonl file"],
    ["may go on", answer(...Array.from({ length: 1000 }, (_, at) => entry(`${at}.jsonl`))), "there may be more"],
    ["is no listing", answer({ error: "no" }), "does not say which files tales has"],
    ["is missing", status(404), "it answers 404"],
  ])("says where to put its files when the answer %s", async (_what, handler, message) => {
    await using rig = await HttpRig.start(handler);
    const run = acquireDataset(datasetOf(listed(rig.origin)), temporaryFolder(), contextWith());
    await expect(run).rejects.toMatchObject({
      code: "LISTING_FAILED",
      message: expect.stringContaining(message),
      hint: expect.stringContaining("put its *.jsonl files into <folder>/tales/main/ and pass --data-dir"),
    });
  });

  test("is taken from the local folder without asking, also as a part of a mix", async () => {
    const dataDir = temporaryFolder("data");
    mkdirSync(path.join(dataDir, "tales/main/deep"), { recursive: true });
    writeFileSync(path.join(dataDir, "tales/main/deep/a.jsonl"), body);
    writeFileSync(path.join(dataDir, "tales/main/notes.txt"), "no data");
    const folder = temporaryFolder();
    const set = datasetOf(listed("http://127.0.0.1:9"));
    await acquireDataset(joinDatasets([set, { ...set, name: "others", files: [] }]), folder, contextWith({ dataDir }));
    expect(readDatasetManifest(folder).files.map((file) => file.path)).toEqual(["0-tales/main/deep/a.jsonl"]);
  });
});

describe("a file that is pinned on first use", () => {
  const other = Buffer.from(body).reverse();
  const otherDigest: Digest = `sha256:${createHash("sha256").update(other).digest("hex")}`;
  const pinsOf = (lab: string) => JSON.parse(readFileSync(path.join(lab, PINS_FILE), "utf8"));
  /** Gives the same address other bytes the second time. */
  const changing = () => HttpRig.start(serve(body), serve(other, '"v2"'));

  test("is compared with in a copy of the lab, and taken anew once its line is deleted", async () => {
    await using rig = await changing();
    const [lab, copy] = [temporaryFolder("lab"), temporaryFolder("lab")];
    await acquireDataset(datasetOf(remote(rig.origin)), temporaryFolder(), contextWith({ lab }));
    expect(pinsOf(lab)).toEqual({ [rig.origin]: sha256 });
    cpSync(lab, copy, { recursive: true });
    const second = () => acquireDataset(datasetOf(remote(rig.origin)), temporaryFolder(), contextWith({ lab: copy }));
    await expect(second()).rejects.toMatchObject({
      message: expect.stringContaining(`wrong bytes: expected ${sha256}, got ${otherDigest}`),
      hint: expect.stringContaining(`To take the new ones, delete the line of ${rig.origin} there.`),
    });
    writeFileSync(path.join(copy, PINS_FILE), "{}");
    await second();
    expect(pinsOf(copy)).toEqual({ [rig.origin]: otherDigest });
  });

  test("binds the local folder too, which pins nothing itself", async () => {
    await using rig = await HttpRig.start(serve(body));
    const [lab, dataDir] = [temporaryFolder("lab"), temporaryFolder("data")];
    mkdirSync(path.join(dataDir, "tales/part"), { recursive: true });
    writeFileSync(path.join(dataDir, "tales/part/a.jsonl"), other);
    const fetched = (context: Partial<AcquireContext>) =>
      acquireDataset(datasetOf(remote(rig.origin)), temporaryFolder(), contextWith({ lab, ...context }));
    await fetched({ dataDir });
    expect(existsSync(path.join(lab, PINS_FILE))).toBe(false);
    await fetched({});
    await expect(fetched({ dataDir })).rejects.toMatchObject({
      code: "WRONG_BYTES",
      hint: expect.stringContaining("delete the line of"),
    });
  });

  test("is one whose digest the package knows never, and one of a hub's listing always", async () => {
    const [first, second] = [sha256, otherDigest].map((digest): Handler => {
      const lfs = { oid: digest.slice("sha256:".length), size: body.length };
      const files = [{ type: "file", path: "a.jsonl", size: body.length, lfs }];
      return (_request, response) => void response.writeHead(200).end(JSON.stringify(files));
    });
    await using rig = await HttpRig.start(serve(body), first!, serve(body), second!);
    const lab = temporaryFolder("lab");
    await acquireDataset(datasetOf(remote(rig.origin, { sha256 })), temporaryFolder(), contextWith({ lab }));
    expect(existsSync(path.join(lab, PINS_FILE))).toBe(false);
    const source = { kind: "listing", repository: "me/tales", ending: ".jsonl", hub: rig.origin } as const;
    const set = datasetOf({ path: "main", format: "jsonl", source });
    await acquireDataset(set, temporaryFolder(), contextWith({ lab }));
    expect(pinsOf(lab)).toEqual({ [`${rig.origin}/datasets/me/tales/resolve/main/a.jsonl`]: sha256 });
    const again = acquireDataset(set, temporaryFolder(), contextWith({ lab }));
    await expect(again).rejects.toMatchObject({
      code: "PIN_MISMATCH",
      message: `main/a.jsonl is no longer the file that it was: expected ${sha256}, and the hub says ${otherDigest}.`,
    });
  });

  test("is refused from a list of pins that is none, and a pin that cannot be kept is warned of", async () => {
    await using rig = await HttpRig.start(serve(body));
    const lab = temporaryFolder("lab");
    const run = async (context: AcquireContext) =>
      acquireDataset(datasetOf(remote(rig.origin)), temporaryFolder(), context);
    writeFileSync(path.join(lab, PINS_FILE), '{"a": "md5:1"}');
    await expect(run(contextWith({ lab }))).rejects.toMatchObject({ code: "BAD_PINS" });
    const gone = contextWith({ lab: path.join(lab, "gone") });
    await run(gone);
    expect(gone.lines.at(-2)).toMatch(/^The pin cannot be kept for later downloads: .*data-pins\.json: ENOENT$/);
  });
});

test("an artifact names no machine, no time and no source", async () => {
  await using rig = await HttpRig.start(serve(body));
  const folder = temporaryFolder();
  await acquireDataset(datasetOf(remote(rig.origin)), folder, contextWith());
  const text = readFileSync(path.join(folder, "dataset.json"), "utf8");
  expect(Object.keys(JSON.parse(text))).toEqual(["files", "homepage", "kind", "license", "name", "text"]);
  expect(text).not.toContain("127.0.0.1");
});
