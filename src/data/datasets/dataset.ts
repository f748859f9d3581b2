// What a data set is: where its files come from, what pins them, whose they are, and how a row becomes a document.

import type { Digest } from "../../util/digest.ts";

export const fileFormats = ["jsonl", "jsonl.gz", "json", "txt", "txt.gz", "parquet", "arrow"] as const;

/** `json` is one array of objects; `txt` is one document a file unless the text rule cuts it. */
export type FileFormat = (typeof fileFormats)[number];

export type FileSource =
  /** Ships with the package, below `assets/`. */
  | { readonly kind: "asset"; readonly path: string }
  /** Lies below the folder that `--data-dir` or STLM_DATA_DIR names. */
  | { readonly kind: "data-dir"; readonly path: string }
  /** A file of the user's own; absolute. */
  | { readonly kind: "own"; readonly path: string }
  /** Mirrors of one file, tried in this order; `revision` is the commit of the hub that the first one names. */
  | { readonly kind: "url"; readonly urls: readonly string[]; readonly revision?: string }
  /**
   * All files with this ending in a repository whose file names nobody has written down: asked for at the first use,
   * with the hub's own digests. The file's `path` is then a folder.
   */
  | { readonly kind: "listing"; readonly repository: string; readonly ending: string; readonly hub: string };

export interface DatasetFile {
  /** Below `files/` of the artifact, with `/`. */
  readonly path: string;
  readonly format: FileFormat;
  readonly source: FileSource;
  /** Without it the bytes of the first use are pinned (src/data/download/pins.ts). */
  readonly sha256?: Digest;
  readonly bytes?: number;
  /** The benchmark whose items the file holds (`blimp`). */
  readonly benchmark?: string;
  /** One sentence on how the benchmark's items differ from the published ones; printed beside its figures. */
  readonly note?: string;
  /** Overrides the data set's rule: the parts of a mix differ. */
  readonly text?: TextRule;
  /** Where `--data-dir` is searched for it before the network is asked; without it `<data set>/<path>`. */
  readonly dropPath?: string;
  /** The source of a mix that the file belongs to; files of one source follow each other. */
  readonly sourceName?: string;
}

/** How a file becomes documents. */
export interface TextRule {
  /** `{text}`, or `Question: {conversations.0.value}`: a path into the row. For text files `{text}` is the piece. */
  readonly template: string;
  /** Text files are cut at this string; newlines at both ends of a piece are dropped. */
  readonly separator?: string;
  /** Text files without marks are cut at the first line end at or after this many bytes. */
  readonly documentBytes?: number;
  /** Path into the row of a number that a curriculum may sort by: `grade`, `meta.difficulty`. */
  readonly score?: string;
}

export interface Dataset {
  readonly name: string;
  readonly kind: "text" | "benchmark";
  /** SPDX identifiers where they exist. */
  readonly license: string;
  readonly homepage: string;
  /** BCP 47, or the name of a programming language. */
  readonly language: string;
  /** One sentence. */
  readonly description: string;
  /** For people: documents, megabytes, tokens. */
  readonly size: string;
  /** Documents or items, where their number is known. */
  readonly rows?: number;
  /** Names of a row's members; none for plain text. */
  readonly columns?: readonly string[];
  readonly files: readonly DatasetFile[];
  readonly text: TextRule;
  /** Why the text rule is as it is, and what about the set has not been seen by us: for the data card. */
  readonly remark?: string;
}

/** A row's `text` column is the document. */
export const PLAIN_TEXT: TextRule = { template: "{text}" };

/** Question and answer of the first exchange, in the words of the paper's own loader. */
export const FIRST_EXCHANGE: TextRule = {
  template: "Question: {conversations.0.value}\nAnswers: {conversations.1.value}",
};

export const HUB = "https://huggingface.co";

/** Where the hub gives a file that its listing of a repository names. */
export function resolvedAddress({ hub, repository }: { hub: string; repository: string }, name: string): string {
  return `${hub}/datasets/${repository}/resolve/main/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** A file of the Hugging Face hub at a pinned revision. */
export function hubFile(
  repository: string,
  revision: string,
  path: string,
  format: FileFormat,
  pin: { sha256?: string; bytes?: number } = {},
): DatasetFile {
  return {
    path,
    format,
    source: { kind: "url", urls: [`${HUB}/datasets/${repository}/resolve/${revision}/${path}`], revision },
    ...(pin.sha256 === undefined ? {} : { sha256: `sha256:${pin.sha256}` as const }),
    ...(pin.bytes === undefined ? {} : { bytes: pin.bytes }),
  };
}

/** A file below the folder of `--data-dir`. */
export function localFile(path: string, format: FileFormat, bytes: number, sha256: string): DatasetFile {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return { path: name, format, source: { kind: "data-dir", path }, bytes, sha256: `sha256:${sha256}` };
}

/** A file that ships below `assets/data/`. */
export function bundledFile(name: string, bytes: number, sha256: string): DatasetFile {
  return {
    path: name,
    format: "jsonl.gz",
    source: { kind: "asset", path: `data/${name}` },
    bytes,
    sha256: `sha256:${sha256}`,
  };
}
