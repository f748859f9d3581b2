// Digests of files that decide a key without being artifacts: a command's deps, a user's own texts. Remembered under
// the files' stamps, so that a large folder is hashed once and then costs one `stat` a file at every plan.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Digest, digestFile } from "../util/digest.ts";
import { fileStamp } from "./file-stamp.ts";

interface Entry {
  readonly stamp: string;
  readonly digest: Digest;
}

const VERSION = 1;

export class FileDigests {
  private readonly file: string;
  private known: Map<string, Entry> | undefined;
  private isChanged = false;

  /** `artifacts` is where the index lies: a hint, which may be deleted at any time. */
  constructor(artifacts: string) {
    this.file = path.join(artifacts, "index", "files.json");
  }

  /** Digest of a file's bytes, by its absolute path. Throws the system error where it cannot be read. */
  readonly digest = (file: string): Digest => {
    this.known ??= this.load();
    const sinceMs = Date.now();
    const before = fileStamp(file, sinceMs);
    const entry = this.known.get(file);
    if (entry && entry.stamp === before?.text) return entry.digest;
    const { digest } = digestFile(file);
    // What was written to while it was read, or just before, is not remembered.
    if (before?.settled && fileStamp(file, sinceMs)?.text === before.text) {
      this.known.set(file, { stamp: before.text, digest });
      this.isChanged = true;
    }
    return digest;
  };

  /** Writes what is new. Where nothing can be written only speed is lost. */
  flush(): void {
    if (!this.isChanged || !this.known) return;
    const temporary = `${this.file}.${process.pid}.tmp`;
    try {
      mkdirSync(path.dirname(this.file), { recursive: true });
      const files = Object.fromEntries([...this.load(), ...this.known]);
      writeFileSync(temporary, JSON.stringify({ version: VERSION, files }));
      renameSync(temporary, this.file);
      this.isChanged = false;
    } catch {
      rmSync(temporary, { force: true });
    }
  }

  private load(): Map<string, Entry> {
    try {
      const { version, files } = JSON.parse(readFileSync(this.file, "utf8"));
      if (version === VERSION) return new Map(Object.entries(files));
    } catch {
      // Absent or half-readable: a hint that is not there.
    }
    return new Map();
  }
}
