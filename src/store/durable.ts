// Writing so that a power cut loses nothing that was reported as written: data, fsync, rename, fsync of the folder.

import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { systemErrorCode } from "../util/errors.ts";
import { type StoreLayout, temporaryPath } from "./layout.ts";

/** Some network, FUSE and Windows file systems cannot fsync a folder; their renames are as durable as they get. */
const FOLDER_SYNC_UNSUPPORTED = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR", "EPERM", "EBADF"]);
const LINK_UNSUPPORTED = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

export function syncFile(file: string): void {
  const descriptor = openSync(file, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function syncFolder(folder: string): void {
  try {
    syncFile(folder);
  } catch (error) {
    if (!FOLDER_SYNC_UNSUPPORTED.has(systemErrorCode(error) ?? "")) throw error;
  }
}

/** Makes a folder and returns every folder whose entries that changed: they need a syncFolder() of their own. */
export function makeFolder(folder: string): string[] {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return [];
  const changed = [];
  for (let made = folder; made.length >= first.length; made = path.dirname(made)) changed.push(path.dirname(made));
  return changed;
}

/** Writes a new file whole. Not yet durable. */
export function writeWhole(file: string, bytes: Uint8Array | string): void {
  const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  const descriptor = openSync(file, "wx");
  try {
    for (let written = 0; written < data.length; ) written += writeSync(descriptor, data, written);
  } finally {
    closeSync(descriptor);
  }
}

/** Replaces `file` as a whole: readers see the old text or the new, also after a power cut. */
export function replaceDurably(layout: StoreLayout, file: string, text: string): void {
  const temporary = temporaryPath(layout, path.basename(file));
  try {
    writeWhole(temporary, text);
    syncFile(temporary);
    const changed = makeFolder(path.dirname(file));
    renameSync(temporary, file);
    for (const folder of new Set([path.dirname(file), ...changed])) syncFolder(folder);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Gives `from` the name `to` unless that name is taken; false if it is. `from` may stay behind as a second name.
 * A link never replaces anything, unlike a rename.
 */
export function publishFile(from: string, to: string): boolean {
  const isLinked = tryLink(from, to);
  if (isLinked !== undefined) return isLinked;
  // No hard links here. Two processes may both get past this test; they then publish the same bytes.
  if (existsSync(to)) return false;
  renameSync(from, to);
  return true;
}

/**
 * Makes `file` with this text for one process only; false for every other. Readers see it whole, except on a file
 * system without hard links, where it may be empty for a moment.
 */
export function createExclusively(layout: StoreLayout, file: string, text: string): boolean {
  const temporary = temporaryPath(layout, path.basename(file));
  try {
    writeWhole(temporary, text);
    const isLinked = tryLink(temporary, file);
    if (isLinked !== undefined) return isLinked;
    writeWhole(file, text);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** False where the name is taken, undefined where the file system has no hard links. */
function tryLink(from: string, to: string): boolean | undefined {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const code = systemErrorCode(error) ?? "";
    if (code === "EEXIST") return false;
    if (LINK_UNSUPPORTED.has(code)) return undefined;
    throw error;
  }
}
