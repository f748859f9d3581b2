// Compiles the cpu device's library for every instruction set of this platform into prebuilt/<platform>-<arch>/, so
// that the npm package also runs where there is no compiler. Run by `npm pack` (as `prepack`), after the build.

import { rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const built = path.join(root, "dist", "src", "backend", "cpu", "build.js");
const { compileLibrary, compilerOnPath, isasOf, prebuiltFolder, prebuiltPath } = await import(
  pathToFileURL(built).href
);

const compiler = compilerOnPath();
if (!compiler) {
  console.error("prebuild: no C compiler (cc, gcc or clang) on the PATH; the package would lack its prebuilt library.");
  process.exit(1);
}
// Names hold a digest of the sources: those of earlier sources would stay beside the new ones.
rmSync(prebuiltFolder(), { recursive: true, force: true });
for (const isa of isasOf(process.arch)) {
  const target = prebuiltPath(isa);
  await compileLibrary(compiler, isa, target);
  console.log(path.relative(root, target));
}
