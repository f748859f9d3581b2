// Builds what a GPU machine needs that has Python and a driver, but no Node.js, compiler or network: tests and benchmark of the cuda
// device as plain JavaScript, koffi, the kernels' PTX, the PyTorch peer that STLM_TORCH_PEER names and, with --archive, the cpu device's
// library and Node.js itself: `npx tsx scripts/gpu-bundle.ts [--folder .gpu] [--archive gpu.tar.xz]`. docs/gpu.md says how it is used.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { compileLibrary, compilerOnPath, isasOf, prebuiltPath } from "../src/backend/cpu/build.ts";
import { prettyCanonicalJson } from "../src/util/canonical-json.ts";
import { packageRoot, packageVersion } from "../src/util/package-root.ts";
import { vi } from "../tests/gpu/runner/vitest.ts";

/** Of the archive: what a machine is given at most. */
const MOST_BYTES = 40e6;
const TESTS = ["tests/backend/cuda", "tests/train/simulated-gpu.test.ts", "tests/gpu"];
/** About sources, about the simulator and its digest, or about stand-ins that g++ compiles. */
const NOT_FOR_A_DEVICE =
  /\/(ptx|simulator[\w-]*|sanitizer|bundle|[\w-]+-mutations|driver|cublaslt|nvml|toy-training)\.test\.ts$/;
/** What tests and benchmark read of the package at run time. */
const READ = ["src/backend/cuda/ptx", "src/backend/cuda/kernels", "src/backend/cpu", "assets/data/stories.jsonl.gz"];

const { values } = parseArgs({
  options: { folder: { type: "string", default: ".gpu" }, archive: { type: "string" } },
});
const root = packageRoot();
const folder = path.resolve(values.folder);

await bundle();
if (values.archive) pack(path.resolve(values.archive));

async function bundle(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const about = { name: "stlm-pipeline", version: packageVersion(), type: "module", commit: commit() };
  writeFileSync(path.join(folder, "package.json"), prettyCanonicalJson(about));
  for (const file of READ) cpSync(path.join(root, file), path.join(folder, file), { recursive: true });
  const peer = process.env["STLM_TORCH_PEER"];
  if (peer) cpSync(peer, path.join(folder, "torch_train.py"));
  copyKoffi();
  if (values.archive) await copyCpuLibraries();
  await bundleScripts();
}

/** The binary of this platform alone: koffi brings its sources, its documentation and one for each libc. */
function copyKoffi(): void {
  const platform = `${process.platform}-${process.arch}`;
  for (const name of ["koffi", `@koromix/koffi-${platform}`]) {
    const from = path.join(root, "node_modules", name);
    const isNeeded = (file: string) =>
      !/\/(doc|src\/core|vendor|musl_x64|cnoke\.cjs)(\/|$)/.test(file.slice(from.length));
    cpSync(from, path.join(folder, "node_modules", name), { recursive: true, filter: isNeeded });
  }
}

/** As in the npm package, so that the cpu device runs where there is no compiler. */
async function copyCpuLibraries(): Promise<void> {
  const compiler = compilerOnPath();
  if (!compiler) throw new Error("no C compiler (cc, gcc or clang) on the PATH");
  for (const isa of isasOf(process.arch)) {
    const target = path.join(folder, path.relative(root, prebuiltPath(isa)));
    mkdirSync(path.dirname(target), { recursive: true });
    await compileLibrary(compiler, isa, target);
  }
}

/** Each test file as an entry of its own, `tests/<name>.mjs`; what they share is in chunks. */
async function bundleScripts(): Promise<void> {
  const standIn = path.join(root, "tests", "gpu", "runner", "vitest.ts");
  const files = TESTS.flatMap((place) => testFiles(path.join(root, place))).filter(
    (file) => !NOT_FOR_A_DEVICE.test(file),
  );
  const entries = new Map(files.map((file) => [`file:${file}`, file]));
  const { warnings, metafile } = await build({
    entryPoints: {
      test: path.join(root, "tests", "gpu", "runner", "main.ts"),
      bench: path.join(root, "bench", "gpu", "run.ts"),
      ...Object.fromEntries([...entries].map(([entry, file]) => [`tests/${nameOf(file)}`, entry])),
    },
    ...{ absWorkingDir: root, outdir: folder, outExtension: { ".js": ".mjs" }, chunkNames: "chunks/[hash]" },
    ...{ bundle: true, splitting: true, format: "esm", platform: "node", target: "node20", logLevel: "warning" },
    alias: { vitest: standIn },
    // package.json says that no module has side effects, which tests/setup.ts has.
    ignoreAnnotations: true,
    metafile: true,
    external: ["koffi"],
    // CommonJS packages inside ES modules ask for it.
    banner: {
      js: 'import { createRequire as __require } from "node:module"; const require = __require(import.meta.url);',
    },
    plugins: [
      {
        name: "test files",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^file:/ }, ({ path: name }) => ({ path: entries.get(name)!, namespace: "test-file" }));
          onLoad({ filter: /.*/, namespace: "test-file" }, ({ path: file }) => ({
            contents: [
              `import { runFile } from ${JSON.stringify(path.join(root, "tests", "gpu", "runner", "run-file.ts"))};`,
              `await runFile(${JSON.stringify(path.relative(root, file))}, () => import(${JSON.stringify(file)}));`,
            ].join("\n"),
            resolveDir: root,
          }));
        },
      },
    ],
  });
  if (warnings.length > 0) throw new Error("a bundle with warnings may lack something");
  requireStandIns(Object.keys(metafile.inputs).filter((file) => /^tests\/.*\.ts$/.test(file)));
}

/** What tests ask of vitest's `vi` is a matter of run time, where the stand-in would lack it on a GPU machine first. */
function requireStandIns(files: readonly string[]): void {
  for (const file of files) {
    for (const [, name] of readFileSync(path.join(root, file), "utf8").matchAll(/\bvi\.(\w+)/g)) {
      if (!(name! in vi)) throw new Error(`${file} uses vi.${name}, which tests/gpu/runner/vitest.ts lacks`);
    }
  }
}

function testFiles(place: string): string[] {
  if (statSync(place).isFile()) return [place];
  const names = readdirSync(place, { recursive: true }).map(String);
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => path.join(place, name));
}

/** `backend-cuda-gemm` of tests/backend/cuda/gemm.test.ts. */
function nameOf(file: string): string {
  const inside = path.relative(path.join(root, "tests"), file);
  return inside.replace(/\.test\.ts$/, "").replaceAll(path.sep, "-");
}

function pack(archive: string): void {
  const node = path.join(folder, "node");
  cpSync(process.execPath, node, { dereference: true });
  execFileSync("strip", ["--strip-all", node]);
  // Python's tarfile reads xz without a program for it.
  execFileSync("tar", ["-C", folder, "-cJf", archive, "."], { env: { ...process.env, XZ_OPT: "-6 -T0" } });
  const { size } = statSync(archive);
  console.log(`${archive}: ${(size / 1e6).toFixed(1)} MB`);
  if (size > MOST_BYTES) throw new Error(`the archive is larger than ${MOST_BYTES / 1e6} MB`);
}

function commit(): string | null {
  if (!existsSync(path.join(root, ".git"))) return null;
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "src") !== "";
  return git("rev-parse", "--short=12", "HEAD") + (changed ? " with changes in src/" : "");
}
