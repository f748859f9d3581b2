// The content-addressed store of a lab: objects by digest, action records by stage key. The object is the truth;
// a record counts only if all that it names exists and verifies, and every index is a hint.

import { mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { type Digest, hexOf } from "../util/digest.ts";
import { systemErrorCode, UserError } from "../util/errors.ts";
import { type ActionRecord, type ActionState, ActionStore, type WrittenAction } from "./actions.ts";
import { latestFolder, linkLatest } from "./latest.ts";
import { type StoreLayout, storeLayout, temporaryPath } from "./layout.ts";
import { type MaterialiseOptions, materialiseTree, removeFolder } from "./materialise.ts";
import { type CheckOptions, type ObjectState, ObjectStore } from "./objects.ts";
import { nameOwnerState } from "./owner.ts";
import { publishTree, type StoredTree } from "./publish.ts";
import { StampIndex } from "./stamps.ts";
import { asStoreError, guardStore, ObjectError } from "./store-errors.ts";
import { decodeTree, type TreeManifest } from "./tree.ts";

export type { ActionRecord, ActionState, Provenance, WrittenAction } from "./actions.ts";
export { ACTION_RECORD_TYPE, ACTION_TYPE } from "./actions.ts";
export type { MaterialiseOptions } from "./materialise.ts";
export type { CheckOptions, ObjectState } from "./objects.ts";
export type { StoredTree } from "./publish.ts";
export { ObjectError } from "./store-errors.ts";
export type { TreeEntry, TreeManifest } from "./tree.ts";

/** What a tree lacks. Both lists empty: it can be served. */
export interface TreeCheck {
  readonly missing: readonly Digest[];
  /** Now in quarantine. `path` is the first in the tree; empty for the manifest itself. */
  readonly damaged: readonly { readonly digest: Digest; readonly path: string }[];
}

const MIN_PREFIX = 4;

/**
 * Opens the store in this folder, which need not exist: folders appear when something is written. Throws a
 * UserError where a file stands in the folder's place or it cannot be entered.
 */
export function openStore(artifactsDir: string): Store {
  const root = path.resolve(artifactsDir);
  guardStore(root, () => {
    const stat = statSync(root, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isDirectory())
      throw asStoreError(Object.assign(new Error(`${root} is not a folder`), { code: "ENOTDIR" }), root);
  });
  return new Store(storeLayout(root));
}

export class Store {
  readonly root: string;
  private readonly objects: ObjectStore;
  readonly actions: ActionStore;
  private readonly stamps: StampIndex;
  private readonly trees = new Map<Digest, TreeManifest>();

  constructor(readonly layout: StoreLayout) {
    this.root = layout.root;
    this.stamps = new StampIndex(layout);
    this.objects = new ObjectStore(layout, this.stamps);
    this.actions = new ActionStore(layout);
  }

  /** Stores a blob durably. */
  putBytes(bytes: Uint8Array | string): Digest {
    return this.objects.put(bytes);
  }

  /** Moves a finished folder into the store, durably; see publishTree(). */
  putTree(folder: string): StoredTree {
    return publishTree(this.objects, folder);
  }

  /** A blob's bytes, verified. Throws ObjectError when it is missing or damaged. */
  readBytes(digest: Digest): Buffer {
    return this.objects.read(digest);
  }

  /** A tree's manifest, verified. Throws ObjectError when it is missing, damaged, or no tree. */
  readTree(digest: Digest): TreeManifest {
    const known = this.trees.get(digest);
    if (known !== undefined) return known;
    const manifest = decodeTree(this.objects.read(digest));
    if (manifest === undefined) throw new ObjectError(digest, "damaged", " It is not a tree.");
    this.trees.set(digest, manifest);
    return manifest;
  }

  objectPath(digest: Digest): string {
    return this.objects.path(digest);
  }

  /** Whether an object is there with the right bytes: by its stamp, or hashed. A damaged one goes to quarantine. */
  checkObject(digest: Digest, options?: CheckOptions): ObjectState {
    return this.objects.check(digest, options);
  }

  /** checkObject() of a tree's manifest and of all its files. */
  checkTree(digest: Digest, options?: CheckOptions): TreeCheck {
    const state = this.objects.check(digest, options);
    if (state === "missing") return { missing: [digest], damaged: [] };
    if (state === "damaged") return { missing: [], damaged: [{ digest, path: "" }] };
    const missing = new Set<Digest>();
    const damaged = new Map<Digest, string>();
    let manifest: TreeManifest;
    try {
      manifest = this.readTree(digest);
    } catch (error) {
      // A blob under the name of a tree: a record that names it cannot be served either.
      if (error instanceof ObjectError) return { missing: [], damaged: [{ digest, path: "" }] };
      throw error;
    }
    for (const entry of manifest.entries) {
      if (entry.type !== "file" || damaged.has(entry.digest) || missing.has(entry.digest)) continue;
      const found = this.objects.check(entry.digest, options);
      if (found === "missing") missing.add(entry.digest);
      if (found === "damaged") damaged.set(entry.digest, entry.path);
    }
    return { missing: [...missing], damaged: [...damaged].map(([object, place]) => ({ digest: object, path: place })) };
  }

  /** Whether all outputs of a record can be served. */
  isComplete(record: ActionRecord): boolean {
    return Object.values(record.outputs).every((digest) => {
      const { missing, damaged } = this.checkTree(digest);
      return missing.length === 0 && damaged.length === 0;
    });
  }

  /** Writes a tree to a folder, replacing what was there in one step; see materialiseTree(). */
  materialise(digest: Digest, destination: string, options?: MaterialiseOptions): void {
    materialiseTree(this.objects, digest, this.readTree(digest), destination, options);
  }

  /** Removes a folder that materialise() made (or any other), so that linked objects need not be hashed again. */
  removeFolder(folder: string): void {
    guardStore(folder, () => removeFolder(this.objects, folder));
  }

  /** The record of a key; undefined also where its file is damaged, which inspectAction() tells apart. */
  readAction(key: Digest): ActionRecord | undefined {
    const found = this.actions.inspect(key);
    return found.state === "ok" ? found.record : undefined;
  }

  /** The record of a key, or why there is none. */
  inspectAction(key: Digest): ActionState {
    return this.actions.inspect(key);
  }

  /**
   * Writes a record durably, after everything it names. When the same key gave other outputs before, both records are
   * kept and the first stays in force while its outputs are whole, unless `replace` says that the new one counts (a
   * download made anew).
   */
  writeAction(record: ActionRecord, { replace = false }: { readonly replace?: boolean } = {}): WrittenAction {
    return this.actions.write(record, (existing) => !replace && this.isComplete(existing));
  }

  /**
   * Where a record's captured log is damaged or gone, writes into the record that it is lost; returns the record in
   * force. No result rests on a log, and running the stage again would only give another one.
   */
  noteLostLog(record: ActionRecord): ActionRecord {
    const { log, ...provenance } = record.provenance;
    if (log === undefined || this.checkObject(log) === "ok") return record;
    return this.writeAction({ ...record, provenance: { ...provenance, lostLog: log } }).inForce;
  }

  /** All readable records, sorted by key. */
  listActions(): ActionRecord[] {
    return this.listActionKeys().flatMap((key) => this.readAction(key) ?? []);
  }

  /** Keys that have a record, readable or not. */
  listActionKeys(): Digest[] {
    return this.actions.keys();
  }

  /** Records of runs that gave other outputs than the record in force. */
  listDivergent(): ActionRecord[] {
    return this.actions.divergent();
  }

  /** All objects by name, sorted. */
  listObjects(): Digest[] {
    return readNames(this.layout.objects)
      .filter((fan) => /^[0-9a-f]{2}$/.test(fan))
      .flatMap((fan) => this.objectsUnder(fan));
  }

  /** Objects and stage keys that begin with these hexadecimal digits (4 at least; `sha256:` may stand in front). */
  resolve(prefix: string): Digest[] {
    const hex = prefix.toLowerCase().replace(/^sha256:/, "");
    if (!/^[0-9a-f]*$/.test(hex) || hex.length < MIN_PREFIX || hex.length > 64) {
      throw new UserError(`"${prefix}" is not the beginning of a digest.`, {
        code: "BAD_DIGEST",
        hint: `Give ${MIN_PREFIX} to 64 hexadecimal digits, as reports print them.`,
      });
    }
    const candidates = [...this.objectsUnder(hex.slice(0, 2)), ...this.actions.keys()];
    return [...new Set(candidates)].filter((digest) => hexOf(digest).startsWith(hex)).sort();
  }

  /** `work/<key>/`, made if need be: it survives a kill, so that a stage can resume. */
  workFolder(key: Digest): string {
    const folder = path.join(this.layout.work, hexOf(key));
    guardStore(folder, () => mkdirSync(folder, { recursive: true }));
    return folder;
  }

  removeWork(key: Digest): void {
    this.removeFolder(path.join(this.layout.work, hexOf(key)));
  }

  /** A new empty folder in `tmp/` for outputs in the making; its name says which process made it. */
  stagingFolder(label: string): string {
    return guardStore(this.layout.tmp, () => {
      const folder = temporaryPath(this.layout, label);
      mkdirSync(folder);
      return folder;
    });
  }

  /** Removes what processes that no longer live left in `tmp/`; returns the names. What may be alive stays. */
  sweepStaging(): string[] {
    const dead = readNames(this.layout.tmp).filter((name) => nameOwnerState(name.replace(/\.old$/, "")) === "dead");
    for (const name of dead) this.removeFolder(path.join(this.layout.tmp, name));
    return dead;
  }

  /** Makes `latest/<name>` a folder of links to a tree's files. `name` is a stage id, perhaps with `/<output>`. */
  setLatest(name: string, digest: Digest): void {
    linkLatest(this.objects, name, digest, this.readTree(digest));
  }

  /** The folder of `latest/` where the files of this output lie, as long as a later run has not taken its place. */
  latestFolder(stage: string, output: string, digest: Digest): string | undefined {
    return latestFolder(this.objects, stage, digest) ?? latestFolder(this.objects, `${stage}/${output}`, digest);
  }

  /** Writes the verification stamps now; otherwise they are written from time to time and at exit. */
  flush(): void {
    this.stamps.flush();
  }

  private objectsUnder(fan: string): Digest[] {
    return readNames(path.join(this.layout.objects, fan))
      .filter((rest) => /^[0-9a-f]{62}$/.test(rest))
      .map((rest): Digest => `sha256:${fan}${rest}`);
  }
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw asStoreError(error, folder);
  }
}
