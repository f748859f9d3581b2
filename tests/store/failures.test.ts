// What the system refuses: no space, no permission, a file in the way. Full and read-only disks are real ones where this
// user may mount them.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, type TestContext, test, vi } from "vitest";
import { tryClaim } from "../../src/store/claim.ts";
import { createExclusively } from "../../src/store/durable.ts";
import { openStore } from "../../src/store/store.ts";
import { formatUserError, UserError } from "../../src/util/errors.ts";
import { readContent, StoreRig, writeContent } from "./store-rig.ts";

/** Error codes that fsync (of the descriptors that `fsyncOf` names) and link give in the present test. */
const injected = vi.hoisted(() => ({
  fsync: undefined as string | undefined,
  fsyncOf: (_descriptor: number): boolean => true,
  link: undefined as string | undefined,
}));

vi.mock("node:fs", async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const refuse = (code: string | undefined) => {
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
  };
  const fsyncSync: typeof fs.fsyncSync = (descriptor) => {
    if (injected.fsyncOf(descriptor)) refuse(injected.fsync);
    real.fsyncSync(descriptor);
  };
  const linkSync: typeof fs.linkSync = (from, to) => {
    refuse(injected.link);
    real.linkSync(from, to);
  };
  return { ...real, default: { ...real, fsyncSync, linkSync }, fsyncSync, linkSync };
});

afterEach(() => {
  injected.fsync = undefined;
  injected.fsyncOf = () => true;
  injected.link = undefined;
});

function userError(action: () => unknown): UserError {
  try {
    action();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}

/** Runs `use` on a small file system of its own, or skips. */
function withMount(
  context: TestContext,
  options: string,
  use: (folder: string, remount: (how: string) => void) => void,
) {
  using rig = StoreRig.create();
  const folder = rig.path("mount");
  fs.mkdirSync(folder);
  const mount = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]);
  if (mount.status !== 0) context.skip("this user may not mount a tmpfs");
  try {
    use(folder, (how) => spawnSync("mount", ["-o", `remount,${how}`, folder]));
  } finally {
    spawnSync("umount", ["-l", folder]);
  }
}

describe("a full disk", () => {
  test("gives one clear message, and the staging folder still holds everything", () => {
    using rig = StoreRig.create();
    const folder = rig.staged({ a: "1", b: "2" });
    injected.fsync = "ENOSPC";
    const error = userError(() => rig.store.putTree(folder));
    expect(error).toMatchObject({ code: "DISK_FULL", exitCode: 1, where: { file: rig.store.root } });
    expect(formatUserError(error)).toMatch(
      /^The disk that holds the artifacts is full \(ENOSPC\)\. \(DISK_FULL\)\n.*\n.*Free some space/,
    );
    injected.fsync = undefined;
    expect(readContent(folder)).toEqual({ a: "1", b: "2" });
    const { digest } = rig.store.putTree(folder);
    expect(rig.store.checkTree(digest, { full: true })).toEqual({ missing: [], damaged: [] });
    expect(fs.readdirSync(rig.store.layout.tmp)).toEqual([]);
  });

  test("between the objects and the record leaves no record", () => {
    using rig = StoreRig.create();
    const digest = rig.put({ a: "1" });
    injected.fsync = "ENOSPC";
    expect(userError(() => rig.record("train", { model: digest })).code).toBe("DISK_FULL");
    injected.fsync = undefined;
    expect(rig.store.listActions()).toEqual([]);
    rig.record("train", { model: digest });
    expect(rig.store.listActions()).toHaveLength(1);
  });

  test("is met on a real one, and the store works on once there is space", (context) => {
    withMount(context, "size=1m", (mount) => {
      const store = openStore(path.join(mount, "artifacts"));
      const small = store.putBytes("fits");
      expect(userError(() => store.putBytes(new Uint8Array(2 << 20))).code).toBe("DISK_FULL");
      fs.writeFileSync(path.join(mount, "filler"), "");
      expect(() => fs.writeFileSync(path.join(mount, "filler"), new Uint8Array(2 << 20))).toThrow("ENOSPC");
      const key = `sha256:${"0".repeat(64)}` as const;
      expect(userError(() => store.putBytes("a little more")).code).toBe("DISK_FULL");
      expect(store.readAction(key)).toBeUndefined();
      fs.rmSync(path.join(mount, "filler"));
      expect(store.readBytes(store.putBytes("a little more")).toString()).toBe("a little more");
      expect(store.readBytes(small).toString()).toBe("fits");
      expect(fs.readdirSync(store.layout.tmp)).toEqual([]);
    });
  });
});

describe("a store that cannot be written to", () => {
  test("says so when something is written, and can still be read", (context) => {
    withMount(context, "size=4m", (mount, remount) => {
      const before = openStore(path.join(mount, "artifacts"));
      const folder = before.stagingFolder("test");
      writeContent(folder, { a: "1" });
      const { digest } = before.putTree(folder);
      remount("ro");
      const store = openStore(before.root);
      expect(userError(() => store.putBytes("x"))).toMatchObject({ code: "STORE_NOT_WRITABLE", exitCode: 1 });
      expect(userError(() => store.stagingFolder("x")).message).toMatch(/cannot be written to \(EROFS\)/);
      expect(store.checkTree(digest, { full: true })).toEqual({ missing: [], damaged: [] });
      expect(store.readTree(digest).entries).toHaveLength(1);
      remount("rw");
    });
  });

  test("refuses a damaged object even though it cannot be moved away", (context) => {
    withMount(context, "size=4m", (mount, remount) => {
      const store = openStore(path.join(mount, "artifacts"));
      const digest = store.putBytes("right");
      fs.chmodSync(store.objectPath(digest), 0o644);
      fs.writeFileSync(store.objectPath(digest), "wrong");
      remount("ro");
      expect(store.checkObject(digest)).toBe("damaged");
      expect(() => store.readBytes(digest)).toThrow(/damaged/);
      remount("rw");
    });
  });

  test("says so when a file stands in its place or in the place of one of its folders", () => {
    using rig = StoreRig.create();
    fs.writeFileSync(rig.path("file"), "");
    expect(userError(() => openStore(rig.path("file")))).toMatchObject({ code: "STORE_NOT_A_FOLDER", exitCode: 1 });
    expect(userError(() => openStore(rig.path("file", "artifacts"))).code).toBe("STORE_NOT_A_FOLDER");
    writeContent(rig.store.root, { objects: "a file" });
    expect(userError(() => rig.store.putBytes("x")).code).toBe("STORE_NOT_A_FOLDER");
  });
});

describe("a file system without hard links", () => {
  test("publishes by renaming", () => {
    using rig = StoreRig.create();
    injected.link = "EPERM";
    const digest = rig.put({ a: "1", "b/c": "2", same: "1" });
    expect(rig.put({ a: "1", "b/c": "2", same: "1" })).toBe(digest);
    rig.store.materialise(digest, rig.path("out"), { readOnly: true });
    expect(readContent(rig.path("out"))).toEqual({ a: "1", "b/c": "2", same: "1" });
  });

  test("gives a claim to the first alone, and never replaces it", () => {
    using rig = StoreRig.create();
    injected.link = "EPERM";
    const { layout } = rig.store;
    expect(createExclusively(layout, rig.path("claim"), "first")).toBe(true);
    expect(createExclusively(layout, rig.path("claim"), "second")).toBe(false);
    expect(fs.readFileSync(rig.path("claim"), "utf8")).toBe("first");
    expect(fs.readdirSync(layout.tmp)).toEqual([]);
    const [one, two] = [1, 2].map(() => tryClaim(layout, layout.leases, "name"));
    expect(one).toHaveProperty("claim");
    expect(two).toHaveProperty("held");
  });
});

describe("a file system that cannot fsync a folder", () => {
  test("stores all the same, while a file that cannot be synced is an error", () => {
    using rig = StoreRig.create();
    injected.fsync = "EINVAL";
    injected.fsyncOf = (descriptor) => fs.fstatSync(descriptor).isDirectory();
    expect(rig.store.readBytes(rig.store.putBytes("x")).toString()).toBe("x");
    injected.fsyncOf = () => true;
    expect(() => rig.store.putBytes("y")).toThrow("EINVAL");
  });
});
