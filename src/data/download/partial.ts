// A partial download on disk: the bytes so far and, beside them, which version of which file they belong to. Both
// survive a kill, and the next run goes on from there.

import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { systemErrorCode } from "../../util/errors.ts";

export interface PartialState {
  readonly url: string;
  /** A strong ETag or a Last-Modified date: what If-Range may name (RFC 9110, section 13.1.5). */
  readonly validator: string | undefined;
}

const READ_BYTES = 1 << 20;

export class PartialFile {
  private constructor(
    readonly path: string,
    private readonly file: number,
    private hash: Hash,
    private length: number,
  ) {}

  /** Opens or creates the file and digests what it holds. */
  static open(path: string): PartialFile {
    const file = openSync(path, "a+");
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let length = 0;
    for (let count = readSync(file, buffer, 0, READ_BYTES, 0); count > 0; ) {
      hash.update(buffer.subarray(0, count));
      length += count;
      count = readSync(file, buffer, 0, READ_BYTES, length);
    }
    return new PartialFile(path, file, hash, length);
  }

  get bytes(): number {
    return this.length;
  }

  /** Of which version these bytes are; undefined when that is not known. */
  readState(): PartialState | undefined {
    try {
      const state: unknown = JSON.parse(readFileSync(this.statePath, "utf8"));
      if (typeof state !== "object" || state === null || !("url" in state) || typeof state.url !== "string")
        return undefined;
      const validator = "validator" in state && typeof state.validator === "string" ? state.validator : undefined;
      return { url: state.url, validator };
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  writeState(state: PartialState): void {
    writeFileSync(this.statePath, JSON.stringify(state));
  }

  append(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) at += writeSync(this.file, chunk, at);
    this.hash.update(chunk);
    this.length += chunk.length;
  }

  /** Forgets all bytes. */
  restart(): void {
    ftruncateSync(this.file, 0);
    rmSync(this.statePath, { force: true });
    this.hash = createHash("sha256");
    this.length = 0;
  }

  /** SHA-256 of all bytes so far, 64 hexadecimal digits. */
  digest(): string {
    return this.hash.copy().digest("hex");
  }

  sync(): void {
    fsyncSync(this.file);
  }

  close(): void {
    closeSync(this.file);
  }

  /** Takes it off the disk, if it is still there. */
  remove(): void {
    rmSync(this.path, { force: true });
    rmSync(this.statePath, { force: true });
  }

  private get statePath(): string {
    return `${this.path}.json`;
  }
}
