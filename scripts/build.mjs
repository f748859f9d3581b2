// Compiles src/ and stages/ to dist/ and the C library for this processor, writes the JSON schema of pipeline.yaml, and
// makes `npx stlm-pipeline` work in the clone. Run by `npm ci` (as `prepare`), `npm pack` and the Makefile. Skips quietly
// where only dist/ was shipped.
//
// With --if-stale it does nothing where nothing changed since the last build: npx runs `prepare` the first time that it
// is used in a clone, and `npx stlm-pipeline repro` must not wait for a compiler.

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const compiler = path.join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(compiler)) process.exit(0);

const dist = path.join(root, "dist");
const marker = path.join(dist, ".built");
if (process.argv.includes("--if-stale") && isBuilt()) process.exit(0);

// Compiled beside dist/ and swapped in, so that a command that runs meanwhile finds the old one or the new one.
const fresh = path.join(root, "dist.new");
rmSync(fresh, { recursive: true, force: true });
const compile = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", fresh], {
  cwd: root,
  stdio: "inherit",
});
if (compile.status !== 0) process.exit(1);
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);

const main = path.join(root, "dist", "src", "cli", "main.js");
if (existsSync(main)) {
  chmodSync(main, 0o755);
  const link = path.join(root, "node_modules", ".bin", "stlm-pipeline");
  mkdirSync(path.dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(path.relative(path.dirname(link), main), link);
  execFileSync(process.execPath, [main, "schema", "--write", path.join("schema", "pipeline.schema.json")], {
    cwd: root,
  });
}
await import("./compile-native.mjs");
writeFileSync(marker, "");

/** Whether nothing that is compiled is newer than the last build; a folder is, once a file in it is made or deleted. */
function isBuilt() {
  const builtMs = statSync(marker, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = ["src", "stages"].flatMap((folder) => [
    folder,
    ...readdirSync(path.join(root, folder), { recursive: true }).map((name) => path.join(folder, name)),
  ]);
  const settings = ["package.json", "tsconfig.json", "tsconfig.build.json", path.join("scripts", "build.mjs")];
  return [...sources, ...settings].every((name) => statSync(path.join(root, name)).mtimeMs <= builtMs);
}
