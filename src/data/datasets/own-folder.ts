// Which files of a user's own folder are data, and in which format; those of a saved Hugging Face data set included.

import { type Dirent, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { compareUtf8 } from "../../util/canonical-json.ts";
import { type FileFormat, fileFormats } from "./dataset.ts";

export interface Listing {
  /** Files below the folder, with `/`, in the order of their UTF-8 bytes; hidden ones left out. */
  readonly names: readonly string[];
  /** Links to folders, which are not followed: two of them may go in a circle. */
  readonly linkedFolders: readonly string[];
  /** Arrow files that Hugging Face `datasets` keeps of a map() or filter(): the same documents again, changed. */
  readonly caches: readonly string[];
}

/** What Hugging Face `datasets` writes beside its Arrow files about them. */
const ABOUT_ARROW = new Set(["state.json", "dataset_info.json", "dataset_dict.json"]);

export function listFolder(folder: string): Listing {
  const found = walk(folder, "");
  const baseOf = (name: string) => path.posix.basename(name);
  const hasArrow = found.names.some((name) => name.endsWith(".arrow"));
  const caches = found.names.filter((name) => /^(cache-|tmp)[^/]*\.arrow$/.test(baseOf(name)));
  const names = found.names.filter((name) => !caches.includes(name) && !(hasArrow && ABOUT_ARROW.has(baseOf(name))));
  return { names, linkedFolders: found.linkedFolders, caches };
}

/** By the name's ending; undefined for what cannot be read. */
export function formatOf(name: string): FileFormat | undefined {
  const lower = name.toLowerCase();
  if (/\.(md|text)$/.test(lower)) return "txt";
  return fileFormats.find((format) => lower.endsWith(`.${format}`));
}

function walk(folder: string, below: string): Omit<Listing, "caches"> {
  const entries: Dirent[] = readdirSync(path.join(folder, below), { withFileTypes: true });
  const names: string[] = [];
  const linkedFolders: string[] = [];
  for (const entry of entries.filter((entry) => !entry.name.startsWith("."))) {
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      const deeper = walk(folder, name);
      names.push(...deeper.names);
      linkedFolders.push(...deeper.linkedFolders);
      continue;
    }
    const target = entry.isSymbolicLink() ? statSync(path.join(folder, name), { throwIfNoEntry: false }) : entry;
    if (target?.isFile()) names.push(name);
    else if (target?.isDirectory()) linkedFolders.push(name);
  }
  return { names: names.sort(compareUtf8), linkedFolders: linkedFolders.sort(compareUtf8) };
}
