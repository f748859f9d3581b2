// From a finished staging folder to a tree in the store.

import { copyFileSync, rmSync } from "node:fs";
import { type Digest, digestBytes, digestFile } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import { writeWhole } from "./durable.ts";
import { temporaryPath } from "./layout.ts";
import { isSameVersion, lstat, type NewObject, type ObjectStore } from "./objects.ts";
import { asStoreError } from "./store-errors.ts";
import { encodeTree, type FoundEntry, scanFolder, type TreeEntry } from "./tree.ts";

export interface StoredTree {
  readonly digest: Digest;
  /** Sum over the files. */
  readonly bytes: number;
  readonly files: number;
}

const HASH_ATTEMPTS = 3;

/**
 * Moves a folder into the store. It is removed only once all of it is durable: when the disk is full half-way, the
 * folder still holds everything. On another file system than the store's its files are copied.
 */
export function publishTree(objects: ObjectStore, folder: string): StoredTree {
  const temporaries: string[] = [];
  const temporary = (label: string) => {
    const file = temporaryPath(objects.layout, label);
    temporaries.push(file);
    return file;
  };
  try {
    const manifest = temporary("tree");
    const device = lstat(objects.layout.tmp)?.dev;
    const found = scanFolder(folder);
    const blobs: NewObject[] = [];
    const entries = found.map((entry): TreeEntry => {
      if (entry.type === "directory") return { type: "directory", path: entry.path };
      if (entry.type === "symlink") return { type: "symlink", path: entry.path, target: entry.target! };
      const source = ownFile(entry, device, () => temporary("copy"));
      const { digest, bytes } = hashFinished(source);
      blobs.push({ digest, file: source });
      return { type: "file", path: entry.path, executable: (entry.stat.mode & 0o100n) !== 0n, bytes, digest };
    });
    const text = encodeTree(entries);
    const digest = digestBytes(text);
    writeWhole(manifest, text);
    objects.adopt([...blobs, { digest, file: manifest }]);
    rmSync(folder, { recursive: true, force: true });
    const files = entries.filter((entry) => entry.type === "file");
    return { digest, bytes: files.reduce((sum, file) => sum + file.bytes, 0), files: files.length };
  } catch (error) {
    throw asStoreError(error, objects.layout.root);
  } finally {
    for (const file of temporaries) rmSync(file, { force: true });
  }
}

/** A file with a second name (a hard link to an input, say) could be written through it, so it is copied first. */
function ownFile(entry: FoundEntry, device: bigint | undefined, temporary: () => string): string {
  if (entry.stat.nlink === 1n && entry.stat.dev === device) return entry.file;
  const copy = temporary();
  copyFileSync(entry.file, copy);
  return copy;
}

/** Digest of a file that nobody writes to any more; a child process that still does is a mistake of the stage. */
function hashFinished(file: string): { digest: Digest; bytes: number } {
  for (let attempt = 1; attempt <= HASH_ATTEMPTS; attempt++) {
    const before = lstat(file);
    const result = digestFile(file);
    const after = lstat(file);
    if (before !== undefined && after !== undefined && isSameVersion(before, after)) return result;
  }
  throw new UserError("An output changed while it was being stored.", {
    code: "OUTPUT_STILL_WRITTEN",
    where: { file },
    hint: "A process that the stage started still writes to it: let the stage wait for it to end.",
    exitCode: 1,
  });
}
