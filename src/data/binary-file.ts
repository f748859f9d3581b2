// A file written front to back in large pieces, with its size and digest known at the end.

import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { endianness } from "node:os";
import type { Digest } from "../util/digest.ts";

const BUFFER_BYTES = 1 << 20;

export class BinaryFile {
  private readonly file: number;
  private readonly hash = createHash("sha256");
  private readonly buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  private filled = 0;
  private length = 0;

  /** Creates the file or empties it. Throws the system error of open. */
  constructor(path: string) {
    this.file = openSync(path, "w");
  }

  /** Appends the memory of a typed array as it is. */
  write(data: Uint8Array | Uint16Array | Uint32Array | Int32Array): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (bytes.length > BUFFER_BYTES - this.filled) this.flush();
    if (bytes.length >= BUFFER_BYTES) this.put(bytes);
    else {
      this.buffer.set(bytes, this.filled);
      this.filled += bytes.length;
    }
  }

  close(): { bytes: number; sha256: Digest } {
    try {
      this.flush();
    } finally {
      closeSync(this.file);
    }
    return { bytes: this.length, sha256: `sha256:${this.hash.digest("hex")}` };
  }

  private flush(): void {
    this.put(this.buffer.subarray(0, this.filled));
    this.filled = 0;
  }

  private put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
    this.hash.update(bytes);
    this.length += bytes.length;
  }
}

/** Ids are written and read by their memory, so the machine must order bytes as the files do. */
export function requireLittleEndian(): void {
  if (endianness() !== "LE") throw new Error("Token files are little-endian, and this machine is not");
}
