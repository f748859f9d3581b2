// The rate that a core cannot exceed, measured with its best vector instructions (peak.c), and what a training step of each
// preset needs at that rate: `npx tsx bench/peak.ts`. The other half of the roofline in README.md.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { compilerOnPath, ISA_FLAGS, usableIsas } from "../src/backend/cpu/build.ts";
import { packageRoot } from "../src/util/package-root.ts";
import { sendRow } from "./rows.ts";
import { operationsOf, STEP_PRESETS, type StepPreset } from "./step-cases.ts";

const compiler = compilerOnPath();
if (!compiler) throw new Error("no C compiler on the PATH");
// AMX has no such simple peak: its tiles are fed from memory. Its machines are measured by their vectors here.
const isa = usableIsas("bf16").find((name) => name !== "amx") ?? "avx512bf16";
const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-peak-"));
try {
  const program = path.join(folder, "peak");
  const source = path.join(packageRoot(), "bench", "peak.c");
  execFileSync(compiler, ["-O2", ...ISA_FLAGS[isa], source, "-o", program], { stdio: "inherit" });
  for (const line of execFileSync(program, { encoding: "utf8" }).trim().split("\n")) {
    const [precision, text] = line.split(" ");
    const rate = Number(text);
    sendRow({ suite: "peak of a core", name: precision!, value: rate / 1e9, unit: "GFLOP/s" });
    console.log(`${precision}: ${(rate / 1e9).toFixed(0)} GFLOP/s (${isa})`);
    for (const preset of Object.keys(STEP_PRESETS) as StepPreset[]) {
      const operations = operationsOf(preset);
      const tokens = STEP_PRESETS[preset].sequences * STEP_PRESETS[preset].contextWindow;
      const perToken = `${(operations / tokens / 1e6).toFixed(1)} MFLOP a token`;
      const bound = `${((operations / rate) * 1e3).toFixed(0)} ms CPU a step at that rate`;
      console.log(`  ${preset}: ${(operations / 1e9).toFixed(1)} GFLOP a step, ${perToken}, ${bound}`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
