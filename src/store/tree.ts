// Tree manifests: a folder as one canonical text that names every file by digest. No times, owners or full modes.
//
// One flat manifest holds the whole tree. Nested manifests (git, Bazel) pay where a large tree changes by a file at a
// time; an artifact here is written whole by one run, holds tens of files, and is planned with by reading one object.

import { isUtf8 } from "node:buffer";
import { type BigIntStats, readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import { canonicalJson, compareUtf8 } from "../util/canonical-json.ts";
import { type Digest, isDigest } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import { lstat } from "./objects.ts";

export interface TreeFile {
  readonly type: "file";
  /** Relative to the tree, parts joined by `/`. */
  readonly path: string;
  readonly executable: boolean;
  readonly bytes: number;
  readonly digest: Digest;
}

/** Only folders without entries are listed; the others follow from the paths. */
export interface TreeDirectory {
  readonly type: "directory";
  readonly path: string;
}

export interface TreeSymlink {
  readonly type: "symlink";
  readonly path: string;
  readonly target: string;
}

export type TreeEntry = TreeFile | TreeDirectory | TreeSymlink;

export interface TreeManifest {
  /** Sorted by the UTF-8 bytes of the path. */
  readonly entries: readonly TreeEntry[];
}

/** What a folder holds, before its files are hashed. */
export interface FoundEntry {
  readonly path: string;
  readonly file: string;
  readonly type: TreeEntry["type"];
  readonly stat: BigIntStats;
  /** Of a symlink. */
  readonly target?: string;
}

/** The manifest's type tag is its first line, so that its digest is digestOf(TREE_TYPE, manifest). */
export const TREE_TYPE = "stlm.tree.v1";

export function encodeTree(entries: readonly TreeEntry[]): string {
  const sorted = [...entries].sort((a, b) => compareUtf8(a.path, b.path));
  return `${TREE_TYPE}\n${canonicalJson({ entries: sorted })}`;
}

/** The manifest in these bytes, or undefined when they are no tree manifest in its one spelling. */
export function decodeTree(bytes: Uint8Array): TreeManifest | undefined {
  const tag = Buffer.from(`${TREE_TYPE}\n`);
  if (!tag.equals(bytes.subarray(0, tag.length))) return undefined;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  try {
    const manifest = JSON.parse(text.slice(tag.length)) as TreeManifest;
    const isValid = manifest.entries.every(isEntry) && encodeTree(manifest.entries) === text;
    return isValid ? manifest : undefined;
  } catch {
    return undefined;
  }
}

function isEntry(entry: TreeEntry): boolean {
  const parts = entry.path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".." || part.includes("\0"))) return false;
  if (entry.type === "directory") return true;
  if (entry.type === "symlink") return staysInside(entry.path, entry.target);
  return entry.type === "file" && isDigest(entry.digest) && Number.isSafeInteger(entry.bytes);
}

/**
 * Everything below `folder`. Throws a UserError for what a tree cannot hold: names that are not UTF-8, two names that
 * differ only in case or normalisation (they would be one file on other systems), links that lead out of the
 * tree, sockets and devices.
 */
export function scanFolder(folder: string): FoundEntry[] {
  const found: FoundEntry[] = [];
  const visit = (directory: string, prefix: string) => {
    const names = readdirSync(directory, { encoding: "buffer" });
    if (names.length === 0 && prefix !== "") {
      const stat = lstat(directory)!;
      found.push({ path: prefix.slice(0, -1), file: directory, type: "directory", stat });
    }
    const folded = new Map<string, string>();
    for (const name of names.map((raw) => decodeName(raw, directory))) {
      const alike = name.normalize("NFC").toUpperCase().toLowerCase().normalize("NFC");
      const other = folded.get(alike);
      if (other !== undefined)
        throw unsupported(directory, `"${other}" and "${name}" are the same name on some systems`);
      folded.set(alike, name);
      const entry = findEntry(path.join(directory, name), `${prefix}${name}`);
      if (entry === undefined) visit(path.join(directory, name), `${prefix}${name}/`);
      else found.push(entry);
    }
  };
  visit(folder, "");
  return found.sort((a, b) => compareUtf8(a.path, b.path));
}

/** A file or link; undefined for a folder. */
function findEntry(file: string, relative: string): FoundEntry | undefined {
  const stat = lstat(file);
  if (stat === undefined) throw unsupported(file, "it vanished while it was being stored; is the stage still writing");
  if (stat.isDirectory()) return undefined;
  if (stat.isFile()) return { path: relative, file, type: "file", stat };
  if (!stat.isSymbolicLink()) throw unsupported(file, "it is a socket, pipe or device");
  const target = decodeName(readlinkSync(file, { encoding: "buffer" }), file);
  if (!staysInside(relative, target)) throw unsupported(file, `it is a link to ${target}, outside the output`);
  return { path: relative, file, type: "symlink", stat, target };
}

function decodeName(raw: Buffer, place: string): string {
  if (!isUtf8(raw)) throw unsupported(place, `the name "${raw.toString("latin1")}" is not UTF-8`);
  return raw.toString("utf8");
}

/** Whether a link at `from` (relative to the tree) leads to a place inside the tree, by its text alone. */
function staysInside(from: string, target: string): boolean {
  if (target === "" || target.startsWith("/")) return false;
  let depth = from.split("/").length - 1;
  for (const part of target.split("/")) {
    if (part === "..") depth--;
    else if (part !== "" && part !== ".") depth++;
    if (depth < 0) return false;
  }
  return true;
}

function unsupported(file: string, reason: string): UserError {
  return new UserError(`An output cannot be stored: ${reason}.`, {
    code: "OUTPUT_UNSUPPORTED",
    where: { file },
    hint: "A stage may write files, folders and links between them, with UTF-8 names that differ in more than case.",
    exitCode: 1,
  });
}
