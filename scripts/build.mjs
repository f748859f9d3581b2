// Compiles src/ and stages/ to dist/, writes the JSON schema of pipeline.yaml, and makes `npx stlm-pipeline` work in
// the clone. Run by `npm ci` (as `prepare`), `npm pack` and the Makefile. Skips quietly where only dist/ was shipped.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const compiler = path.join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(compiler)) process.exit(0);

rmSync(path.join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });

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
