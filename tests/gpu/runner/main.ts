// `node test.mjs` in the bundle for GPU machines: every test file in a process of its own, so that a fault of the GPU ends one file,
// then one file under compute-sanitizer where the toolkit has brought it. Ends in time: what is left at the deadline is named.

import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { secondsOf } from "../../../bench/gpu/seconds.ts";
import { probeNow } from "../../../src/backend/cuda/probe.ts";

const SECONDS = secondsOf("STLM_TEST_SECONDS", 450);
/** Of one file: where the GPU hangs, the other files are to have their time. */
const FILE_SECONDS = 180;
/** What a process that was ended returns, as of timeout(1). */
const LATE = 124;
/** What compute-sanitizer is told to return where it finds errors. */
const ERRORS_FOUND = 9;
/** The kernels at their edges, on small shapes: what a tool that slows them down by a hundred can go through. */
const SANITIZED = "backend-cuda-launch.mjs";
const failed: string[] = [];
const deadline = performance.now() + SECONDS * 1000;
const folder = path.join(import.meta.dirname, "tests");

const named = process.env["STLM_TEST_DRIVER"];
if (named) process.env["STLM_CUDA_LIBRARY"] = named;
const probe = probeNow();
if (!probe.available) {
  console.error(`${probe.reason}\n${probe.hint}`);
  process.exit(1);
}
// As it was found: by the loader's path or where containers put it.
const driver = named || probe.driverFile;
console.log(`${probe.device.name}, ${driver}`);

/** The exit status; LATE where the program was ended. What it prints is printed. */
function run(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const left = Math.min(FILE_SECONDS * 1000, Math.max(1, Math.ceil(deadline - performance.now())));
    const env = { ...process.env, STLM_TEST_DRIVER: driver };
    const child = spawn(command, args, { stdio: "inherit", env, timeout: left, killSignal: "SIGKILL" });
    child.on("error", () => resolve(127));
    child.on("close", (code, signal) => resolve(signal === "SIGKILL" ? LATE : (code ?? 1)));
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

/** Whether the sanitizer reports an error. On some machines it cannot run at all, which says nothing about the kernels. */
async function findsErrors(tool: string | undefined): Promise<boolean> {
  const skipped = (reason: string) => console.log(`compute-sanitizer: skipped, ${reason}`);
  if (!tool) skipped("it is not on the PATH");
  else if (failed.includes(SANITIZED)) skipped(`${SANITIZED} fails without it`);
  else if (performance.now() >= deadline) skipped("no time was left");
  else {
    const check = ["--error-exitcode", `${ERRORS_FOUND}`, "--print-limit", "20"];
    const status = await run(tool, [...check, process.execPath, path.join(folder, SANITIZED)]);
    if (status === ERRORS_FOUND) return true;
    if (status !== 0)
      skipped(status === LATE ? "it was not done in time" : `it cannot run here (exit status ${status})`);
  }
  return false;
}

const names = readdirSync(folder).filter((name) => name.endsWith(".mjs"));
// First what a whole training says: it is worth most where the time does not suffice for all.
const order = (name: string) => (name.startsWith("gpu-") ? 0 : 1);
names.sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));

for (const name of names) {
  const status = performance.now() < deadline ? await run(process.execPath, [path.join(folder, name)]) : LATE;
  if (status === LATE)
    console.log(`${name}: not finished (${FILE_SECONDS} s a file, STLM_TEST_SECONDS ${SECONDS} for all)`);
  if (status !== 0) failed.push(name);
}
if (await findsErrors(sanitizer())) failed.push("compute-sanitizer");
console.log(failed.length === 0 ? `All ${names.length} files passed on ${driver}.` : `Failed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
