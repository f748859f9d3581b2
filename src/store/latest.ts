// `latest/`: the newest artifacts under names that people know, as folders of links into the objects.

import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import path from "node:path";
import type { Digest } from "../util/digest.ts";
import { systemErrorCode } from "../util/errors.ts";
import { temporaryPath } from "./layout.ts";
import { removeFolder, swapIn } from "./materialise.ts";
import type { ObjectStore } from "./objects.ts";
import { guardStore } from "./store-errors.ts";
import type { TreeManifest } from "./tree.ts";

/** A link that leads to the tree's manifest: it tells the digest, and whether the folder is up to date. */
const MANIFEST_LINK = ".tree";

/**
 * `train[model=baseline,seed=1]/model` -> `train.model=baseline,seed=1/model`: no character that a shell or another
 * system treats in its own way. Different names stay different.
 */
export function latestName(name: string): string {
  const safe = (part: string) =>
    encodeURIComponent(part.replace(/\[([^[\]]*)\]$/, ".$1"))
      .replace(/[!'()*]|^\.+$/g, (text) => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(""))
      .replaceAll("%3D", "=")
      .replaceAll("%2C", ",");
  return name.split("/").map(safe).join("/");
}

/** The folder `latest/<name>`, where it leads to this tree; undefined where it leads to another or is not there. */
export function latestFolder(objects: ObjectStore, name: string, digest: Digest): string | undefined {
  const folder = path.join(objects.layout.latest, latestName(name));
  const link = path.join(folder, MANIFEST_LINK);
  return readLink(link) === linkTo(link, objects, digest) ? folder : undefined;
}

/** Points `latest/<name>` at a tree. Does nothing where it already does. */
export function linkLatest(objects: ObjectStore, name: string, digest: Digest, manifest: TreeManifest): void {
  if (latestFolder(objects, name, digest) !== undefined) return;
  const folder = path.join(objects.layout.latest, latestName(name));
  guardStore(folder, () => {
    const scratch = temporaryPath(objects.layout, "latest");
    try {
      mkdirSync(scratch);
      const place = (relative: string, object: Digest) => {
        mkdirSync(path.dirname(path.join(scratch, relative)), { recursive: true });
        symlinkSync(linkTo(path.join(folder, relative), objects, object), path.join(scratch, relative));
      };
      for (const entry of manifest.entries) {
        if (entry.type === "file") place(entry.path, entry.digest);
        else if (entry.type === "directory") mkdirSync(path.join(scratch, entry.path), { recursive: true });
        else {
          mkdirSync(path.dirname(path.join(scratch, entry.path)), { recursive: true });
          symlinkSync(entry.target, path.join(scratch, entry.path));
        }
      }
      if (!readdirSync(scratch).includes(MANIFEST_LINK)) place(MANIFEST_LINK, digest);
      mkdirSync(path.dirname(folder), { recursive: true });
      swapIn(objects, scratch, folder);
    } finally {
      removeFolder(objects, scratch);
    }
  });
}

function linkTo(from: string, objects: ObjectStore, object: Digest): string {
  return path.relative(path.dirname(from), objects.path(object));
}

function readLink(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch (error) {
    if (["ENOENT", "EINVAL", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw error;
  }
}
