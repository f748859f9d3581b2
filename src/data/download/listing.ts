// Data sets whose file names nobody has written down: the hub is asked which files a repository has, and tells their
// sizes and SHA-256 with them (the "tree" of its HTTP API).

import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { compareUtf8 } from "../../util/canonical-json.ts";
import { isDigest } from "../../util/digest.ts";
import { messageOf, UserError } from "../../util/errors.ts";
import { type Dataset, type DatasetFile, type FileSource, resolvedAddress } from "../datasets/dataset.ts";
import { listFolder } from "../datasets/own-folder.ts";
import { type DownloadOptions, downloadFile } from "./http.ts";

type Listing = Extract<FileSource, { kind: "listing" }>;

export interface ListingContext {
  /** The answer lies here while it is read. */
  readonly work: string;
  readonly dataDir: string | undefined;
  readonly download: DownloadOptions;
}

const answerSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.int().min(0),
    /** Of large files; `oid` is their SHA-256. */
    lfs: z.object({ oid: z.string(), size: z.int().min(0) }).optional(),
  }),
);

/** The hub tells no more at once. */
const MOST_ENTRIES = 1000;

/** Where a file is looked for below `--data-dir`. */
export function dropPathOf(dataset: Dataset, file: DatasetFile): string {
  return file.dropPath ?? `${dataset.name}/${file.path}`;
}

/**
 * The data set with every listing replaced by its files: those of the folder of `--data-dir` if they lie there, else
 * the hub's. Throws a UserError when neither gives any.
 */
export async function resolveListings(dataset: Dataset, context: ListingContext): Promise<Dataset> {
  if (dataset.files.every(({ source }) => source.kind !== "listing")) return dataset;
  const files: DatasetFile[] = [];
  for (const file of dataset.files) {
    if (file.source.kind !== "listing") files.push(file);
    else
      files.push(
        ...(droppedFiles(dataset, file, file.source, context) ?? (await askHub(dataset, file, file.source, context))),
      );
  }
  return { ...dataset, files };
}

function droppedFiles(
  dataset: Dataset,
  file: DatasetFile,
  { ending }: Listing,
  { dataDir }: ListingContext,
): DatasetFile[] | undefined {
  const below = dropPathOf(dataset, file);
  const folder = dataDir === undefined ? undefined : path.join(dataDir, ...below.split("/"));
  if (folder === undefined || !existsSync(folder) || !statSync(folder).isDirectory()) return undefined;
  const names = listFolder(folder).names.filter((name) => name.endsWith(ending));
  if (names.length === 0) return undefined;
  return names.map((name) => ({
    ...file,
    path: `${file.path}/${name}`,
    source: { kind: "data-dir", path: `${below}/${name}` },
  }));
}

async function askHub(
  dataset: Dataset,
  file: DatasetFile,
  listing: Listing,
  context: ListingContext,
): Promise<DatasetFile[]> {
  const { hub, repository, ending } = listing;
  const url = `${hub}/api/datasets/${repository}/tree/main?recursive=true`;
  const answer = path.join(context.work, "listing.json");
  const byHand = `Or put its *${ending} files into ${context.dataDir ?? "<folder>"}/${dropPathOf(dataset, file)}/ and pass --data-dir ${context.dataDir ?? "<folder>"}.`;
  try {
    await downloadFile([url], { sha256: undefined, bytes: undefined }, answer, context.download);
    const entries = answerSchema.parse(JSON.parse(readFileSync(answer, "utf8")));
    if (entries.length >= MOST_ENTRIES) throw new Error(`it lists ${MOST_ENTRIES} files, and there may be more`);
    const found = entries
      .filter((entry) => entry.type === "file" && entry.path.endsWith(ending))
      .sort((a, b) => compareUtf8(a.path, b.path));
    for (const { path: name } of found) if (!isPlain(name)) throw new Error(`it names the file "${name}"`);
    if (found.length === 0) throw new Error(`it names no *${ending} file`);
    return found.map(({ path: name, size, lfs }) => {
      const sha256 = `sha256:${lfs?.oid}`;
      return {
        ...file,
        path: `${file.path}/${name}`,
        source: { kind: "url", urls: [resolvedAddress(listing, name)] },
        bytes: lfs?.size ?? size,
        ...(isDigest(sha256) && { sha256 }),
        dropPath: `${dropPathOf(dataset, file)}/${name}`,
      };
    });
  } catch (cause) {
    if (context.download.signal.aborted) throw cause;
    const known = cause instanceof UserError;
    throw new UserError(
      known ? cause.message : `${url} does not say which files ${dataset.name} has: ${messageOf(cause)}.`,
      { code: "LISTING_FAILED", hint: [...(known ? [cause.hint] : []), byHand].join("\n"), cause, exitCode: 1 },
    );
  } finally {
    rmSync(answer, { force: true });
  }
}

/** A relative path that stays inside its folder: the names come from another machine. */
function isPlain(name: string): boolean {
  return name.split("/").every((part) => part !== "" && part !== "." && part !== ".." && !/[\\\0]/.test(part));
}
