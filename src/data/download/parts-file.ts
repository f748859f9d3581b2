// A large file that arrives in parts side by side: the bytes at their places and, beside them, how much of each part
// is there with its digest. Both survive a kill; what the disk lost meanwhile shows in a digest and comes again.

import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { z } from "zod";
import { systemErrorCode } from "../../util/errors.ts";

const journalSchema = z.strictObject({
  etag: z.string(),
  bytes: z.int().min(0),
  partBytes: z.int().min(1),
  /** Bytes that each part has, from its beginning, and their SHA-256. */
  parts: z.array(z.strictObject({ done: z.int().min(0), sha256: z.string() })),
});

type Journal = z.output<typeof journalSchema>;

export interface PartsPlan {
  /** Of the whole file. */
  readonly bytes: number;
  readonly partBytes: number;
  /** Strong: parts of one ETag belong together. */
  readonly etag: string;
}

interface Part {
  /** Position of the next byte to come, and the one behind the last. */
  next: number;
  readonly from: number;
  readonly to: number;
  hash: Hash;
}

/** So many new bytes are at stake in a kill, and none of a part that is whole. */
const JOURNAL_EVERY = 8 << 20;
const READ_BYTES = 1 << 20;

export class PartsFile {
  private unwritten = 0;

  private constructor(
    readonly path: string,
    private readonly file: number,
    private readonly plan: PartsPlan,
    /** Some bytes were there from before. */
    readonly resumed: boolean,
    private readonly parts: readonly Part[],
  ) {}

  /**
   * Goes on with what lies at `path` if it is of the same plan, and checks it. `anyVersion`: parts of another ETag
   * will do, since a digest of the whole judges them in the end.
   */
  static open(path: string, plan: PartsPlan, anyVersion: boolean): PartsFile {
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT);
    const journal = readJournal(path);
    const fits =
      journal !== undefined &&
      journal.bytes === plan.bytes &&
      journal.partBytes === plan.partBytes &&
      (anyVersion || journal.etag === plan.etag);
    if (!fits) ftruncateSync(file, 0);
    const parts = Array.from({ length: Math.ceil(plan.bytes / plan.partBytes) }, (_, index): Part => {
      const from = index * plan.partBytes;
      const to = Math.min(plan.bytes, from + plan.partBytes);
      const known = fits ? journal.parts[index] : undefined;
      const hash = known === undefined ? undefined : digestOfRange(file, from, Math.min(known.done, to - from));
      if (hash === undefined || hash.copy().digest("hex") !== known!.sha256)
        return { from, to, next: from, hash: createHash("sha256") };
      return { from, to, next: from + known!.done, hash };
    });
    return new PartsFile(
      path,
      file,
      plan,
      parts.some((part) => part.next > part.from),
      parts,
    );
  }

  static remove(path: string): void {
    rmSync(path, { force: true });
    rmSync(journalPath(path), { force: true });
  }

  get count(): number {
    return this.parts.length;
  }

  /** Bytes of all parts so far. */
  get bytes(): number {
    return this.parts.reduce((sum, part) => sum + part.next - part.from, 0);
  }

  /** Of the whole file. */
  get totalBytes(): number {
    return this.plan.bytes;
  }

  /** What a part still lacks: positions in the whole file, `to` excluded. */
  missing(part: number): { readonly from: number; readonly to: number } {
    const { next, to } = this.parts[part]!;
    return { from: next, to };
  }

  append(part: number, chunk: Uint8Array): void {
    const place = this.parts[part]!;
    if (place.next + chunk.length > place.to) throw new RangeError("The chunk reaches beyond its part");
    for (let at = 0; at < chunk.length; ) at += writeSync(this.file, chunk, at, chunk.length - at, place.next + at);
    place.hash.update(chunk);
    place.next += chunk.length;
    this.unwritten += chunk.length;
    if (this.unwritten >= JOURNAL_EVERY || place.next === place.to) this.writeJournal();
  }

  sync(): void {
    fsyncSync(this.file);
  }

  close(): void {
    this.writeJournal();
    closeSync(this.file);
  }

  private writeJournal(): void {
    const { etag, bytes, partBytes } = this.plan;
    const parts = this.parts.map(({ from, next, hash }) => ({ done: next - from, sha256: hash.copy().digest("hex") }));
    const journal: Journal = { etag, bytes, partBytes, parts };
    const file = journalPath(this.path);
    writeFileSync(`${file}.new`, JSON.stringify(journal));
    renameSync(`${file}.new`, file);
    this.unwritten = 0;
  }
}

const journalPath = (path: string) => `${path}.json`;

function readJournal(path: string): Journal | undefined {
  try {
    const parsed = journalSchema.safeParse(JSON.parse(readFileSync(journalPath(path), "utf8")));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Of `length` bytes from a position, or of as many as there are. */
function digestOfRange(file: number, from: number, length: number): Hash {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, length)));
  for (let done = 0; done < length; ) {
    const count = readSync(file, buffer, 0, Math.min(buffer.length, length - done), from + done);
    if (count === 0) break;
    hash.update(buffer.subarray(0, count));
    done += count;
  }
  return hash;
}
