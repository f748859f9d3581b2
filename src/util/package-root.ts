// Where the installed package lives: its assets, native sources and stage modules are found from here.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE_NAME = "stlm-pipeline";

/**
 * The folder that holds our package.json. A stage runs from a bundle that may lie anywhere, so the executor
 * passes the folder on in STLM_PACKAGE_ROOT; everywhere else it is found by walking up from this file.
 */
export function packageRoot(): string {
  const declared = process.env["STLM_PACKAGE_ROOT"];
  if (declared) return declared;
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).name === PACKAGE_NAME) return folder;
    if (path.dirname(folder) === folder) throw new Error(`No package.json of ${PACKAGE_NAME} above ${import.meta.url}`);
  }
}

/** The version in our package.json. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(path.join(packageRoot(), "package.json"), "utf8")).version;
}

/** A file below `assets/`. */
export function assetPath(...parts: string[]): string {
  return path.join(packageRoot(), "assets", ...parts);
}
