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

/** A kernel file and what it includes, by name, each text passed through `patch`. */
export function kernelSources(
  file: string,
  patch: (file: string, text: string) => string = (_, text) => text,
): Map<string, string> {
  const sources = new Map<string, string>();
  const visit = (name: string) => {
    if (sources.has(name)) return;
    const text = patch(name, readFileSync(path.join(kernelFolder(), name), "utf8"));
    sources.set(name, text);
    for (const match of text.matchAll(/^\s*#include\s+"([^"]+)"/gm)) visit(match[1]!);
  };
  visit(file);
  return sources;
}
