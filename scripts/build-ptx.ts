// Compiles the cuda device's kernels to src/backend/cuda/ptx/: those whose sources changed, or all of them with --all.
// Needs nvcc on the PATH. Run by `make ptx`; the result is committed.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { commandOnPath } from "../src/backend/cpu/build.ts";
import { kernelFiles, ptxFolder } from "../src/backend/cuda/kernel-files.ts";
import { prettyCanonicalJson } from "../src/util/canonical-json.ts";
import { digestBytes } from "../src/util/digest.ts";
import {
  compilePtx,
  indexFile,
  nvccVersion,
  type PtxIndex,
  ptxFile,
  readIndex,
  sourceDigest,
  staleKernels,
} from "./ptx.ts";

const nvcc = commandOnPath(["nvcc"]);
if (!nvcc) {
  console.error("build-ptx: no nvcc on the PATH. It comes with the CUDA toolkit (13.0 or newer).");
  process.exit(1);
}
const version = await nvccVersion(nvcc);
const index = readIndex();
const stale = process.argv.includes("--all") || index.nvcc !== version ? kernelFiles() : staleKernels(index);
mkdirSync(ptxFolder(), { recursive: true });

const files: Record<string, PtxIndex["files"][string]> = {};
for (const file of kernelFiles()) {
  if (!stale.includes(file)) {
    files[file] = index.files[file]!;
    continue;
  }
  const sources = sourceDigest(file); // before nvcc reads them: an edit meanwhile leaves the PTX stale
  const ptx = await compilePtx(nvcc, file);
  writeFileSync(ptxFile(file), ptx);
  files[file] = { sources, ptx: digestBytes(ptx) };
  console.log(`${file}: ${Math.round(ptx.length / 1024)} KB`);
}
for (const file of Object.keys(index.files)) {
  if (!(file in files)) rmSync(ptxFile(file), { force: true });
}
writeFileSync(indexFile(), prettyCanonicalJson({ nvcc: version, files }));
