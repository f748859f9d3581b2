// Verification stamps: an object whose (device, inode, size, mtime, ctime) are those it had when it was last hashed
// need not be hashed again. ctime is in it because it cannot be set back, unlike mtime. The index is a hint: delete
// it and every object is hashed once more.

import { type BigIntStats, closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import type { Digest } from "../util/digest.ts";
import { writeWhole } from "./durable.ts";
import { type StoreLayout, temporaryPath } from "./layout.ts";

const TYPE = "stlm.stamps.v1";
/** Kernels before 6.13 step file times by up to 10 ms. */
const FINE_WINDOW_NS = 20_000_000n;
/** File systems that keep whole seconds only, and FAT's two. */
const COARSE_WINDOW_NS = 3_000_000_000n;
const SECOND_NS = 1_000_000_000n;
const CLOCK_REUSE_MS = 50;
const FLUSH_EVERY_MS = 250;

export class StampIndex {
  private stamps: Map<Digest, string> | undefined;
  private readonly fresh = new Map<Digest, string | undefined>();
  private clock: { readonly ns: bigint; readonly readAt: number } | undefined;
  private flushedAt = 0;

  constructor(private readonly layout: StoreLayout) {}

  matches(digest: Digest, stat: BigIntStats): boolean {
    return this.all().get(digest) === stampOf(stat);
  }

  /** Which object has this very inode, unchanged since its stamp. */
  digestOf(stat: BigIntStats): Digest | undefined {
    const wanted = stampOf(stat);
    for (const [digest, stamp] of this.all()) if (stamp === wanted) return digest;
    return undefined;
  }

  /**
   * Remembers that bytes read after `hashedAfter` (a fileTime()) had the right digest. A file that changed so shortly
   * before that a later write could carry the same times is not remembered (git's rule for racily clean entries).
   */
  note(digest: Digest, stat: BigIntStats, hashedAfter: bigint | undefined): void {
    if (hashedAfter === undefined) return;
    const newest = stat.ctimeNs > stat.mtimeNs ? stat.ctimeNs : stat.mtimeNs;
    const window = newest % SECOND_NS === 0n ? COARSE_WINDOW_NS : FINE_WINDOW_NS;
    if (newest + window < hashedAfter) this.set(digest, stampOf(stat));
    else if (this.all().has(digest)) this.set(digest, undefined);
  }

  /**
   * Follows a change of ctime that we made ourselves by adding or removing a hard link: `before` matched. Any write by
   * others in between moves mtime, which is long past, so the racy window needs no second look here.
   */
  renew(digest: Digest, before: BigIntStats, after: BigIntStats): void {
    const isSame = before.ino === after.ino && before.dev === after.dev && before.size === after.size;
    if (isSame && before.mtimeNs === after.mtimeNs) this.set(digest, stampOf(after));
  }

  forget(digest: Digest): void {
    if (this.all().has(digest)) this.set(digest, undefined);
  }

  /**
   * The present in the file system's own clock (a server's may differ from ours), or a moment shortly before it;
   * undefined where nothing can be written, and then nothing is remembered either.
   */
  fileTime(): bigint | undefined {
    const now = performance.now();
    if (this.clock !== undefined && now - this.clock.readAt < CLOCK_REUSE_MS) return this.clock.ns;
    try {
      const probe = temporaryPath(this.layout, "clock");
      const descriptor = openSync(probe, "wx");
      try {
        this.clock = { ns: fstatSync(descriptor, { bigint: true }).mtimeNs, readAt: now };
      } finally {
        closeSync(descriptor);
        rmSync(probe, { force: true });
      }
    } catch {
      return undefined;
    }
    return this.clock.ns;
  }

  /** Writes the index if the last time is a while ago. */
  flushSometimes(): void {
    if (this.fresh.size > 0 && performance.now() - this.flushedAt > FLUSH_EVERY_MS) this.flush();
  }

  /** Writes what is new, over what other processes wrote meanwhile. A hint needs no fsync, and its loss no error. */
  flush(): void {
    if (this.fresh.size === 0) return;
    this.flushedAt = performance.now();
    const merged = this.load();
    for (const [digest, stamp] of this.fresh) {
      if (stamp === undefined) merged.delete(digest);
      else merged.set(digest, stamp);
    }
    try {
      const temporary = temporaryPath(this.layout, "stamps");
      writeWhole(temporary, `${JSON.stringify({ type: TYPE, stamps: Object.fromEntries(merged) })}\n`);
      mkdirSync(this.layout.index, { recursive: true });
      renameSync(temporary, this.file());
    } catch {
      return;
    }
    this.stamps = merged;
    this.fresh.clear();
    unsaved.delete(this);
  }

  private set(digest: Digest, stamp: string | undefined): void {
    const all = this.all();
    if (stamp === undefined) all.delete(digest);
    else all.set(digest, stamp);
    this.fresh.set(digest, stamp);
    unsaved.add(this);
  }

  private all(): Map<Digest, string> {
    this.stamps ??= this.load();
    return this.stamps;
  }

  private load(): Map<Digest, string> {
    try {
      const { type, stamps } = JSON.parse(readFileSync(this.file(), "utf8"));
      if (type === TYPE) return new Map(Object.entries(stamps) as [Digest, string][]);
    } catch {
      // Absent or unreadable: it is only a hint.
    }
    return new Map();
  }

  private file(): string {
    return path.join(this.layout.index, "stamps.json");
  }
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Indexes with something to write when the process ends. One listener serves all stores of a process. */
const unsaved = new Set<StampIndex>();
process.once("exit", () => {
  for (const index of unsaved) index.flush();
});
