// What of a stage's code enters its key, and the file that runs. The fingerprint is taken of the very text that runs:
// the import closure after tree shaking, so an edit in a comment, a type or an unused function changes nothing.
// Making it costs a bundler run per stage, so the result is remembered under stamps of every file that was read.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { prettyCanonicalJson } from "../util/canonical-json.ts";
import { type Digest, digestBytes, digestOf, hexOf } from "../util/digest.ts";
import { packageRoot } from "../util/package-root.ts";
import { type Bundle, bundleModule, moduleLabel, runnableText } from "./bundle.ts";
import { settledStamps, stampsHold } from "./file-stamp.ts";
import type { CodeFingerprint } from "./modules.ts";
import { normaliseNativeSource } from "./native-source.ts";

export interface BuiltCode {
  readonly code: CodeFingerprint;
  /** Absolute path of each native source, by its name in `code.native`: compiled when the stage runs, not when it is built. */
  readonly nativeFiles: Readonly<Record<string, string>>;
  /** Absolute path of the text that runs. */
  readonly bundleFile: string;
}

interface Remembered extends BuiltCode {
  readonly version: 2;
  /** Stamps of all that was read, of the folders of native sources, and of the bundle itself. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** The folder for bundles and their stamps: rebuilt at will, so anything in it may be deleted. */
export function codeFolder(artifacts: string): string {
  return path.join(artifacts, "index", "code");
}

/**
 * Fingerprint and runnable bundle of a module; `root` is the lab. Remembers under `artifacts`; where that cannot be
 * written, builds in a temporary folder each time. Throws UserError STAGE_BUILD_FAILED, PACKAGE_NOT_FOUND.
 */
export async function buildCode(file: string, root: string, artifacts: string): Promise<BuiltCode> {
  const folder = codeFolder(artifacts);
  const memory = path.join(folder, `${hexOf(digestOf("stlm.module-path.v1", file)).slice(0, 32)}.stamps.json`);
  const remembered = recall(memory);
  if (remembered) {
    const { code, nativeFiles, bundleFile } = remembered;
    return { code, nativeFiles, bundleFile };
  }

  const startedMs = Date.now();
  const bundle = await bundleModule(file, root);
  const native = nativeSources(bundle.modules);
  const nativeFiles = Object.fromEntries(native.map((source) => [moduleLabel(source, root), source]));
  const code: CodeFingerprint = {
    bundle: digestBytes(bundle.minified),
    native: Object.fromEntries(Object.entries(nativeFiles).map(([label, source]) => [label, digestNative(source)])),
    packages: Object.fromEntries(bundle.packages.map(({ name, version }) => [name, version])),
  };
  const bundleFile = writeRunnable(folder, code, bundle);
  const built = { code, nativeFiles, bundleFile };
  remember(memory, built, [...watched(bundle, native)], startedMs);
  return built;
}

/** Whether the native sources still have the bytes of the fingerprint; read anew, whatever their stamps say. */
export function nativeHolds({ code, nativeFiles }: Pick<BuiltCode, "code" | "nativeFiles">): boolean {
  return Object.entries(nativeFiles).every(
    ([label, file]) => existsSync(file) && digestNative(file) === code.native[label],
  );
}

/** What each source file contributed to a bundle, by label; undefined where it was never built here. */
export function sectionsOf(bundle: Digest, artifacts: string): Readonly<Record<string, Digest>> | undefined {
  return readJson<Record<string, Digest>>(path.join(codeFolder(artifacts), `${hexOf(bundle)}.files.json`));
}

/** The name covers the machine's package locations too, for two labs may share a store but not their node_modules. */
function writeRunnable(folder: string, code: CodeFingerprint, bundle: Bundle): string {
  const text = runnableText(bundle);
  const name = `${hexOf(code.bundle).slice(0, 32)}-${hexOf(digestBytes(text)).slice(0, 16)}.mjs`;
  const sections = prettyCanonicalJson(bundle.sections);
  try {
    writeWhole(path.join(folder, `${hexOf(code.bundle)}.files.json`), sections);
    return writeWhole(path.join(folder, name), text);
  } catch {
    // A read-only lab can still be planned; a run will say itself that it cannot write.
    return writeWhole(path.join(mkdtempSync(path.join(os.tmpdir(), "stlm-code-")), name), text);
  }
}

/** C and CUDA sources beside a module, or in `kernels/` below it: what its loader compiles. Sorted absolute paths. */
function nativeSources(modules: readonly string[]): string[] {
  return [...nativeFolders(modules)]
    .flatMap((folder) => listFolder(folder).map((name) => path.join(folder, name)))
    .filter((file) => /\.(c|h|cu|cuh)$/.test(file))
    .sort();
}

function nativeFolders(modules: readonly string[]): Set<string> {
  const folders = new Set(modules.map((module) => path.dirname(module)));
  for (const folder of [...folders]) {
    if (listFolder(folder).includes("kernels")) folders.add(path.join(folder, "kernels"));
  }
  return folders;
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function digestNative(file: string): Digest {
  return digestBytes(normaliseNativeSource(readFileSync(file, "utf8")));
}

/** Everything whose change could change the fingerprint. */
function watched(bundle: Bundle, native: readonly string[]): Set<string> {
  const bundler = createRequire(path.join(packageRoot(), "package.json")).resolve("esbuild/package.json");
  return new Set([
    ...bundle.files,
    ...nativeFolders(bundle.modules),
    ...native,
    ...Object.values(bundle.externals),
    ...bundle.packages.map((found) => found.manifest),
    bundler,
    path.join(packageRoot(), "package.json"), // says which modules have no side effects
  ]);
}

function recall(memory: string): Remembered | undefined {
  const remembered = readJson<Remembered>(memory);
  return remembered?.version === 2 && stampsHold(remembered.stamps) ? remembered : undefined;
}

function remember(memory: string, built: BuiltCode, files: readonly string[], startedMs: number): void {
  const stamps = settledStamps(files, startedMs);
  // The bundle was written just now, by us, under a name that its content decides: no later edit is overlooked.
  const bundle = settledStamps([built.bundleFile], Number.POSITIVE_INFINITY);
  if (!stamps || !bundle) return;
  const remembered: Remembered = { version: 2, ...built, stamps: { ...stamps, ...bundle } };
  try {
    writeWhole(memory, prettyCanonicalJson(remembered));
  } catch {
    // Only speed is lost.
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as T;
  } catch {
    return undefined; // absent or half-readable: a hint that is not there
  }
}

function writeWhole(file: string, text: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
  return file;
}
