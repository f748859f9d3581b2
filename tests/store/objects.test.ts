import * as fs from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ObjectError } from "../../src/store/store.ts";
import { type Digest, digestBytes } from "../../src/util/digest.ts";
import { quarantined, StoreRig, settle } from "./store-rig.ts";

const ABSENT: Digest = `sha256:${"0".repeat(64)}`;

function readError(read: () => unknown): ObjectError {
  try {
    read();
  } catch (error) {
    if (error instanceof ObjectError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

describe("blobs", () => {
  test("what was put is got back, under its SHA-256", () => {
    using rig = StoreRig.create();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        const digest = rig.store.putBytes(bytes);
        expect(digest).toBe(digestBytes(bytes));
        expect(rig.store.readBytes(digest).equals(bytes)).toBe(true);
        expect(rig.store.checkObject(digest, { full: true })).toBe("ok");
      }),
      { numRuns: 40 },
    );
    expect(fs.readdirSync(rig.store.layout.tmp)).toEqual([]);
  });

  test("objects are read-only and fanned out by their first two digits", () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("x");
    const hex = digest.slice("sha256:".length);
    expect(rig.store.objectPath(digest)).toBe(rig.path("artifacts", "objects", hex.slice(0, 2), hex.slice(2)));
    expect(fs.statSync(rig.store.objectPath(digest)).mode & 0o777).toBe(0o444);
  });

  test("an object that was never stored is missing", () => {
    using rig = StoreRig.create();
    expect(rig.store.checkObject(ABSENT)).toBe("missing");
    expect(readError(() => rig.store.readBytes(ABSENT))).toMatchObject({
      state: "missing",
      digest: ABSENT,
      exitCode: 3,
    });
  });

  const spoil: Record<string, (rig: StoreRig, digest: Digest) => void> = {
    "a flipped bit under the old size, mode and mtime": (rig, digest) => rig.flipByte(digest),
    "a truncated file": (rig, digest) => fs.truncateSync(rig.store.objectPath(digest), 3),
    "a longer file": (rig, digest) => fs.appendFileSync(rig.store.objectPath(digest), "more"),
    "a folder in its place": (rig, digest) => {
      fs.rmSync(rig.store.objectPath(digest));
      fs.mkdirSync(rig.store.objectPath(digest));
    },
    "a link in its place": (rig, digest) => {
      fs.rmSync(rig.store.objectPath(digest));
      fs.symlinkSync(rig.path("elsewhere"), rig.store.objectPath(digest));
    },
  };
  for (const [name, act] of Object.entries(spoil)) {
    test(`${name} is noticed, put in quarantine and made again`, async () => {
      using rig = StoreRig.create();
      const digest = rig.store.putBytes("the right bytes");
      await settle();
      expect(rig.store.checkObject(digest)).toBe("ok");
      act(rig, digest);
      expect(rig.reopen().checkObject(digest)).toBe("damaged");
      expect(quarantined(rig.store)).toBe(1);
      expect(rig.store.checkObject(digest)).toBe("missing");
      rig.store.putBytes("the right bytes");
      expect(rig.store.readBytes(digest).toString()).toBe("the right bytes");
    });
  }

  test("a damaged object is never read, even unchecked", () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("the right bytes");
    rig.flipByte(digest);
    expect(readError(() => rig.store.readBytes(digest)).state).toBe("damaged");
    expect(quarantined(rig.store)).toBe(1);
  });

  test("putting over a damaged object nobody has looked at yet replaces it", () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("the right bytes");
    rig.flipByte(digest);
    rig.store.putBytes("the right bytes");
    expect(rig.store.readBytes(digest).toString()).toBe("the right bytes");
    expect(quarantined(rig.store)).toBe(1);
  });

  test("a changed mode is repaired, since the bytes are right", () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("x");
    fs.chmodSync(rig.store.objectPath(digest), 0o666);
    expect(rig.store.checkObject(digest)).toBe("ok");
    expect(fs.statSync(rig.store.objectPath(digest)).mode & 0o777).toBe(0o444);
    expect(quarantined(rig.store)).toBe(0);
  });
});

describe("verification stamps", () => {
  const index = (rig: StoreRig) => `${rig.store.layout.index}/stamps.json`;

  test("are kept for objects that have settled, and the next process uses them", async () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("x");
    await settle();
    rig.store.checkObject(digest);
    rig.store.flush();
    expect(fs.readFileSync(index(rig), "utf8")).toContain(digest);
    expect(rig.reopen().checkObject(digest)).toBe("ok");
  });

  test("are not kept for an object written a moment ago", () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("x");
    rig.store.checkObject(digest);
    rig.store.flush();
    expect(fs.existsSync(index(rig))).toBe(false);
  });

  test("may be deleted or spoilt at any time", async () => {
    using rig = StoreRig.create();
    const digest = rig.store.putBytes("x");
    await settle();
    rig.store.checkObject(digest);
    rig.store.flush();
    fs.writeFileSync(index(rig), "{ not json");
    expect(rig.reopen().checkObject(digest)).toBe("ok");
    fs.rmSync(index(rig));
    expect(rig.reopen().checkObject(digest)).toBe("ok");
  });

  test("of two processes are merged", async () => {
    using rig = StoreRig.create();
    const [one, two] = [rig.store.putBytes("1"), rig.store.putBytes("2")];
    await settle();
    const other = rig.reopen();
    rig.store.checkObject(one);
    other.checkObject(two);
    rig.store.flush();
    other.flush();
    const text = fs.readFileSync(index(rig), "utf8");
    expect(text).toContain(one);
    expect(text).toContain(two);
  });
});
