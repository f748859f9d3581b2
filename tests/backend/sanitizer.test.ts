// The C kernels under AddressSanitizer and UndefinedBehaviorSanitizer; skipped where the compiler lacks them.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { compilerOnPath, ISA_FLAGS, sourceFolder } from "../../src/backend/cpu/build.ts";
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

describe.skipIf(reason !== undefined)(`sanitized kernels${reason ? ` (skipped: ${reason})` : ""}`, () => {
  test.each(testIsas())(
    "%s: no step outside a buffer, no undefined arithmetic, no lost thread",
    { timeout: 300_000 },
    (isa) => {
      const program = path.join(folder, `sweep-${isa}`);
      const units = ["pool.c", "rope-table.c"].map((unit) => path.join(sourceFolder(), unit));
      const sweep = path.join(import.meta.dirname, "sanitizer", "sweep.c");
      // Unoptimised and without forced inlining: instrumented code is slow to compile and quick enough to run.
      const plain = ["-std=gnu11", "-O0", "-g", "-DINLINE=static inline __attribute__((unused))"];
      const flags = [...plain, "-ffp-contract=off", "-fno-math-errno", "-pthread", ...ISA_FLAGS[isa]];
      execFileSync(compilerOnPath()!, [...flags, ...SANITIZERS, sweep, ...units, "-o", program], { stdio: "pipe" });
      const result = spawnSync(program, [isa === "portable" ? "3" : "6"], { encoding: "utf8", timeout: 240_000 });
      expect(result.stderr).toBe("");
      expect(result.stdout).toBe("clean\n");
    },
  );
});
