// Stage modules: found by the name after `use:`, bundled, fingerprinted, and loaded for their definition.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Digest } from "../util/digest.ts";
import { didYouMean, messageOf, UserError } from "../util/errors.ts";
import { packageRoot } from "../util/package-root.ts";
import { buildCode } from "./fingerprint.ts";
import type { StageDefinition } from "./stage.ts";

/** What of a stage's code enters its key: every field is printed by `why`. */
export interface CodeFingerprint {
  /** SHA-256 of the module's import closure, bundled, tree-shaken and minified. */
  readonly bundle: Digest;
  /** Digest of each native source beside an imported module (C, CUDA), comments removed; path relative to the package or lab. */
  readonly native: Readonly<Record<string, Digest>>;
  /** Version of each npm package that the bundle imports. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface StageModule {
  /** The name after `use:`. */
  readonly use: string;
  /** Absolute path of the source file. */
  readonly file: string;
  readonly definition: StageDefinition;
  readonly code: CodeFingerprint;
  /** Absolute path of each native source, by its name in `code.native`. */
  readonly nativeFiles: Readonly<Record<string, string>>;
  /** Absolute path of the bundle that runs: made from the very text whose minified form is the fingerprint. */
  readonly bundleFile: string;
}

const EXTENSIONS = [".ts", ".mts", ".mjs", ".js"];

/**
 * The stage module `use` of the lab at `root`, else of the package. `artifacts` is where bundles are kept.
 * Throws UserError UNKNOWN_STAGE, STAGE_BUILD_FAILED, PACKAGE_NOT_FOUND or BAD_STAGE_MODULE.
 */
export async function loadStageModule(request: {
  readonly root: string;
  readonly use: string;
  readonly artifacts?: string;
}): Promise<StageModule> {
  const { root, use, artifacts = path.join(root, "artifacts") } = request;
  const file = findStageModule(root, use);
  if (file === undefined) {
    const names = stageModuleNames(root);
    throw new UserError(`There is no stage module "${use}".`, {
      code: "UNKNOWN_STAGE",
      hint: `Stage modules are: ${names.join(", ")}.${didYouMean(use, names)}\nAdd your own as stages/${use}.ts.`,
    });
  }
  const built = await buildCode(file, root, artifacts);
  const loaded = await importModule(built.bundleFile, file);
  return { use, file, definition: checkDefinition(loaded.default, file), ...built };
}

async function importModule(bundleFile: string, file: string): Promise<{ default?: unknown }> {
  try {
    return await import(/* @vite-ignore */ pathToFileURL(bundleFile).href);
  } catch (cause) {
    throw new UserError(`The stage's module throws while it is loaded: ${messageOf(cause)}`, {
      code: "BAD_STAGE_MODULE",
      where: { file },
      hint: "Its code outside of run() runs for every command, plans too. Mend it, or move it into run().",
      cause,
    });
  }
}

/** The names legal after `use:`, sorted. */
export function stageModuleNames(root: string): string[] {
  const names = stageFolders(root).flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => EXTENSIONS.includes(path.extname(name)) && !name.endsWith(".d.ts"))
          .map((name) => path.basename(name, path.extname(name)))
      : [],
  );
  return [...new Set(names)].sort();
}

function findStageModule(root: string, use: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(use)) return undefined;
  return stageFolders(root)
    .flatMap((folder) => EXTENSIONS.map((extension) => path.join(folder, use + extension)))
    .find((file) => existsSync(file));
}

function stageFolders(root: string): string[] {
  return [...new Set([path.join(root, "stages"), path.join(packageRoot(), "stages")])];
}

function checkDefinition(value: unknown, file: string): StageDefinition {
  const definition = (value ?? {}) as Partial<Record<keyof StageDefinition, unknown>>;
  const classes = ["bitwise", "tolerance", "external"];
  const problem =
    typeof definition.run !== "function"
      ? "run() is missing"
      : typeof definition.inputs !== "object"
        ? "`inputs` is missing"
        : typeof definition.params !== "object"
          ? "`params` (a zod schema) is missing"
          : typeof definition.outputs !== "object"
            ? "`outputs` is missing"
            : !classes.includes(definition.determinism as string)
              ? `\`determinism\` must be one of ${classes.join(", ")}`
              : undefined;
  if (problem) {
    throw new UserError(`A stage module's default export must be a stage, and ${problem}.`, {
      code: "BAD_STAGE_MODULE",
      where: { file },
      hint: "export default defineStage({ doc, inputs, params, outputs, determinism, async run() {...} });",
    });
  }
  return value as StageDefinition;
}
