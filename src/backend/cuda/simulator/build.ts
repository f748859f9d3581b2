// Builds libcudasim.so: the kernel files of the cuda device compiled by g++ against the simulator's prelude, with the simulated
// driver API on top. Every object is cached by the content of what it is compiled from, so a changed kernel costs one compilation.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { messageOf, UserError } from "../../../util/errors.ts";
import { packageRoot } from "../../../util/package-root.ts";
import { cacheFolder, commandOnPath, compilerVersion } from "../../cpu/build.ts";
import { kernelFiles, kernelSources, readKernelFile } from "../kernel-files.ts";

const run = promisify(execFile);

const COMPILE_LIMIT_MS = 300_000;
const POLL_MS = 50;
const KEEP_MS = 7 * 24 * 3600 * 1000;
// Without fused multiply-adds the results are the same on every x86-64 processor.
const COMMON_FLAGS = ["-std=c++20", "-fPIC", "-g1", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing"];
const ASAN_FLAGS = ["-fsanitize=address", "-fsanitize-sections=cudasim_shared", "-fno-omit-frame-pointer"];

export interface SimulatorOptions {
  /** Kernel files to compile in, such as `gemm.cu`; all of them by default. */
  readonly kernels?: readonly string[];
  /** Built with AddressSanitizer. The process that loads it must have the sanitizer's runtime preloaded. */
  readonly asan?: boolean;
  /** Of the kernel files; 2 by default. */
  readonly optimisation?: 0 | 1 | 2;
  /** Text instead of that of a file of the kernels folder, or of a file that it lacks, by name: for tests that plant faults. */
  readonly sources?: Readonly<Record<string, string>>;
}

/** Why the simulator cannot be built on this machine, or undefined. */
export function simulatorUnavailable(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "the CUDA simulator needs Linux on x86-64";
  return compiler() ? undefined : "the CUDA simulator needs g++ on the PATH";
}

export function simulatorFolder(): string {
  return path.join(packageRoot(), "src", "backend", "cuda", "simulator");
}

/** A kernel as its file declares it; `bounds` is the text in `__launch_bounds__(...)`. */
export interface KernelDeclaration {
  readonly name: string;
  readonly bounds: string | undefined;
}

/** The `extern "C" __global__` functions in preprocessed text. */
export function kernelDeclarations(text: string): KernelDeclaration[] {
  const pattern =
    /extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(((?:[^()]|\([^()]*\))*)\)\s*)?(\w+)\s*\(/g;
  return [...text.matchAll(pattern)].map((match) => ({ name: match[2]!, bounds: match[1]?.trim() }));
}

/**
 * The library's path, compiled now where the cache lacks it.
 * @throws UserError SIMULATOR where there is no g++ or it refuses a source; the hint quotes the compiler.
 */
export async function buildSimulator(options: SimulatorOptions = {}): Promise<string> {
  const reason = simulatorUnavailable();
  if (reason) throw new UserError(reason, { code: "SIMULATOR" });
  const command = compiler()!;
  const folder = path.join(cacheFolder(), "cudasim");
  mkdirSync(folder, { recursive: true });
  const sanitizer = options.asan ? ASAN_FLAGS : [];
  const build: Build = { command, version: await compilerVersion(command), folder, sanitizer };
  const units = [
    ...simulatorUnits().map((file) => simulatorUnit(build, file)),
    ...(options.kernels ?? kernelFiles()).map((file) => kernelUnit(build, file, options)),
  ];
  const library = path.join(folder, `libcudasim-${digest([build.version, ...units.map(({ key }) => key)])}.so`);
  if (existsSync(library)) return library;
  prune(folder);
  const objects = await mapLimited(units, os.availableParallelism(), (unit) => objectOf(build, unit));
  await atomically(folder, library, (target) => compile(build, [...objects, "-shared", "-o", target]));
  return library;
}

interface Build {
  readonly command: string;
  readonly version: string;
  readonly folder: string;
  readonly sanitizer: readonly string[];
}

/** One object file: `key` names all that decides it, `write` puts its C++ source into a folder and returns the path. */
interface Unit {
  readonly key: string;
  readonly flags: readonly string[];
  write(folder: string): Promise<string>;
}

function compiler(): string | undefined {
  return commandOnPath(process.env["CXX"] ? [process.env["CXX"]] : ["g++", "c++"]);
}

function simulatorUnits(): string[] {
  return readdirSync(simulatorFolder())
    .filter((file) => file.endsWith(".cpp"))
    .sort();
}

function headers(): string[] {
  const files = readdirSync(simulatorFolder()).filter((file) => file.endsWith(".h"));
  return files.sort().map((file) => readFileSync(path.join(simulatorFolder(), file), "utf8"));
}

function simulatorUnit(build: Build, file: string): Unit {
  const source = path.join(simulatorFolder(), file);
  const flags = [...COMMON_FLAGS, "-O2", ...build.sanitizer];
  return {
    key: digest([build.version, ...flags, ...headers(), readFileSync(source, "utf8")]),
    flags,
    write: async () => source,
  };
}

function kernelUnit(build: Build, file: string, { sources: replaced = {}, optimisation = 2 }: SimulatorOptions): Unit {
  const sources = kernelSources(file, (name) => replaced[name] ?? readKernelFile(name));
  // What kernels leave unused (a helper header) and how they mix signs is nvcc's concern.
  const flags = [
    ...COMMON_FLAGS,
    "-fstack-clash-protection",
    `-O${optimisation}`,
    ...build.sanitizer,
    "-w",
    `-I${simulatorFolder()}`,
  ];
  return {
    key: digest([build.version, ...flags, ...headers(), ...[...sources].flat()]),
    flags,
    async write(folder) {
      for (const [name, text] of sources) writeFileSync(path.join(folder, name), text);
      const expand = ["-x", "c++", "-std=c++20", "-E", "-P", "-DSTLM_CUDA_PRELUDE", path.join(folder, file)];
      const { stdout } = await run(build.command, expand, { maxBuffer: 1 << 28 });
      const unit = path.join(folder, `${file}.cpp`);
      writeFileSync(unit, kernelSource(file, kernelDeclarations(stdout)));
      return unit;
    },
  };
}

/** The C++ file that compiles one kernel file and registers its kernels. */
function kernelSource(file: string, kernels: readonly KernelDeclaration[]): string {
  return [
    '#include "prelude.h"',
    "namespace cudasim::device {",
    "namespace {",
    `#include "${file}"`,
    ...kernels.map(({ name, bounds }) => `CUDASIM_KERNEL(${name}, (${bounds?.split(",")[0] ?? "1024"}))`),
    "}  // namespace",
    "}  // namespace cudasim::device",
    "",
  ].join("\n");
}

async function objectOf(build: Build, unit: Unit): Promise<string> {
  const object = path.join(build.folder, `${unit.key}.o`);
  if (existsSync(object)) return object;
  await atomically(build.folder, object, async (target, work) => {
    await compile(build, [...unit.flags, "-c", await unit.write(work), "-o", target]);
  });
  return object;
}

async function compile(build: Build, args: readonly string[]): Promise<void> {
  try {
    await run(build.command, [...args, ...build.sanitizer], { timeout: COMPILE_LIMIT_MS, maxBuffer: 1 << 24 });
  } catch (cause) {
    const text = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : messageOf(cause);
    const hint = text.split("\n").slice(0, 20).join("\n");
    throw new UserError("g++ could not build the CUDA simulator.", { code: "SIMULATOR", hint, cause });
  }
}

/**
 * Makes `target` by way of a folder of its own, so that what others read is always whole. Another process that needs the same
 * file waits for it, because test files start together and all of them want the same objects.
 */
async function atomically(folder: string, target: string, make: (file: string, work: string) => Promise<void>) {
  const lock = `${target}.lock`;
  while (!takeLock(lock)) {
    await sleep(POLL_MS);
    if (existsSync(target)) return;
  }
  const work = mkdtempSync(path.join(folder, "build-"));
  try {
    const file = path.join(work, path.basename(target));
    await make(file, work);
    renameSync(file, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(lock, { force: true });
  }
}

/** False while another process has it; one that ended without giving it back loses it. */
function takeLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    if (!isHolderAlive(lock)) rmSync(lock, { force: true });
    return false;
  }
}

function isHolderAlive(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    return pid === 0 || process.kill(pid, 0); // 0: created, not yet written
  } catch {
    return false;
  }
}

/** Takes out what was not used for long: every edit of a kernel leaves an object behind. */
function prune(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    const usedMs = statSync(file, { throwIfNoEntry: false })?.atimeMs ?? Date.now();
    if (Date.now() - usedMs > KEEP_MS) rmSync(file, { recursive: true, force: true });
  }
}

async function mapLimited<T, R>(items: readonly T[], limit: number, map: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await map(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

function digest(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
