// The PTX that ships: compiled from the kernel files by nvcc, its version lowered, and an index that says of which sources it is.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { kernelFiles, kernelFolder, kernelSources, ptxFolder } from "../src/backend/cuda/kernel-files.ts";
import { normaliseNativeSource } from "../src/pipeline/native-source.ts";
import { type Digest, digestBytes, digestOf } from "../src/util/digest.ts";

const run = promisify(execFile);
const COMPILE_LIMIT_MS = 300_000;

/** The oldest architecture with bf16 tensor cores and cp.async; drivers compile it for newer ones. */
export const ARCHITECTURE = "compute_80";
/**
 * What drivers since CUDA 11.8 read. nvcc writes its own newest version, which older drivers refuse, although none of what the
 * kernels use is newer than 7.0.
 */
export const PTX_VERSION = "7.8";
/**
 * Products and sums are fused only where a kernel says fmaf: what nvcc leaves open, each driver's compiler would decide for itself, and
 * a driver's update could change the bits of a run.
 */
export const NVCC_FLAGS = ["-std=c++17", `-arch=${ARCHITECTURE}`, "-fmad=false", "-ptx"];

export interface PtxIndex {
  /** First line of `nvcc --version` that has a number. */
  readonly nvcc: string;
  /** By kernel file: digest of its sources without comments and layout, and of its PTX file. */
  readonly files: Readonly<Record<string, { readonly sources: Digest; readonly ptx: Digest }>>;
}

export function ptxFile(kernelFile: string): string {
  return path.join(ptxFolder(), kernelFile.replace(/\.cu$/, ".ptx"));
}

export function indexFile(): string {
  return path.join(ptxFolder(), "index.json");
}

export function readIndex(): PtxIndex {
  if (!existsSync(indexFile())) return { nvcc: "", files: {} };
  return JSON.parse(readFileSync(indexFile(), "utf8"));
}

/** Of what decides the PTX: the kernel file, what it includes, and how it is compiled. */
export function sourceDigest(kernelFile: string): Digest {
  const sources = [...kernelSources(kernelFile)].map(([name, text]) => [name, normaliseNativeSource(text)]);
  return digestOf("stlm.ptx-sources.v1", { sources, flags: NVCC_FLAGS, version: PTX_VERSION });
}

/** Kernel files whose PTX is missing, was changed, or is of other sources; and PTX files of no kernel file. */
export function staleKernels(index = readIndex()): string[] {
  const files = kernelFiles();
  const isCurrent = (file: string) =>
    existsSync(ptxFile(file)) &&
    index.files[file]?.sources === sourceDigest(file) &&
    index.files[file]?.ptx === digestBytes(readFileSync(ptxFile(file)));
  const orphans = Object.keys(index.files).filter((file) => !files.includes(file));
  return [...files.filter((file) => !isCurrent(file)), ...orphans];
}

/** The PTX of a kernel file. Throws what nvcc says where it refuses the source. */
export async function compilePtx(nvcc: string, kernelFile: string): Promise<string> {
  const work = mkdtempSync(path.join(os.tmpdir(), "stlm-ptx-"));
  try {
    const target = path.join(work, "kernels.ptx");
    // Run in the folder of the sources, so that no path of this machine gets into the text.
    await run(nvcc, [...NVCC_FLAGS, "-o", target, kernelFile], { cwd: kernelFolder(), timeout: COMPILE_LIMIT_MS });
    return readFileSync(target, "utf8").replace(/^\.version .*$/m, `.version ${PTX_VERSION}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** `release 13.0, V13.0.88` */
export async function nvccVersion(nvcc: string): Promise<string> {
  const { stdout } = await run(nvcc, ["--version"], { timeout: 30_000 });
  return /release [^\n]*/.exec(stdout)?.[0] ?? "unknown";
}
