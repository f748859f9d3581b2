// The C kernels under AddressSanitizer and UndefinedBehaviorSanitizer; skipped where the compiler lacks them.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compilerOnPath, ISA_FLAGS, sourceFolder, usableIsas } from "../../src/backend/cpu/build.ts";
import { testIsas } from "./devices.ts";

const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];
const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-sanitizer-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Why the sanitizers cannot be used here, or undefined. */
function missing(): string | undefined {
  const compiler = compilerOnPath();
  if (!compiler) return "no C compiler on the PATH";
  const probe = path.join(folder, "probe.c");
  writeFileSync(probe, "int main(void) { return 0; }\n");
  const built = spawnSync(compiler, [...SANITIZERS, probe, "-o", path.join(folder, "probe")], { encoding: "utf8" });
  if (built.status !== 0) return `${compiler} cannot link the sanitizers`;
  return spawnSync(path.join(folder, "probe")).status === 0 ? undefined : "a sanitized program does not run here";
}

const reason = missing();

/** Compiles and runs a sweep, and expects that it prints nothing but "clean". */
function sweep(name: string, sources: readonly string[], flags: readonly string[], ...args: string[]): void {
  const program = path.join(folder, name);
  // Unoptimised and without forced inlining: instrumented code is slow to compile and quick enough to run.
  const plain = ["-std=gnu11", "-O0", "-g", "-DINLINE=static inline __attribute__((unused))"];
  const all = [...plain, "-ffp-contract=off", "-fno-math-errno", "-pthread", ...flags, ...SANITIZERS];
  execFileSync(compilerOnPath()!, [...all, ...sources, "-o", program], { stdio: "pipe" });
  const result = spawnSync(program, args, { encoding: "utf8", timeout: 240_000 });
  expect(result.stderr).toBe("");
  expect(result.stdout).toBe("clean\n");
}

const unit = (name: string) => path.join(sourceFolder(), name);
const local = (...name: string[]) => path.join(import.meta.dirname, ...name);
const simulatedAmx = ["-DSTLM_AMX_SIMULATED", "-include", local("amx-simulated.h")];
const hasBf16 = usableIsas("bf16").some((isa) => isa === "avx512bf16" || isa === "amx");

describe.skipIf(reason !== undefined)(`sanitized kernels${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test.each(testIsas())(
    "%s: no step outside a buffer, no undefined arithmetic, no lost thread",
    { timeout: 300_000 },
    (isa) => {
      const sources = [local("sanitizer", "sweep.c"), unit("pool.c"), unit("rope-table.c")];
      sweep(`sweep-${isa}`, sources, ISA_FLAGS[isa], isa === "portable" ? "3" : "6");
    },
  );

  test.skipIf(!hasBf16).each([
    ["avx512bf16", []],
    ["amx, simulated", simulatedAmx],
  ])("bf16 by %s: no step outside a buffer, no undefined arithmetic", { timeout: 300_000 }, (name, flags) => {
    const sources = [local("sanitizer", "sweep-bf16.c"), unit("attention-bf16.c"), unit("pool.c")];
    sweep(`sweep-bf16-${name.slice(0, 3)}`, sources, [...ISA_FLAGS.avx512bf16, ...flags]);
  });

  test("bf16 emulated: no step outside a buffer, no undefined arithmetic", { timeout: 300_000 }, () => {
    const isa = usableIsas()[0]!;
    const sources = [local("sanitizer", "sweep-bf16.c"), unit("attention-bf16.c"), unit("pool.c")];
    sweep("sweep-bf16-emulated", sources, ISA_FLAGS[isa]);
  });
});
