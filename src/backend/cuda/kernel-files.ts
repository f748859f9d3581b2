// The kernel files of the cuda device, and the helpers that each of them includes.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../util/package-root.ts";

export function kernelFolder(): string {
  return path.join(packageRoot(), "src", "backend", "cuda", "kernels");
}

/** Where the PTX of every kernel file lies, as it ships. */
export function ptxFolder(): string {
  return path.join(packageRoot(), "src", "backend", "cuda", "ptx");
}

/** The kernel files, by name (`gemm.cu`), sorted. */
export function kernelFiles(): string[] {
  return readdirSync(kernelFolder())
    .filter((file) => file.endsWith(".cu"))
    .sort();
}

/** The text of a file of the kernels folder. */
export function readKernelFile(name: string): string {
  return readFileSync(path.join(kernelFolder(), name), "utf8");
}

/** A kernel file and what it includes, by name. */
export function kernelSources(file: string, read: (name: string) => string = readKernelFile): Map<string, string> {
  const sources = new Map<string, string>();
  const visit = (name: string) => {
    if (sources.has(name)) return;
    const text = read(name);
    sources.set(name, text);
    for (const match of text.matchAll(/^\s*#include\s+"([^"]+)"/gm)) visit(match[1]!);
  };
  visit(file);
  return sources;
}
