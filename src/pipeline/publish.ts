// Reports leave the store: what stages of the output type `report` made is copied to the lab's `reports/`, where people
// read it and version control shows a changed number. Nothing is written where nothing differs.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { latestName } from "../store/latest.ts";
import type { Store } from "../store/store.ts";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import { type Digest, digestFile } from "../util/digest.ts";
import { systemErrorCode, UserError } from "../util/errors.ts";
import type { Pipeline, StageNode } from "./node.ts";

const BLOCKED = new Set(["EEXIST", "EISDIR", "ENOTDIR", "ERR_FS_EISDIR"]);

/**
 * Brings `reports/` in line with the outputs that `outputsOf` knows; several reports go to `reports/<instance>/`.
 * Returns the folders that it wrote to. Files that are not ours stay.
 */
export function publishReports(
  pipeline: Pipeline,
  store: Store,
  outputsOf: (id: string) => Readonly<Record<string, Digest>> | undefined,
): string[] {
  const reports = pipeline.nodes.flatMap((node) => reportOutputs(node).map((output) => ({ node, output })));
  return reports.flatMap(({ node, output }) => {
    const digest = outputsOf(node.id)?.[output];
    const folder = path.join(pipeline.root, "reports", reports.length === 1 ? "" : latestName(node.id));
    return digest && publishInto(folder, () => publishTree(digest, folder, store)) ? [folder] : [];
  });
}

/** A file where a folder belongs, or a folder where a file does, is the user's: it is told, and not moved. */
function publishInto(folder: string, publish: () => boolean): boolean {
  try {
    return publish();
  } catch (cause) {
    const code = systemErrorCode(cause) ?? "";
    if (!BLOCKED.has(code)) throw cause;
    throw new UserError(`The report cannot be copied to ${folder}: a file or folder of another kind is in its place.`, {
      code: "REPORTS_BLOCKED",
      where: { file: (cause as { readonly path?: string }).path ?? folder },
      hint: "The report is safe in the store. Move away what is there, and run the same command again.",
      cause,
      exitCode: 1,
    });
  }
}

function reportOutputs(node: StageNode): string[] {
  if (node.work.kind !== "module") return [];
  return Object.entries(node.work.module.definition.outputs)
    .filter(([, type]) => type === "report")
    .map(([name]) => name);
}

function publishTree(digest: Digest, folder: string, store: Store): boolean {
  const files = store.readTree(digest).entries.filter((entry) => entry.type === "file");
  const stale = files.filter((file) => !holds(path.join(folder, file.path), file.digest));
  const list = path.join(store.root, "index", "published.json");
  const before = readList(list);
  const names = files.map((file) => file.path);
  const gone = (before[folder] ?? []).filter((name) => !names.includes(name) && existsSync(path.join(folder, name)));
  if (stale.length === 0 && gone.length === 0) return false;
  for (const file of stale) {
    const place = path.join(folder, file.path);
    mkdirSync(path.dirname(place), { recursive: true });
    const temporary = `${place}.${process.pid}.tmp`;
    try {
      copyFileSync(store.objectPath(file.digest), temporary);
      chmodSync(temporary, 0o644);
      renameSync(temporary, place);
    } finally {
      rmSync(temporary, { force: true });
    }
  }
  for (const name of gone) rmSync(path.join(folder, name));
  mkdirSync(path.dirname(list), { recursive: true });
  writeFileSync(list, prettyCanonicalJson({ ...before, [folder]: names }));
  return true;
}

function holds(file: string, digest: Digest): boolean {
  if (!existsSync(file)) return false;
  if (statSync(file).isDirectory())
    throw Object.assign(new Error(`${file} is a folder`), { code: "EISDIR", path: file });
  return digestFile(file).digest === digest;
}

/** What was published last, by folder: a hint, so that files of an older report can be taken away. */
function readList(file: string): Readonly<Record<string, readonly string[]>> {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}
