// A module with all that it imports, as one text, by esbuild. npm packages stay outside: they appear in the text as
// `stlm-external:<specifier>`, free of any machine's paths, until the text is written to run.

import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type {
  BuildFailure,
  Metafile,
  OnResolveArgs,
  OnResolveResult,
  Plugin,
  PluginBuild,
  ResolveResult,
} from "esbuild";
import { type Digest, digestBytes } from "../util/digest.ts";
import { UserError } from "../util/errors.ts";
import { packageRoot } from "../util/package-root.ts";

const EXTERNAL = "stlm-external:";
const PACKAGE_NAME = "stlm-pipeline";

/** An npm package that a bundle imports. */
export interface ExternalPackage {
  readonly name: string;
  readonly version: string;
  /** Its package.json. */
  readonly manifest: string;
}

export interface Bundle {
  /** Readable text with `stlm-external:` specifiers; made of what tree shaking left. */
  readonly text: string;
  /** The same program minified: what the fingerprint is the digest of. */
  readonly minified: string;
  /** Absolute paths of every file that was read: if none moved, the bundle is the same. */
  readonly files: readonly string[];
  /** Absolute paths of the modules with code in the bundle. */
  readonly modules: readonly string[];
  /** Digest of what each module contributes, by its label (`stlm-pipeline/src/train/loop.ts`, `stages/mine.ts`). */
  readonly sections: Readonly<Record<string, Digest>>;
  readonly packages: readonly ExternalPackage[];
  /** Where each external specifier was found on this machine: an absolute file. */
  readonly externals: Readonly<Record<string, string>>;
}

/**
 * Bundles `file`. Packages are looked up from the importing file, then from our own package.
 * Throws UserError STAGE_BUILD_FAILED with the place of the first error.
 */
export async function bundleModule(file: string, root: string): Promise<Bundle> {
  const esbuild = await import("esbuild");
  const found = new Map<string, string>();
  const built = await esbuild
    .build({
      entryPoints: [file],
      absWorkingDir: root,
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      target: "node20",
      conditions: [],
      charset: "utf8",
      legalComments: "none",
      logLevel: "silent",
      // Fixed here, so that no tsconfig.json of a lab decides what a stage means.
      tsconfigRaw: { compilerOptions: { target: "ES2023", verbatimModuleSyntax: true } },
      plugins: [keepPackagesOutside(found)],
    })
    .catch((error: BuildFailure) => {
      throw buildError(error, file, root);
    });
  const files = Object.keys(built.metafile.inputs);
  const { text, sections } = relabel(built.outputFiles![0]!.text, files, root);
  const minified = await esbuild.transform(text, {
    minify: true,
    format: "esm",
    charset: "utf8",
    legalComments: "none",
  });
  const externals = usedExternals(text, found);
  return {
    text,
    minified: minified.code,
    files: files.map((key) => path.resolve(root, key)),
    modules: modulesOf(built.metafile).map((key) => path.resolve(root, key)),
    sections,
    packages: packagesOf(externals),
    externals,
  };
}

/** The text with every external specifier replaced by the file that it stands for on this machine. */
export function runnableText(bundle: Pick<Bundle, "text" | "externals">): string {
  let text = bundle.text;
  // CommonJS of a linked package asks for modules by require(), which an ES module lacks and which takes no URLs.
  if (text.includes("__require(")) {
    text = `import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n${text}`;
  }
  for (const [specifier, file] of Object.entries(bundle.externals)) {
    const quoted = JSON.stringify(EXTERNAL + specifier);
    text = text.replaceAll(`__require(${quoted})`, () => `__require(${JSON.stringify(file)})`);
    text = text.replaceAll(quoted, () => JSON.stringify(pathToFileURL(file).href));
  }
  return text;
}

/** A module's name free of machine paths: relative to our package, to the lab, or to the linked package that it is of. */
export function moduleLabel(file: string, root: string): string {
  const inPackage = path.relative(packageRoot(), file);
  if (!inPackage.startsWith("..")) return `${PACKAGE_NAME}/${inPackage.split(path.sep).join("/")}`;
  const inLab = path.relative(root, file);
  const linked = inLab.startsWith("..") ? namedFolderOf(file) : undefined;
  const label = linked ? path.join(linked.name, path.relative(linked.folder, file)) : inLab;
  return label.split(path.sep).join("/");
}

/** The package that a file belongs to: the nearest folder above whose package.json has a name. */
function namedFolderOf(file: string): { readonly name: string; readonly folder: string } | undefined {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const name = readManifest(path.join(folder, "package.json"))?.name;
    if (name !== undefined) return { name, folder };
  }
  return undefined;
}

function keepPackagesOutside(found: Map<string, string>): Plugin {
  const builtins = new Set(builtinModules);
  return {
    name: "keep-packages-outside",
    setup(build) {
      // A lab's stage that imports the package, or an entry point below it, gets the sources in its bundle, so that
      // their changes are noticed.
      build.onResolve({ filter: new RegExp(`^${PACKAGE_NAME}(/[a-z]+)?$`) }, (args) => ({
        path: path.join(packageRoot(), "src", args.path.slice(PACKAGE_NAME.length), "index.ts"),
        sideEffects: false,
      }));
      build.onResolve({ filter: /^[^./]/ }, async (args): Promise<OnResolveResult | undefined> => {
        if (args.kind === "entry-point" || args.pluginData === EXTERNAL) return undefined;
        if (args.path.startsWith("node:") || args.path.startsWith(EXTERNAL)) return { path: args.path, external: true };
        if (builtins.has(args.path)) return { path: `node:${args.path}`, external: true };
        const resolved = await resolvePackage(build, args);
        // A linked package (a workspace, `npm link`, `file:`) changes under the same version: its code is ours to follow.
        if (!isInstalled(resolved.path)) return { path: resolved.path, sideEffects: resolved.sideEffects };
        found.set(args.path, resolved.path);
        return { path: EXTERNAL + args.path, external: true, sideEffects: false };
      });
    },
  };
}

async function resolvePackage(build: PluginBuild, args: OnResolveArgs): Promise<ResolveResult> {
  for (const resolveDir of [args.resolveDir, packageRoot()]) {
    const resolved = await build.resolve(args.path, { kind: args.kind, resolveDir, pluginData: EXTERNAL });
    if (resolved.errors.length === 0 && path.isAbsolute(resolved.path)) return resolved;
  }
  throw new UserError(`${args.importer} imports "${args.path}", which is not installed.`, {
    code: "PACKAGE_NOT_FOUND",
    where: { file: args.importer },
    hint: `Install it in the lab: npm install ${packageName(args.path)}`,
  });
}

/** By the real path, which esbuild resolves to. */
function isInstalled(file: string): boolean {
  return file.split(path.sep).includes("node_modules");
}

/** esbuild writes `// <path>` before each module and quotes paths in lazy modules: give both their labels. */
function relabel(text: string, keys: readonly string[], root: string) {
  const labels = new Map(keys.map((key) => [key, moduleLabel(path.resolve(root, key), root)]));
  const sections: Record<string, string[]> = {};
  let current: string[] = [];
  const lines = text.split("\n").map((line) => {
    const label = labels.get(line.startsWith("// ") ? line.slice(3) : "");
    if (label === undefined) {
      const renamed = line.replace(/^"(.+)"\(/, (whole, key: string) => {
        const name = labels.get(key);
        return name === undefined ? whole : `"${name}"(`;
      });
      // The last section is followed by the bundle's own `export { ... }`; it says nothing about that module.
      current.push(renamed);
      return renamed;
    }
    current = [];
    sections[label] = current;
    return `// ${label}`;
  });
  const digests = Object.entries(sections).map(([label, body]) => [label, digestBytes(body.join("\n").trim())]);
  return { text: lines.join("\n"), sections: Object.fromEntries(digests) as Record<string, Digest> };
}

function modulesOf(metafile: Metafile): string[] {
  return Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs)
      .filter(([, input]) => input.bytesInOutput > 0)
      .map(([key]) => key),
  );
}

/** Only what tree shaking left: an import that nothing reaches decides nothing. */
function usedExternals(text: string, found: ReadonlyMap<string, string>): Record<string, string> {
  const used = [...found].filter(([specifier]) => text.includes(JSON.stringify(EXTERNAL + specifier)));
  return Object.fromEntries(used.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function packagesOf(externals: Readonly<Record<string, string>>): ExternalPackage[] {
  const packages = new Map<string, ExternalPackage>();
  for (const [specifier, file] of Object.entries(externals)) {
    const found = packageOf(packageName(specifier), file);
    if (found) packages.set(found.name, found);
  }
  return [...packages.values()];
}

function packageOf(name: string, file: string): ExternalPackage | undefined {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    const about = readManifest(manifest);
    if (about?.name === name) return { name, version: about.version ?? "0", manifest };
  }
  return undefined;
}

function readManifest(file: string): { name?: string; version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // most folders above an entry file have none
  }
}

/** `@scope/name/deep/path` -> `@scope/name` */
function packageName(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function buildError(failure: BuildFailure, file: string, root: string): Error {
  const first = failure.errors?.[0];
  if (first?.detail instanceof UserError) return first.detail;
  if (!first) return failure;
  const place = first.location;
  return new UserError(`The stage's module does not build: ${first.text}`, {
    code: "STAGE_BUILD_FAILED",
    where: place ? { file: path.resolve(root, place.file), line: place.line, column: place.column + 1 } : { file },
    cause: failure,
  });
}
