// The CUDA kernels under AddressSanitizer, on the simulator: no step outside of global, shared or local memory. The sanitizer's runtime
// must be in the process from its start, so the kernels run in a process of their own.

import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { commandOnPath } from "../../../src/backend/cpu/build.ts";
import { readKernelFile } from "../../../src/backend/cuda/kernel-files.ts";
import { buildSimulator, simulatorUnavailable } from "../../../src/backend/cuda/simulator/build.ts";
import { packageRoot } from "../../../src/util/package-root.ts";

/** The sanitizer's runtime, or undefined where the compiler lacks it. */
function runtime(): string | undefined {
  const compiler = commandOnPath(["g++", "c++"]);
  const file = compiler && execFileSync(compiler, ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim();
  return file && path.isAbsolute(file) ? file : undefined;
}

const sanitizer = simulatorUnavailable() ? undefined : runtime();
const reason = simulatorUnavailable() ?? (sanitizer ? undefined : "the compiler has no AddressSanitizer");

function sweep(library: string): { stdout: string; stderr: string } {
  const script = path.join(import.meta.dirname, "sanitizer", "sweep.ts");
  return spawnSync(process.execPath, ["--import", "tsx", script, library], {
    cwd: packageRoot(),
    encoding: "utf8",
    timeout: 240_000,
    env: {
      ...process.env,
      LD_PRELOAD: sanitizer,
      ASAN_OPTIONS: "detect_leaks=0:detect_stack_use_after_return=0",
      NODE_OPTIONS: "",
    },
  });
}

describe.skipIf(reason !== undefined)(`sanitized CUDA kernels${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test("no step outside of any memory", { timeout: 300_000 }, async () => {
    const { stdout, stderr } = sweep(await buildSimulator({ asan: true, optimisation: 0 }));
    expect(stderr).toBe("");
    expect(stdout).toBe("clean\n");
  });

  test("a read of one row too many is reported with its line", { timeout: 300_000 }, async () => {
    const text = readKernelFile("gemm-operand.cuh").replace("min(row, extent - 1)", "min(row, extent)");
    const sources = { "gemm-operand.cuh": text };
    const library = await buildSimulator({ asan: true, optimisation: 0, kernels: ["gemm.cu"], sources });
    expect(sweep(library).stderr).toMatch(/AddressSanitizer: heap-buffer-overflow[\s\S]*gemm-operand.cuh/);
  });
});
