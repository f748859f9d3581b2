// The blobs: files named by the SHA-256 of their bytes. Written once, never changed, verified before they are served;
// what fails is moved to quarantine and counts as missing from then on.

import { type BigIntStats, chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { type Digest, digestBytes, digestFile, hexOf } from "../util/digest.ts";
import { systemErrorCode } from "../util/errors.ts";
import { makeFolder, publishFile, syncFile, syncFolder, writeWhole } from "./durable.ts";
import { objectFile, type StoreLayout, temporaryPath } from "./layout.ts";
import { ownedName } from "./owner.ts";
import type { StampIndex } from "./stamps.ts";
import { guardStore, isReadOnlyError, ObjectError } from "./store-errors.ts";

export type ObjectState = "ok" | "missing" | "damaged";

export interface CheckOptions {
  /** Hash even where the stamp matches. Default false. */
  readonly full?: boolean;
}

/** A finished file on the store's file system, and what it holds. */
export interface NewObject {
  readonly digest: Digest;
  readonly file: string;
}

/** 0444 guards against accidents; it is no evidence that the bytes are right. */
const OBJECT_MODE = 0o444;
const WRITE_BITS = 0o222n;
const HASH_ATTEMPTS = 3;
const PUBLISH_ATTEMPTS = 8;
/** EIO: the disk itself can no longer read these bytes. */
const UNREADABLE = new Set(["EIO", "EISDIR", "EACCES", "EPERM"]);

export class ObjectStore {
  constructor(
    readonly layout: StoreLayout,
    readonly stamps: StampIndex,
  ) {}

  path(digest: Digest): string {
    return objectFile(this.layout, digest);
  }

  /** Whether an object is there with the right bytes. A damaged one is moved to quarantine/ before this returns. */
  check(digest: Digest, { full = false }: CheckOptions = {}): ObjectState {
    const file = this.path(digest);
    const stat = lstat(file);
    if (stat === undefined) {
      this.stamps.forget(digest);
      return "missing";
    }
    if (!full && this.stamps.matches(digest, stat)) return "ok";
    const state = this.hash(digest, file);
    this.stamps.flushSometimes();
    return state;
  }

  /** An object's bytes, hashed on the way. Throws ObjectError when it is missing or damaged. */
  read(digest: Digest): Buffer {
    const file = this.path(digest);
    let bytes: Buffer | undefined;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") throw new ObjectError(digest, "missing");
      if (!UNREADABLE.has(systemErrorCode(error) ?? "")) throw error;
    }
    if (bytes !== undefined && digestBytes(bytes) === digest) return bytes;
    // The second look decides: it also repairs permissions and puts the object aside if it is damaged.
    if (this.check(digest, { full: true }) === "ok") return readFileSync(file);
    throw new ObjectError(digest, "damaged");
  }

  /** Throws ObjectError unless the object can be served. */
  require(digest: Digest, detail = ""): void {
    const state = this.check(digest);
    if (state !== "ok") throw new ObjectError(digest, state, detail);
  }

  /** Stores bytes durably. */
  put(bytes: Uint8Array | string): Digest {
    const digest = digestBytes(bytes);
    return guardStore(this.layout.root, () => {
      if (this.check(digest) === "ok") return digest;
      const file = temporaryPath(this.layout, "blob");
      try {
        writeWhole(file, bytes);
        this.adopt([{ digest, file }]);
      } finally {
        rmSync(file, { force: true });
      }
      return digest;
    });
  }

  /**
   * Gives finished files their names in the store. They become read-only; their old names may remain. All are made
   * durable before the first gets its name, and all names before this returns, so that a record written afterwards
   * never points at bytes that a power cut can take.
   */
  adopt(objects: readonly NewObject[]): void {
    const present = new Map<Digest, NewObject>();
    const absent = new Map<Digest, NewObject>();
    for (const object of objects) {
      if (present.has(object.digest) || absent.has(object.digest)) continue;
      (this.check(object.digest) === "ok" ? present : absent).set(object.digest, object);
    }
    const folders = new Set<string>();
    for (const { digest, file } of absent.values()) {
      const folder = path.dirname(this.path(digest));
      for (const changed of makeFolder(folder)) folders.add(changed);
      folders.add(folder);
      chmodSync(file, OBJECT_MODE);
    }
    for (const { file } of absent.values()) syncFile(file);
    for (const object of absent.values()) {
      const { digest, file } = object;
      // Someone else was first; equal names mean equal bytes, unless theirs are damaged and go to quarantine.
      for (let attempt = 1; !publishFile(file, this.path(digest)); attempt++) {
        const state = this.check(digest);
        if (state === "ok") present.set(digest, object);
        if (state === "ok") break;
        if (attempt === PUBLISH_ATTEMPTS) throw new ObjectError(digest, "damaged", " It cannot be moved away either.");
      }
    }
    // Objects of another process may have their name and not yet be on the disk.
    for (const { digest } of present.values()) {
      syncFile(this.path(digest));
      folders.add(path.dirname(this.path(digest)));
    }
    for (const folder of folders) syncFolder(folder);
  }

  private hash(digest: Digest, file: string): ObjectState {
    const startedAt = this.stamps.fileTime();
    for (let attempt = 1; ; attempt++) {
      const before = lstat(file);
      if (before === undefined) return "missing";
      if (!before.isFile()) return this.quarantine(digest, before);
      let found: Digest | undefined;
      try {
        found = digestFile(file).digest;
      } catch (error) {
        if (systemErrorCode(error) === "ENOENT") return "missing";
        if (isReadOnlyError(error) && attempt < HASH_ATTEMPTS && tryChmod(file)) continue;
        if (isReadOnlyError(error)) throw error;
        if (!UNREADABLE.has(systemErrorCode(error) ?? "")) throw error;
      }
      const after = lstat(file);
      const isStill = after !== undefined && isSameVersion(before, after);
      if (!isStill && attempt < HASH_ATTEMPTS) continue;
      if (found !== digest) return this.quarantine(digest, before);
      if ((before.mode & WRITE_BITS) !== 0n) tryChmod(file);
      else if (isStill) this.stamps.note(digest, after, startedAt);
      return "ok";
    }
  }

  private quarantine(digest: Digest, seen: BigIntStats): "damaged" {
    this.stamps.forget(digest);
    const file = this.path(digest);
    try {
      mkdirSync(this.layout.quarantine, { recursive: true });
      // Another process may have put a good one in its place meanwhile.
      if (lstat(file)?.ino === seen.ino)
        renameSync(file, path.join(this.layout.quarantine, ownedName(hexOf(digest).slice(0, 40))));
    } catch (error) {
      // Where nothing can be moved it stays, and is refused again at the next look.
      if (systemErrorCode(error) !== "ENOENT" && !isReadOnlyError(error)) throw error;
    }
    return "damaged";
  }
}

export function lstat(file: string): BigIntStats | undefined {
  return lstatSync(file, { bigint: true, throwIfNoEntry: false });
}

/** Whether a file is the same inode, unchanged, at two moments. */
export function isSameVersion(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}

function tryChmod(file: string): boolean {
  try {
    chmodSync(file, OBJECT_MODE);
    return true;
  } catch {
    return false;
  }
}
