// The log of runs: one JSON line a run, each holding the digest of the line before, so that a record cannot be changed
// or taken out unseen. Appending is exclusive among processes and durable; a line torn by a kill is put aside.

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import path from "node:path";
import { canonicalJson, type Json } from "../util/canonical-json.ts";
import { type Digest, digestBytes, digestOf, isDigest } from "../util/digest.ts";
import { systemErrorCode, UserError } from "../util/errors.ts";
import { type Claim, releaseClaim, tryClaim } from "./claim.ts";
import { makeFolder, replaceDurably, syncFolder } from "./durable.ts";
import type { StoreLayout } from "./layout.ts";
import { ownedName } from "./owner.ts";
import { guardStore } from "./store-errors.ts";

export type JsonObject = { readonly [name: string]: Json | undefined };

export interface LogEntry {
  /** 1 for the first. */
  readonly sequence: number;
  /** Digest of the entry before; null for the first. */
  readonly previous: Digest | null;
  /** When it was appended, ISO 8601. */
  readonly at: string;
  readonly record: JsonObject;
  /** Of the other four fields. */
  readonly digest: Digest;
}

/** The first place where the log is not what was appended. */
export interface LogBreak {
  /** 1-based; one past the last where records are missing at the end. */
  readonly line: number;
  readonly reason: string;
}

interface Head {
  readonly sequence: number;
  readonly digest: Digest;
}

const LOG_TYPE = "stlm.log.v1";
const NEWLINE = 10;
const TAIL_BYTES = 64 * 1024;
const LOCK_WAIT_MS = 30_000;
/** Appending takes milliseconds: a holder on another machine that was silent for so long is gone. */
const LOCK_SILENCE_MS = 5_000;

export class RunLog {
  readonly file: string;
  /** The newest entry, written after it: a log that ends before its head lost entries. */
  private readonly headFile: string;

  constructor(private readonly store: { readonly layout: StoreLayout }) {
    this.file = path.join(store.layout.log, "runs.jsonl");
    this.headFile = path.join(store.layout.log, "head.json");
  }

  /** Adds a record durably. Blocks while another process appends. */
  append(record: JsonObject): { digest: Digest; previous: Digest | null; sequence: number } {
    return guardStore(this.file, () => {
      const lock = this.lock();
      try {
        return this.appendLocked(record);
      } finally {
        releaseClaim(lock);
      }
    });
  }

  /** The entries whose own digest holds, in order. verify() says whether the chain is whole. */
  readAll(): LogEntry[] {
    return this.lines().flatMap((line) => {
      const entry = parseEntry(line);
      return entry !== undefined && isUnaltered(entry) ? [entry] : [];
    });
  }

  /** The first break of the chain, or undefined. A torn last line is none: nobody was told that it was written. */
  verify(): LogBreak | undefined {
    let previous: Digest | null = null;
    let line = 0;
    const digests: Digest[] = [];
    for (const text of this.lines()) {
      line++;
      const entry = parseEntry(text);
      if (entry === undefined) return { line, reason: "the line is not an entry of the log" };
      if (!isUnaltered(entry)) return { line, reason: "the entry was changed: its digest does not match" };
      if (entry.previous !== previous) return { line, reason: "the entry before it was changed, moved or taken out" };
      if (entry.sequence !== line) return { line, reason: `the entry is number ${entry.sequence}` };
      previous = entry.digest;
      digests.push(entry.digest);
    }
    const head = this.readHead();
    if (head === undefined) return undefined;
    if (head.sequence > line) return { line: line + 1, reason: `entries up to number ${head.sequence} are missing` };
    if (digests[head.sequence - 1] !== head.digest)
      return { line: head.sequence, reason: "the log was replaced: this entry is not the one that was appended" };
    return undefined;
  }

  private appendLocked(record: JsonObject): { digest: Digest; previous: Digest | null; sequence: number } {
    const newFolders = makeFolder(this.store.layout.log);
    const file = openSync(this.file, "a+");
    try {
      const size = this.dropTornLine(file);
      const last = lastLine(file, size);
      const { sequence, previous } = follow(last, this.readHead());
      const body = { sequence, previous, at: new Date().toISOString(), record };
      const digest = digestOf(LOG_TYPE, body);
      const bytes = Buffer.from(`${canonicalJson({ ...body, digest })}\n`);
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
      fsyncSync(file);
      if (last === undefined) for (const folder of new Set([this.store.layout.log, ...newFolders])) syncFolder(folder);
      replaceDurably(this.store.layout, this.headFile, `${canonicalJson({ sequence, digest })}\n`);
      return { digest, previous, sequence };
    } finally {
      closeSync(file);
    }
  }

  /** Keeps what a killed process began to write in a file of its own, cuts it off, and returns the log's size. */
  private dropTornLine(file: number): number {
    const { size } = fstatSync(file);
    const torn = readTail(file, size, (tail) => tail.lastIndexOf(NEWLINE) + 1);
    if (torn.length === 0) return size;
    const aside = path.join(this.store.layout.log, `${ownedName("torn")}.txt`);
    replaceDurably(this.store.layout, aside, torn.toString("utf8"));
    ftruncateSync(file, size - torn.length);
    return size - torn.length;
  }

  private lock(): Claim {
    const { layout } = this.store;
    const startedAt = performance.now();
    let seen: { readonly pulse: string; readonly at: number } | undefined;
    let silentPulse: string | undefined;
    for (let sleepMs = 1; ; sleepMs = Math.min(sleepMs * 2, 20)) {
      const attempt = tryClaim(layout, layout.leases, "run-log", silentPulse);
      if (attempt !== undefined && "claim" in attempt) return attempt.claim;
      const now = performance.now();
      if (attempt !== undefined) {
        if (seen?.pulse !== attempt.held.pulse) seen = { pulse: attempt.held.pulse, at: now };
        silentPulse = now - seen.at > LOCK_SILENCE_MS ? seen.pulse : undefined;
      }
      if (now - startedAt > LOCK_WAIT_MS) {
        throw new UserError("The run log is held by another process and does not come free.", {
          code: "LOG_BUSY",
          where: { file: this.file },
          hint: "See whether another run hangs or the disk does not answer; then run the same command again.",
          exitCode: 1,
        });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, sleepMs);
    }
  }

  private lines(): string[] {
    const text = readText(this.file);
    return text === undefined ? [] : text.split("\n").slice(0, -1);
  }

  private readHead(): Head | undefined {
    const text = readText(this.headFile);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return { sequence: 1, digest: digestBytes(text) };
    }
  }
}

/** The bytes from `start(tail)` on, where the tail grows until that is not its very beginning, or it is the file. */
function readTail(file: number, size: number, start: (tail: Buffer) => number): Buffer {
  for (let length = TAIL_BYTES; ; length *= 4) {
    const tail = Buffer.alloc(Math.min(length, size));
    for (let count = 0, read = -1; count < tail.length && read !== 0; count += read)
      read = readSync(file, tail, count, tail.length - count, size - tail.length + count);
    const from = start(tail);
    if (from > 0 || tail.length === size) return tail.subarray(from);
  }
}

/** The last line of a file that ends with a newline, or undefined when it is empty. */
function lastLine(file: number, size: number): string | undefined {
  if (size === 0) return undefined;
  return readTail(file, size, (tail) => tail.lastIndexOf(NEWLINE, tail.length - 2) + 1)
    .subarray(0, -1)
    .toString("utf8");
}

/**
 * What the next entry says of its place. A spoilt last line is chained all the same, and a log that lost its end goes
 * on from its head: verify() then reports the gap for ever.
 */
function follow(last: string | undefined, head: Head | undefined): { sequence: number; previous: Digest | null } {
  const entry = last === undefined ? undefined : parseEntry(last);
  if (head !== undefined && head.sequence >= (entry?.sequence ?? 0) && head.digest !== entry?.digest)
    return { sequence: head.sequence + 1, previous: head.digest };
  if (entry !== undefined) return { sequence: entry.sequence + 1, previous: entry.digest };
  return { sequence: 1, previous: last === undefined ? null : digestBytes(last) };
}

function parseEntry(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as LogEntry;
    return Number.isSafeInteger(entry.sequence) && isDigest(entry.digest) ? entry : undefined;
  } catch {
    return undefined;
  }
}

function isUnaltered({ digest, ...body }: LogEntry): boolean {
  return digestOf(LOG_TYPE, body) === digest;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
