// Which way of computing a matrix product is fastest on this very machine, measured once per shape and kept. A table is a folder
// with a name of its own; entries are only ever added, so that a table's name says which bits a run computes.

import { createHash, randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { canonicalJson } from "../../../util/canonical-json.ts";
import { cacheFolder } from "../../cpu/build.ts";

/** What measurements depend on. */
export interface TableIdentity {
  readonly gpu: string;
  readonly driverVersion: number;
  readonly cublasLt: string | null;
  /** Digest of the package's kernels. */
  readonly kernels: string;
}

export interface Measured {
  /** `own:` and a tile, or `cublaslt:` and the algorithm's id. */
  readonly choice: string;
  /** Of each candidate. */
  readonly milliseconds: Readonly<Record<string, number>>;
}

export class GemmTable {
  private readonly known = new Map<string, Measured>();

  private constructor(
    private readonly folder: string,
    /** Names this very table: two machines never share one. */
    readonly id: string,
  ) {}

  /** The table of an identity, begun now where there is none. `root` is the cache's folder. */
  static open(identity: TableIdentity, root: string = cacheFolder()): GemmTable {
    const folder = path.join(root, "gemm", digest(canonicalJson(identity)));
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, "table.json");
    if (!existsSync(file)) writeOnce(file, canonicalJson({ ...identity, id: randomUUID().slice(0, 8) }));
    return new GemmTable(folder, String(JSON.parse(readFileSync(file, "utf8")).id));
  }

  get(shape: string): Measured | undefined {
    const known = this.known.get(shape);
    if (known) return known;
    const file = this.file(shape);
    if (!existsSync(file)) return undefined;
    const entry = JSON.parse(readFileSync(file, "utf8")) as Measured;
    this.known.set(shape, entry);
    return entry;
  }

  /** Adds an entry, unless another process has measured the same shape first: then that one counts, and is returned. */
  add(shape: string, measured: Measured): Measured {
    writeOnce(this.file(shape), canonicalJson({ shape, ...measured }));
    return this.get(shape)!;
  }

  /** What was looked up or measured so far: `1024x512x512 nt bf16: own; ...`, sorted. */
  used(): string {
    const lines = [...this.known].map(([shape, { choice }]) => `${shape}: ${choice}`);
    return lines.sort().join("; ");
  }

  private file(shape: string): string {
    return path.join(this.folder, `${digest(shape)}.json`);
  }
}

/** Writes a file whole, and only if it is not there yet; the first of several writers wins. */
function writeOnce(file: string, text: string): void {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, text);
  try {
    linkSync(own, file);
  } catch (error) {
    if (!existsSync(file)) throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
