// A file's stamp: if it has not moved, neither has the content. `ctime` is part of it because nobody can set it back.

import { statSync } from "node:fs";

/** A change in the same tick of the file system's clock would not move the stamp; Linux ticks every 1 to 10 ms. */
const FINE_TICK_MS = 20;
/** Some file systems keep whole seconds (FAT: two). */
const COARSE_TICK_MS = 2500;

export interface FileStamp {
  /** `dev:ino:size:mtime:ctime`, times in nanoseconds. */
  readonly text: string;
  /** False where the file changed so shortly before `since` that a later change might leave the same stamp. */
  readonly settled: boolean;
}

/** The stamp of a file or folder, or undefined where there is none. `sinceMs` is when its content began to be read. */
export function fileStamp(file: string, sinceMs: number): FileStamp | undefined {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (!stat) return undefined;
  const newestNs = stat.mtimeNs > stat.ctimeNs ? stat.mtimeNs : stat.ctimeNs;
  const tickMs = newestNs % 1_000_000_000n === 0n ? COARSE_TICK_MS : FINE_TICK_MS;
  return {
    text: `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`,
    settled: Number(newestNs / 1_000_000n) + tickMs < sinceMs,
  };
}

/** Stamps of all files, or undefined where one is missing or not settled: then nothing about them may be remembered. */
export function settledStamps(files: Iterable<string>, sinceMs: number): Record<string, string> | undefined {
  const stamps: Record<string, string> = {};
  for (const file of files) {
    const stamp = fileStamp(file, sinceMs);
    if (!stamp?.settled) return undefined;
    stamps[file] = stamp.text;
  }
  return stamps;
}

/** Whether every file still has its stamp. */
export function stampsHold(stamps: Readonly<Record<string, string>>): boolean {
  return Object.entries(stamps).every(([file, stamp]) => fileStamp(file, 0)?.text === stamp);
}
