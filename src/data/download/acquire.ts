// Fills a `dataset` artifact: every file from its source, verified, and dataset.json that says what they are.

import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { prettyCanonicalJson } from "../../util/canonical-json.ts";
import { type Digest, digestFile } from "../../util/digest.ts";
import { systemErrorCode, UserError } from "../../util/errors.ts";
import { formatBytes, formatCount } from "../../util/format.ts";
import { assetPath } from "../../util/package-root.ts";
import type { Dataset, DatasetFile } from "../datasets/dataset.ts";
import { datasets } from "../datasets/index.ts";
import { type DownloadOptions, downloadFile } from "./http.ts";
import { dropPathOf, resolveListings } from "./listing.ts";
import { addressOf, explainPin, PINS_FILE, readPins, withPin, writePin } from "./pins.ts";

export interface AcquireContext {
  /** Survives a kill: finished and partial downloads lie here until all files are there. */
  readonly work: string;
  readonly dataDir: string | undefined;
  /** Folder of the lab, whose pins are compared with and added to. Without it nothing is. */
  readonly lab?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly log: {
    info(message: string): void;
    warn(message: string): void;
    progress(done: number, total: number, unit: string, note?: string): void;
  };
  readonly http?: Pick<DownloadOptions, "attempts" | "stallMs" | "backoff">;
}

interface Acquired {
  readonly bytes: number;
  readonly sha256: Digest;
  /** It was copied from the folder of --data-dir. */
  readonly local?: boolean;
}

/** Writes `dataset.json` and `files/` below `folder`. Throws a UserError for what is missing or not as pinned. */
export async function acquireDataset(named: Dataset, folder: string, context: AcquireContext): Promise<void> {
  const { work, dataDir, lab } = context;
  const dataset = await resolveListings(named, { work, dataDir, download: downloadOptions(context) });
  const published = new Set(named.files.filter(({ sha256 }) => sha256 !== undefined));
  const pins = lab === undefined ? new Map<string, Digest>() : readPins(lab);
  const progress = new Progress(dataset, context);
  const files: (Acquired & { file: DatasetFile })[] = [];
  for (const listed of dataset.files) {
    context.signal.throwIfAborted();
    const pin = published.has(listed) ? undefined : pins.get(addressOf(listed) ?? "");
    const file = withPin(listed, pin);
    const target = path.join(folder, "files", ...file.path.split("/"));
    mkdirSync(path.dirname(target), { recursive: true });
    const acquired = await acquireFile(dataset, file, target, context, progress).catch((error: unknown) => {
      throw pin === undefined ? error : explainPin(error, file);
    });
    if (!published.has(listed) && pin === undefined) pinOnFirstUse(file, acquired, context);
    progress.fileDone(acquired.bytes);
    files.push({ ...acquired, file });
  }
  const manifest = {
    name: dataset.name,
    kind: dataset.kind,
    license: dataset.license,
    homepage: dataset.homepage,
    files: files.map(({ file, bytes, sha256 }) => ({
      path: file.path,
      bytes,
      sha256,
      format: file.format,
      benchmark: file.benchmark,
      note: file.note,
      text: file.text,
      sourceName: file.sourceName,
    })),
    text: dataset.text,
  };
  writeFileSync(path.join(folder, "dataset.json"), prettyCanonicalJson(manifest));
}

/**
 * What came over the network without a published digest is at least what its publisher gave, and is held to it from now
 * on; a local file may be anything.
 */
function pinOnFirstUse(file: DatasetFile, { sha256, local }: Acquired, { lab, log }: AcquireContext): void {
  const address = addressOf(file);
  if (local === true && file.sha256 === undefined)
    log.warn(`${file.path} has no published digest and is taken as it lies in the local folder: ${sha256}`);
  if (local === true || address === undefined) return;
  log.info(`${file.path} is pinned on first use: ${sha256}`);
  if (lab === undefined) return;
  try {
    writePin(lab, address, sha256);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    log.warn(`The pin cannot be kept for later downloads: ${path.join(lab, PINS_FILE)}: ${systemErrorCode(error)}`);
  }
}

function downloadOptions({ http, signal, environment, log }: AcquireContext): DownloadOptions {
  return { ...http, signal, environment, onRetry: (message) => log.warn(message) };
}

async function acquireFile(
  dataset: Dataset,
  file: DatasetFile,
  target: string,
  context: AcquireContext,
  progress: Progress,
): Promise<Acquired> {
  const { source } = file;
  if (source.kind === "asset") return copyVerified(assetPath(...source.path.split("/")), file, target);
  if (source.kind === "own") return copyVerified(source.path, file, target);
  if (source.kind === "listing") throw new Error(`${file.path} of ${dataset.name} was not resolved`);
  const below = source.kind === "data-dir" ? source.path : dropPathOf(dataset, file);
  const local = context.dataDir === undefined ? undefined : path.join(context.dataDir, ...below.split("/"));
  if (local !== undefined && existsSync(local)) return { ...copyVerified(local, file, target), local: true };
  if (source.kind === "data-dir") throw missingLocalFile(dataset, file, local, source.path);
  return download(dataset, source.urls, file, target, context, progress);
}

/** Copies (by reference where the file system can) and digests the copy, so that what is verified is what is kept. */
function copyVerified(source: string, file: DatasetFile, target: string): Acquired {
  try {
    copyFileSync(source, target, constants.COPYFILE_FICLONE);
  } catch (cause) {
    if (systemErrorCode(cause) !== "ENOENT" && systemErrorCode(cause) !== "EACCES") throw cause;
    throw new UserError(`${source} cannot be read (${systemErrorCode(cause)}).`, {
      code: "FILE_UNREADABLE",
      hint: "See whether it exists and may be read by you.",
      cause,
    });
  }
  const { digest, bytes } = digestFile(target);
  const wrongDigest = file.sha256 !== undefined && digest !== file.sha256;
  if (wrongDigest || (file.bytes !== undefined && bytes !== file.bytes)) {
    const expected = file.sha256 ?? `${formatCount(file.bytes!)} bytes`;
    const got = file.sha256 === undefined ? `${formatCount(bytes)} bytes` : digest;
    throw new UserError(`${source} holds the wrong bytes: expected ${expected}, got ${got}.`, {
      code: "WRONG_BYTES",
      where: { file: source },
      hint: `It has ${formatCount(bytes)} bytes${file.bytes === undefined ? "" : ` instead of ${formatCount(file.bytes)}`}. Replace it with the file as published.`,
      exitCode: 1,
    });
  }
  return { bytes, sha256: digest };
}

function missingLocalFile(dataset: Dataset, file: DatasetFile, local: string | undefined, below: string): UserError {
  const size = file.bytes === undefined ? "" : ` (${formatBytes(file.bytes)})`;
  return new UserError(`The data set ${dataset.name} is read from a local folder, and ${file.path} is not there.`, {
    code: "DATA_DIR_FILE_MISSING",
    hint:
      local === undefined
        ? `Name the folder by --data-dir or STLM_DATA_DIR; it must hold ${below}${size}, ${file.sha256}.`
        : `Put the file${size} at ${local}; its digest is ${file.sha256}.`,
  });
}

async function download(
  dataset: Dataset,
  urls: readonly string[],
  file: DatasetFile,
  target: string,
  context: AcquireContext,
  progress: Progress,
): Promise<Acquired> {
  const kept = path.join(context.work, "files", ...file.path.split("/"));
  const acquired = finishedBefore(kept, file) ?? (await fetchTo(dataset, kept, urls, file, context, progress));
  try {
    linkSync(kept, target); // the copy in `work` stays, so that a kill before the end loses nothing
  } catch (error) {
    if (!["EXDEV", "EPERM", "ENOTSUP", "EMLINK"].includes(systemErrorCode(error) ?? "")) throw error;
    copyFileSync(kept, target, constants.COPYFILE_FICLONE);
  }
  return acquired;
}

async function fetchTo(
  dataset: Dataset,
  kept: string,
  urls: readonly string[],
  file: DatasetFile,
  context: AcquireContext,
  progress: Progress,
): Promise<Acquired> {
  const wanted = { sha256: file.sha256, bytes: file.bytes };
  try {
    const acquired = await downloadFile(urls, wanted, kept, {
      ...downloadOptions(context),
      onProgress: (done, total) => progress.within(file, done, total),
    });
    writeFileSync(`${kept}.done`, acquired.sha256);
    return acquired;
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "DOWNLOAD_FAILED") throw error;
    const folder = context.dataDir ?? "<folder>";
    const size = file.bytes === undefined ? "" : ` (${formatCount(file.bytes)} bytes)`;
    const digest = file.sha256 === undefined ? "" : ` It is checked against ${file.sha256}.`;
    const others = Object.hasOwn(datasets, dataset.name)
      ? ` All files of the set: stlm-pipeline datasets show ${dataset.name}.`
      : "";
    throw new UserError(error.message, {
      code: error.code,
      hint: `${error.hint}\nOr put the file${size} at ${folder}/${dropPathOf(dataset, file)} and pass --data-dir ${folder}.${digest}${others}`,
      cause: error,
      exitCode: 1,
    });
  }
}

/** A file that an earlier, killed run had finished; verified again, because the disk may have lost it since. */
function finishedBefore(kept: string, file: DatasetFile): Acquired | undefined {
  if (!existsSync(kept) || !existsSync(`${kept}.done`)) return undefined;
  const { digest, bytes } = digestFile(kept);
  const expected = file.sha256 ?? readFileSync(`${kept}.done`, "utf8");
  return digest === expected && statSync(kept).isFile() ? { sha256: digest, bytes } : undefined;
}

/** One progress line over all files: in bytes where every size is known, else in files. */
class Progress {
  private doneBytes = 0;
  private doneFiles = 0;
  private readonly totalBytes: number | undefined;
  private lastMs = performance.now();
  private lastBytes = 0;
  private rate = 0;

  constructor(
    private readonly dataset: Dataset,
    private readonly context: AcquireContext,
  ) {
    const sizes = dataset.files.map((file) => file.bytes);
    this.totalBytes = sizes.every((size) => size !== undefined)
      ? sizes.reduce((sum, size) => sum + size, 0)
      : undefined;
  }

  within(file: DatasetFile, done: number, total: number | undefined): void {
    const now = performance.now();
    if (now - this.lastMs < 200) return;
    // A resumed or restarted file jumps; only what came since the last line counts.
    this.rate = Math.max(0, ((done - this.lastBytes) * 1000) / (now - this.lastMs));
    this.lastMs = now;
    this.lastBytes = done;
    const rate = `${formatBytes(this.rate)}/s`;
    if (this.totalBytes !== undefined) {
      this.context.log.progress(this.doneBytes + done, this.totalBytes, "bytes", `${file.path}, ${rate}`);
      return;
    }
    const size = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
    this.context.log.progress(this.doneFiles, this.dataset.files.length, "files", `${file.path}: ${size}, ${rate}`);
  }

  fileDone(bytes: number): void {
    this.doneBytes += bytes;
    this.doneFiles++;
    this.lastBytes = 0;
    if (this.totalBytes !== undefined) this.context.log.progress(this.doneBytes, this.totalBytes, "bytes");
    else this.context.log.progress(this.doneFiles, this.dataset.files.length, "files");
  }
}
