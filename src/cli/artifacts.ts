// What a user means by a path, a hash or a stage: a folder or a file to read from, taken out of the store if it is there.

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { loadTokenizer, type Tokenizer, tokenizers } from "../data/tokenizers/index.ts";
import { SUMMARY_JSON } from "../data/tokenizers/tokenizer.ts";
import { type ActionRecord, ObjectError, type Store } from "../store/store.ts";
import { type Digest, hexOf } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import { openLabStore } from "./lab.ts";
import { newestRecord } from "./records.ts";

const MOST_FILES = 6;

/** Artifacts that a command opened. Dispose of it at the end: folders out of the store are removed. */
export class Artifacts {
  readonly store: Store;
  private readonly folders: string[] = [];

  constructor(directory: string) {
    this.store = openLabStore(directory);
  }

  /**
   * The place of what `name` names: a path, else an artifact or file of the store by the beginning of its digest, or
   * by the stage that made it. `wanted` says by one of its files which output of a stage is meant. `title` is fit for a
   * file's name. Throws a UserError when nothing is called so.
   */
  find(name: string, wanted: readonly string[]): { place: string; isFolder: boolean; title: string } {
    const stat = statSync(name, { throwIfNoEntry: false });
    if (stat !== undefined) {
      const title = path.basename(path.resolve(name)).replace(/\.bin$/, "");
      return { place: name, isFolder: stat.isDirectory(), title };
    }
    const record = existsSync(this.store.root) ? newestRecord(this.store, name) : undefined;
    const digests = record === undefined ? this.resolve(name) : Object.values(record.outputs);
    const tree = digests.find((digest) => this.filesOf(digest).some((file) => wanted.includes(file)));
    const title = record === undefined ? "" : record.stage.replaceAll(/[^\w.-]+/g, "-").replace(/-$/, "");
    if (tree !== undefined) {
      return { place: this.checkOut(tree), isFolder: true, title: title || hexOf(tree).slice(0, 12) };
    }
    const blob = record === undefined ? digests.find((digest) => this.isBlob(digest)) : undefined;
    if (blob !== undefined)
      return { place: this.store.objectPath(blob), isFolder: false, title: hexOf(blob).slice(0, 12) };
    throw digests.length > 0 ? this.otherKind(name, wanted, record, digests) : unknownName(name);
  }

  /** The tokenizer of that digest: the one that `given` names, a built-in one, or one that a run of the lab made. */
  tokenizer(digest: Digest, given: string | undefined): Tokenizer {
    if (given !== undefined) return loadTokenizer(this.find(given, [SUMMARY_JSON]).place);
    for (const record of this.store.listActions()) {
      for (const output of Object.values(record.outputs)) {
        if (!this.filesOf(output).includes(SUMMARY_JSON)) continue;
        const folder = this.checkOut(output);
        const tokenizer = loadTokenizer(folder);
        if (tokenizer.digest === digest) return tokenizer;
      }
    }
    for (const { fixed } of [tokenizers.bytes, tokenizers.gpt2]) {
      const tokenizer = fixed();
      if (tokenizer.digest === digest) return tokenizer;
    }
    throw new UserError(`The tokenizer ${digest} is not in this lab, and the ids mean nothing without it.`, {
      code: "NO_TOKENIZER",
      hint: "Name it by --tokenizer: the folder or hash that the tokenize stage made, or the lab by -C.",
    });
  }

  [Symbol.dispose](): void {
    for (const folder of this.folders) this.store.removeFolder(folder);
  }

  /** Objects that begin with these digits, and the outputs of keys that do. */
  private resolve(name: string): Digest[] {
    if (!/^(sha256:)?[0-9a-fA-F]{4,64}$/.test(name) || !existsSync(this.store.root)) return [];
    return this.store.resolve(name).flatMap((digest): Digest[] => {
      const record = this.store.readAction(digest);
      return record === undefined ? [digest] : Object.values(record.outputs);
    });
  }

  /** Paths in a tree; none for anything else. */
  private filesOf(digest: Digest): string[] {
    try {
      return this.store.readTree(digest).entries.map((entry) => entry.path);
    } catch (error) {
      if (error instanceof ObjectError) return [];
      throw error;
    }
  }

  /** There is such an artifact, and this command is for others: says what it holds, and where that lies. */
  private otherKind(
    name: string,
    wanted: readonly string[],
    record: ActionRecord | undefined,
    digests: readonly Digest[],
  ) {
    const files = digests.flatMap((digest) => this.filesOf(digest)).filter((file) => !file.includes("/"));
    const more = files.length > MOST_FILES ? " ..." : "";
    const folders = Object.entries(record?.outputs ?? {}).flatMap(
      ([output, digest]) => this.store.latestFolder(record!.stage, output, digest) ?? [],
    );
    const open = folders.length > 0 ? `, which you can open in ${folders.map(fromHere).join(" and ")}` : "";
    return new UserError(`"${name}" holds none of ${wanted.join(", ")}.`, {
      code: "UNKNOWN_ARTIFACT",
      hint: `It holds ${files.slice(0, MOST_FILES).join(", ")}${more}${open}. This command reads shards, or of an evaluation its rows.`,
    });
  }

  private isBlob(digest: Digest): boolean {
    return this.filesOf(digest).length === 0 && this.store.checkObject(digest) === "ok";
  }

  private checkOut(digest: Digest): string {
    const folder = this.store.stagingFolder("look");
    this.folders.push(folder);
    this.store.materialise(digest, path.join(folder, "artifact"), { readOnly: true });
    return path.join(folder, "artifact");
  }
}

function unknownName(name: string): UserError {
  return new UserError(`Nothing is called "${name}".`, {
    code: "UNKNOWN_ARTIFACT",
    hint: "Give a path, a stage of this lab such as shards, or the first digits of a hash; -C names another lab.",
  });
}

function fromHere(folder: string): string {
  return path.relative(process.cwd(), folder);
}
