import * as fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeTree, encodeTree, TREE_TYPE } from "../../src/store/tree.ts";
import { compareUtf8 } from "../../src/util/canonical-json.ts";
import { digestOf } from "../../src/util/digest.ts";
import { type Content, quarantined, readContent, StoreRig, settle, writeContent } from "./store-rig.ts";

/** Names that cannot be mistaken for one another on any file system, among them some beyond ASCII. */
const name = fc
  .constantFrom("a", "b", "model.safetensors", "über", "日本", "😀", "with space", ".hidden", "z\nz", "\uffee")
  .map((text) => text.normalize("NFC"));
const value: fc.Arbitrary<Content[string]> = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constant(null),
  fc.record({ run: fc.string({ maxLength: 10 }) }),
  fc.constantFrom({ link: "a" }, { link: "./gone/deeper" }),
);

/** Folders with up to three levels; a path is never below a file. */
const content: fc.Arbitrary<Content> = fc
  .array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), value), { maxLength: 8 })
  .map((pairs) => {
    const taken = new Map<string, Content[string]>();
    for (const [parts, found] of pairs) {
      const own = parts.join("/");
      const others = [...taken.keys()];
      const isFree = others.every((other) => !`${own}/`.startsWith(`${other}/`) && !`${other}/`.startsWith(`${own}/`));
      if (isFree) taken.set(own, found);
    }
    return Object.fromEntries(taken);
  });

const sorted = (files: Content): Content =>
  Object.fromEntries(Object.entries(files).sort(([a], [b]) => compareUtf8(a, b)));

describe("trees", () => {
  test("materialise after putTree is the identity, with modes, links, empty folders and any names", () => {
    using rig = StoreRig.create();
    fc.assert(
      fc.property(content, fc.boolean(), (files, readOnly) => {
        const digest = rig.put(files);
        const destination = rig.path("out");
        rig.store.materialise(digest, destination, { readOnly });
        expect(sorted(readContent(destination))).toEqual(sorted(files));
      }),
      { numRuns: 40 },
    );
    expect(fs.readdirSync(rig.store.layout.tmp)).toEqual([]);
  });

  test("the digest is blind to the order of creation and to times", () => {
    using rig = StoreRig.create();
    fc.assert(
      fc.property(content, (files) => {
        const reversed = Object.fromEntries(Object.entries(files).reverse());
        const folder = rig.staged(reversed);
        fs.utimesSync(folder, 1, 1);
        expect(rig.store.putTree(folder).digest).toBe(rig.put(files));
      }),
      { numRuns: 25 },
    );
  });

  test("the digest is the typed digest of the manifest, and the manifest is the object's very text", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ "b/c": "2", a: "1", e: null });
    const manifest = rig.store.readTree(digest);
    expect(digestOf(TREE_TYPE, manifest)).toBe(digest);
    expect(rig.store.readBytes(digest).toString()).toBe(encodeTree(manifest.entries));
    expect(manifest.entries.map((entry) => [entry.path, entry.type])).toEqual([
      ["a", "file"],
      ["b/c", "file"],
      ["e", "directory"],
    ]);
  });

  test("putTree counts files and bytes and takes the folder away", () => {
    using rig = StoreRig.create();
    const folder = rig.staged({ a: "12345", "b/c": "678", d: "12345" });
    expect(rig.store.putTree(folder)).toMatchObject({ files: 3, bytes: 13 });
    expect(fs.existsSync(folder)).toBe(false);
  });

  test("only the exec bit of a mode counts", () => {
    using rig = StoreRig.create();
    const folder = rig.staged({ a: "x" });
    fs.chmodSync(path.join(folder, "a"), 0o600);
    const digest = rig.store.putTree(folder).digest;
    expect(digest).toBe(rig.put({ a: "x" }));
    expect(rig.put({ a: { run: "x" } })).not.toBe(digest);
  });

  test("a file with a second name is copied, so that nobody can write into the store through it", () => {
    using rig = StoreRig.create();
    const folder = rig.staged({});
    fs.writeFileSync(rig.path("mine"), "before");
    fs.linkSync(rig.path("mine"), path.join(folder, "a"));
    const digest = rig.store.putTree(folder).digest;
    fs.writeFileSync(rig.path("mine"), "after!");
    expect(rig.store.checkTree(digest, { full: true })).toEqual({ missing: [], damaged: [] });
  });

  const refused: Record<string, [Content, RegExp]> = {
    "two names that differ in case": [{ Ab: "1", aB: "2" }, /same name on some systems/],
    "two folders that differ in normalisation": [{ "\u00e9/x": "1", "e\u0301/y": "2" }, /same name on some systems/],
    "a link out of the tree": [{ "a/b": { link: "../../c" } }, /outside the output/],
    "an absolute link": [{ a: { link: "/etc/passwd" } }, /outside the output/],
  };
  for (const [what, [files, message]] of Object.entries(refused)) {
    test(`${what} cannot be stored, and the folder stays`, () => {
      using rig = StoreRig.create();
      const folder = rig.staged(files);
      expect(() => rig.store.putTree(folder)).toThrow(message);
      expect(fs.existsSync(folder)).toBe(true);
    });
  }

  test("a name that is not UTF-8 cannot be stored", (context) => {
    using rig = StoreRig.create();
    const folder = rig.staged({});
    try {
      fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]), "x");
    } catch {
      context.skip("this file system takes UTF-8 names only");
    }
    expect(() => rig.store.putTree(folder)).toThrow(/not UTF-8/);
  });

  test("only the one spelling of a manifest is a tree", () => {
    const good = encodeTree([{ type: "directory", path: "a" }]);
    expect(decodeTree(Buffer.from(good))?.entries).toHaveLength(1);
    expect(decodeTree(Buffer.from(good.replace("{", "{ ")))).toBeUndefined();
    expect(decodeTree(Buffer.from(encodeTree([{ type: "directory", path: "../a" }])))).toBeUndefined();
    expect(decodeTree(Buffer.from("stlm.tree.v1\nnull"))).toBeUndefined();
    expect(decodeTree(Buffer.from("some text"))).toBeUndefined();
  });
});

describe("checkTree", () => {
  test("names every object that is missing or damaged", async () => {
    using rig = StoreRig.create();
    const digest = rig.put({ "dir/one": "1", two: "2", three: "3" });
    const [one, three, two] = rig.store
      .readTree(digest)
      .entries.flatMap((entry) => ("digest" in entry ? [entry.digest] : []));
    await settle();
    expect(rig.store.checkTree(digest)).toEqual({ missing: [], damaged: [] });
    fs.rmSync(rig.store.objectPath(two!));
    rig.flipByte(one!);
    expect(rig.reopen().checkTree(digest)).toEqual({ missing: [two], damaged: [{ digest: one, path: "dir/one" }] });
    expect(rig.store.checkObject(three!)).toBe("ok");
    rig.put({ "dir/one": "1", two: "2", three: "3" });
    expect(rig.store.checkTree(digest)).toEqual({ missing: [], damaged: [] });
  });

  test("a damaged manifest and a blob in the place of a tree are damage", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ a: "1" });
    rig.flipByte(digest);
    expect(rig.reopen().checkTree(digest)).toEqual({ missing: [], damaged: [{ digest, path: "" }] });
    const blob = rig.store.putBytes("no tree");
    expect(rig.store.checkTree(blob)).toEqual({ missing: [], damaged: [{ digest: blob, path: "" }] });
  });
});

describe("materialise", () => {
  test("replaces whatever was there, in one piece", () => {
    using rig = StoreRig.create();
    const destination = rig.path("out", "deep");
    const digest = rig.put({ new: "1" });
    writeContent(destination, { "old/file": "x", another: "y" });
    rig.store.materialise(digest, destination);
    expect(readContent(destination)).toEqual({ new: "1" });
    fs.rmSync(destination, { recursive: true });
    fs.writeFileSync(destination, "a file");
    rig.store.materialise(digest, destination);
    expect(readContent(destination)).toEqual({ new: "1" });
  });

  test("leaves the destination as it was when an object is damaged", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ a: "1", b: "2" });
    writeContent(rig.path("out"), { old: "x" });
    const entry = rig.store.readTree(digest).entries[1]!;
    if (entry.type === "file") rig.flipByte(entry.digest);
    expect(() => rig.store.materialise(digest, rig.path("out"))).toThrow(/damaged.*It is b of tree/);
    expect(readContent(rig.path("out"))).toEqual({ old: "x" });
    expect(fs.readdirSync(rig.store.layout.tmp)).toEqual([]);
    expect(quarantined(rig.store)).toBe(1);
  });

  test("gives writable files unless asked for read-only ones, and editing them leaves the store alone", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ a: "1", big: new Uint8Array(2 << 20) });
    rig.store.materialise(digest, rig.path("rw"));
    rig.store.materialise(digest, rig.path("ro"), { readOnly: true });
    expect(fs.statSync(rig.path("rw", "a")).mode & 0o777).toBe(0o644);
    expect(fs.statSync(rig.path("ro", "big")).mode & 0o777).toBe(0o444);
    fs.writeFileSync(rig.path("rw", "a"), "other");
    fs.writeFileSync(rig.path("rw", "big"), "other");
    expect(rig.store.checkTree(digest, { full: true })).toEqual({ missing: [], damaged: [] });
  });

  test("linking and unlinking a large object keeps its stamp valid, so that it is not hashed again", async () => {
    using rig = StoreRig.create();
    const digest = rig.put({ big: new Uint8Array(2 << 20) });
    await settle();
    rig.store.checkTree(digest);
    const entry = rig.store.readTree(digest).entries[0]!;
    const stamp = () => JSON.parse(fs.readFileSync(`${rig.store.layout.index}/stamps.json`, "utf8")).stamps;
    const object = rig.store.objectPath("digest" in entry ? entry.digest : digest);
    const isCurrent = () => {
      rig.store.flush();
      const { ctimeNs } = fs.statSync(object, { bigint: true });
      return stamp()["digest" in entry ? entry.digest : ""].endsWith(`:${ctimeNs}`);
    };
    expect(isCurrent()).toBe(true);
    rig.store.materialise(digest, rig.path("out"), { readOnly: true });
    expect(isCurrent()).toBe(true);
    rig.store.removeFolder(rig.path("out"));
    expect(fs.existsSync(rig.path("out"))).toBe(false);
    expect(isCurrent()).toBe(true);
  });
});
