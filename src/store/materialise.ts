// From a tree in the store to a folder on the disk, and back out of the way. Cheapest first: a reflink shares blocks
// and is a file of its own; a hard link is the object itself, so only large read-only files are linked; else a copy.

import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import path from "node:path";
import { type Digest, shortDigest } from "../util/digest.ts";
import { temporaryPath } from "./layout.ts";
import { lstat, type ObjectStore } from "./objects.ts";
import { ownedName } from "./owner.ts";
import { asStoreError } from "./store-errors.ts";
import type { TreeFile, TreeManifest } from "./tree.ts";

export interface MaterialiseOptions {
  /** Nobody will write to the files: they are 0444 and large ones may be hard links. Default false. */
  readonly readOnly?: boolean;
}

/** Below this a copy costs no more than the bookkeeping of a link. */
export const LINK_FROM_BYTES = 1 << 20;

/**
 * Builds the folder beside its destination in one piece and swaps it in; what was there is removed. Throws
 * ObjectError for an object that is missing or damaged, and then the destination is as before.
 */
export function materialiseTree(
  objects: ObjectStore,
  digest: Digest,
  manifest: TreeManifest,
  destination: string,
  { readOnly = false }: MaterialiseOptions = {},
): void {
  const target = path.resolve(destination);
  let scratch: string | undefined;
  try {
    mkdirSync(path.dirname(target), { recursive: true });
    scratch = scratchFolder(objects, target);
    mkdirSync(scratch);
    for (const entry of manifest.entries) {
      const place = path.join(scratch, entry.path);
      mkdirSync(entry.type === "directory" ? place : path.dirname(place), { recursive: true });
      if (entry.type === "symlink") symlinkSync(entry.target, place);
      else if (entry.type === "file") {
        objects.require(entry.digest, ` It is ${entry.path} of tree ${shortDigest(digest)}.`);
        placeFile(objects, entry, place, readOnly);
      }
    }
    swapIn(objects, scratch, target);
  } catch (error) {
    throw asStoreError(error, target);
  } finally {
    if (scratch !== undefined) removeFolder(objects, scratch);
  }
}

/** On the destination's file system, since only there the last rename is atomic. */
function scratchFolder(objects: ObjectStore, target: string): string {
  const inStore = temporaryPath(objects.layout, "materialise");
  const isSameDevice = lstat(path.dirname(target))?.dev === lstat(path.dirname(inStore))?.dev;
  return isSameDevice ? inStore : path.join(path.dirname(target), `.${ownedName(path.basename(target))}`);
}

/** Puts `scratch` in the place of `target`, whatever that was; both are on one file system. */
export function swapIn(objects: ObjectStore, scratch: string, target: string): void {
  // A rename replaces no folder that has entries, so the old one steps aside first.
  const old = `${scratch}.old`;
  try {
    if (lstat(target) !== undefined) renameSync(target, old);
    renameSync(scratch, target);
  } finally {
    if (lstat(target) === undefined && lstat(old) !== undefined) renameSync(old, target);
    removeFolder(objects, old);
  }
}

function placeFile(objects: ObjectStore, file: TreeFile, place: string, readOnly: boolean): void {
  const source = objects.path(file.digest);
  // An executable needs a mode of its own, which a link would share with the object.
  const mayLink = readOnly && !file.executable && file.bytes >= LINK_FROM_BYTES;
  if (mayLink && (tryReflink(source, place) || tryLink(objects, file.digest, place))) return;
  copyFileSync(source, place, constants.COPYFILE_FICLONE);
  chmodSync(place, (readOnly ? 0o444 : 0o644) | (file.executable ? 0o111 : 0));
}

function tryReflink(source: string, place: string): boolean {
  try {
    copyFileSync(source, place, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    rmSync(place, { force: true });
    return false;
  }
}

function tryLink(objects: ObjectStore, digest: Digest, place: string): boolean {
  const source = objects.path(digest);
  const before = lstat(source);
  try {
    linkSync(source, place);
  } catch {
    return false; // another file system, another owner, too many links: a copy serves as well
  }
  const after = lstat(source);
  if (before && after && objects.stamps.matches(digest, before)) objects.stamps.renew(digest, before, after);
  return true;
}

/**
 * Removes a folder that may hold hard links to objects. Removing a link moves the object's ctime; here its stamp
 * follows, so that the object need not be hashed again. Nothing happens when the folder does not exist.
 */
export function removeFolder(objects: ObjectStore, folder: string): void {
  const stat = lstat(folder);
  if (stat?.isDirectory()) removeLinks(objects, folder);
  rmSync(folder, { recursive: true, force: true });
}

function removeLinks(objects: ObjectStore, folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) removeLinks(objects, file);
    if (!entry.isFile()) continue;
    const before = lstat(file);
    if (before === undefined || before.nlink < 2n) continue;
    const digest = objects.stamps.digestOf(before);
    rmSync(file, { force: true });
    const after = digest && lstat(objects.path(digest));
    if (digest && after) objects.stamps.renew(digest, before, after);
  }
}
