// A lab's artifacts in a scratch folder, with short ways to fill it, to spoil it and to look at it.

import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ACTION_RECORD_TYPE, ACTION_TYPE, type ActionRecord, openStore, type Store } from "../../src/store/store.ts";
import { type Digest, digestOf } from "../../src/util/digest.ts";

/** What a folder holds: text and bytes are files, null is an empty folder. */
export interface Content {
  readonly [relative: string]: string | Uint8Array | null | { readonly link: string } | { readonly run: string };
}

export class StoreRig {
  private constructor(
    readonly folder: string,
    readonly store: Store,
    private readonly children: ChildProcess[] = [],
  ) {}

  static create(parent = tmpdir()): StoreRig {
    const folder = fs.mkdtempSync(path.join(parent, "stlm-store-"));
    return new StoreRig(folder, openStore(path.join(folder, "artifacts")));
  }

  /** The same store as another process would open it: nothing in memory. */
  reopen(): Store {
    this.store.flush();
    return openStore(this.store.root);
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  /** A staging folder filled in the order of the members. */
  staged(content: Content): string {
    const folder = this.store.stagingFolder("test");
    writeContent(folder, content);
    return folder;
  }

  put(content: Content): Digest {
    return this.store.putTree(this.staged(content)).digest;
  }

  /** Records a stage that made `outputs` from `inputs`. */
  record(
    stage: string,
    outputs: Record<string, Digest>,
    inputs: Record<string, Digest | readonly { name: string; digest: Digest }[]> = {},
  ): ActionRecord {
    const preimage = { stage, inputs };
    const record: ActionRecord = {
      type: ACTION_RECORD_TYPE,
      key: digestOf(ACTION_TYPE, preimage),
      stage,
      preimage,
      outputs,
      provenance: { startedAt: "2024-01-01T00:00:00.000Z", durationMs: 5, measures: {}, attempt: 1, version: "0.0.0" },
    };
    this.store.writeAction(record);
    return record;
  }

  /** Changes one bit of an object, then sets size, mode and mtime back to what they were. */
  flipByte(digest: Digest): void {
    const file = this.store.objectPath(digest);
    const stat = fs.statSync(file);
    const bytes = fs.readFileSync(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    fs.chmodSync(file, 0o644);
    fs.writeFileSync(file, bytes);
    fs.utimesSync(file, stat.atime, stat.mtime);
    fs.chmodSync(file, stat.mode);
  }

  /** Starts tests/store/child.ts in a process of its own, and resolves once it has printed its first line. */
  async child(...args: string[]): Promise<ChildProcess> {
    const script = fileURLToPath(new URL("child.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, this.store.root, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout!.once("data", () => resolve());
      child.once("exit", (code) => reject(new Error(`The child ended with ${code} before it said anything`)));
    });
    return child;
  }

  [Symbol.dispose](): void {
    for (const child of this.children) child.kill("SIGKILL");
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

export function writeContent(folder: string, content: Content): void {
  for (const [relative, value] of Object.entries(content)) {
    const file = path.join(folder, relative);
    fs.mkdirSync(value === null ? file : path.dirname(file), { recursive: true });
    if (value === null) continue;
    if (typeof value === "string" || value instanceof Uint8Array) fs.writeFileSync(file, value);
    else if ("link" in value) fs.symlinkSync(value.link, file);
    else fs.writeFileSync(file, value.run, { mode: 0o755 });
  }
}

/** The counterpart of writeContent(): what is on the disk, sorted by path. */
export function readContent(folder: string): Content {
  const found: Record<string, Content[string]> = {};
  const visit = (directory: string, prefix: string) => {
    const names = fs.readdirSync(directory).sort();
    if (names.length === 0 && prefix !== "") found[prefix.slice(0, -1)] = null;
    for (const name of names) {
      const file = path.join(directory, name);
      const stat = fs.lstatSync(file);
      if (stat.isDirectory()) visit(file, `${prefix}${name}/`);
      else if (stat.isSymbolicLink()) found[prefix + name] = { link: fs.readlinkSync(file) };
      else if ((stat.mode & 0o100) !== 0) found[prefix + name] = { run: fs.readFileSync(file, "utf8") };
      else found[prefix + name] = fs.readFileSync(file, "utf8");
    }
  };
  visit(folder, "");
  return found;
}

/** Long enough for a file's times to lie outside the racy window, so that a stamp is taken. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 120));
}

export function quarantined(store: Store): number {
  return fs.existsSync(store.layout.quarantine) ? fs.readdirSync(store.layout.quarantine).length : 0;
}

/** Waits until a child process has ended. */
export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
}
