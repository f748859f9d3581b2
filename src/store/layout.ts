// Where things lie in a store. Folders appear when something is first written to them.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { type Digest, hexOf } from "../util/digest.ts";
import { ownedName } from "./owner.ts";

export interface StoreLayout {
  readonly root: string;
  /** Blobs: `objects/<2 hex>/<62 hex>`, mode 0444. */
  readonly objects: string;
  /** Action records: `actions/<64 hex>.json`. */
  readonly actions: string;
  /** Records of a key that gave other outputs than the one in force. */
  readonly divergent: string;
  readonly log: string;
  readonly leases: string;
  /** Work in progress; every name in it tells which process made it. */
  readonly tmp: string;
  readonly quarantine: string;
  /** Checkpoints of stages that have not finished. */
  readonly work: string;
  /** Links for people. */
  readonly latest: string;
  /** Hints that may be deleted at any time. */
  readonly index: string;
}

export function storeLayout(root: string): StoreLayout {
  const at = (...parts: string[]) => path.join(root, ...parts);
  return {
    root,
    objects: at("objects"),
    actions: at("actions"),
    divergent: at("actions", "divergent"),
    log: at("log"),
    leases: at("leases"),
    tmp: at("tmp"),
    quarantine: at("quarantine"),
    work: at("work"),
    latest: at("latest"),
    index: at("index"),
  };
}

export function objectFile(layout: StoreLayout, digest: Digest): string {
  const hex = hexOf(digest);
  return path.join(layout.objects, hex.slice(0, 2), hex.slice(2));
}

/** A fresh path in `tmp/` (which then exists), on the store's own file system so that a rename out of it is atomic. */
export function temporaryPath(layout: StoreLayout, label: string): string {
  mkdirSync(layout.tmp, { recursive: true });
  return path.join(layout.tmp, ownedName(label));
}
