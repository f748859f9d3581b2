// Compiles the cpu device's library for this processor into the user's cache, so that the first training need not wait for
// a compiler. Run by the build in a clone, and by `npm install` of the package as `postinstall`. An installation never fails
// for it: without a compiler, or where one fails, the first run finds the prebuilt library or says what to do.

import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const built = path.join(root, "dist", "src", "backend", "cpu", "build.js");
// In a clone `npm ci` comes here before there is a build; the build comes again.
if (existsSync(built)) {
  const { compilerOnPath, findLibrary, usableIsas } = await import(pathToFileURL(built).href);
  const best = new Set(["f32", "bf16"].map((precision) => usableIsas(precision)[0]));
  if (compilerOnPath()) await Promise.all([...best].map((isa) => findLibrary(isa)));
}
