// `node test.mjs` in the bundle for GPU machines: every test file in a process of its own, so that a fault of the GPU ends one file,
// then one file under compute-sanitizer where the toolkit has brought it. Ends in time: what is left at the deadline is named.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { probeNow } from "../../../src/backend/cuda/probe.ts";

const SECONDS = Number(process.env["STLM_TEST_SECONDS"] ?? 450);
/** The kernels at their edges, on small shapes: what a tool that slows them down by a hundred can go through. */
const SANITIZED = "backend-cuda-launch.mjs";
const deadline = performance.now() + SECONDS * 1000;
const folder = path.join(import.meta.dirname, "tests");
const driver = process.env["STLM_TEST_DRIVER"] ?? "libcuda.so.1";

process.env["STLM_CUDA_LIBRARY"] = driver;
const probe = probeNow();
if (!probe.available) {
  console.error(`${probe.reason}\n${probe.hint}`);
  process.exit(1);
}
console.log(`${probe.device.name}, ${driver}`);

/** The exit status; 124 at the deadline. What the program prints is printed. */
function run(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const left = Math.max(1, Math.ceil(deadline - performance.now()));
    const env = { ...process.env, STLM_TEST_DRIVER: driver };
    const child = spawn(command, args, { stdio: "inherit", env, timeout: left, killSignal: "SIGKILL" });
    child.on("error", () => resolve(127));
    child.on("close", (code, signal) => resolve(signal === "SIGKILL" ? 124 : (code ?? 1)));
  });
}

function sanitizer(): string | undefined {
  const folders = [
    ...(process.env["PATH"] ?? "").split(":"),
    "/usr/local/cuda/bin",
    "/usr/local/cuda/compute-sanitizer",
  ];
  return folders.map((bin) => path.join(bin, "compute-sanitizer")).find((file) => existsSync(file));
}

const names = readdirSync(folder).filter((name) => name.endsWith(".mjs"));
// First what a whole training says: it is worth most where the time does not suffice for all.
const order = (name: string) => (name.startsWith("gpu-") ? 0 : 1);
names.sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));

const failed: string[] = [];
for (const name of names) {
  const status = performance.now() < deadline ? await run(process.execPath, [path.join(folder, name)]) : 124;
  if (status === 124) console.log(`${name}: not finished within ${SECONDS} s (STLM_TEST_SECONDS)`);
  if (status !== 0) failed.push(name);
}
const tool = sanitizer();
if (!tool) console.log("compute-sanitizer: skipped, it is not on the PATH");
else if (performance.now() < deadline) {
  const check = ["--error-exitcode", "9", "--print-limit", "20", process.execPath, path.join(folder, SANITIZED)];
  if ((await run(tool, check)) !== 0) failed.push("compute-sanitizer");
}
console.log(failed.length === 0 ? `All ${names.length} files passed on ${driver}.` : `Failed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
