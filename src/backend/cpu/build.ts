// Finds or makes the native library: compiled from the C files beside this module by the system's compiler into a
// cache named by content, or taken from the package's prebuilt folder where there is no compiler.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../util/errors.ts";
import { packageRoot } from "../../util/package-root.ts";
import type { Precision } from "../backend.ts";

const run = promisify(execFile);

/** Best first. In f32 all give the same bits; the first two differ from the third only in their products of bf16. */
export const ISAS = ["amx", "avx512bf16", "avx512", "avx2", "portable"] as const;
export type Isa = (typeof ISAS)[number];

const AVX2 = ["-mavx2", "-mfma"];
const AVX512 = [...AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"];
export const ISA_FLAGS: Readonly<Record<Isa, readonly string[]>> = {
  amx: [...AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
  avx512bf16: [...AVX512, "-mavx512bf16"],
  avx512: AVX512,
  avx2: AVX2,
  portable: [],
};
/** A product and a sum must fuse only where the source says so, or the instruction sets would differ. */
const COMMON_FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno"];
const LINK_FLAGS = ["-shared", "-pthread"];
/** These include the other kernels and take the flags of the instruction set; the rest is for any processor. */
const KERNEL_UNITS: readonly string[] = ["kernels.c", "kernels-bf16.c", "attention-bf16.c"];
const UNITS = [...KERNEL_UNITS, "instruction-set.c", "pool.c", "rope-table.c"];
const COMPILE_LIMIT_MS = 300_000;

export interface Compiler {
  readonly command: string;
  /** First line of `--version`. */
  readonly version: string;
}

/** A library that can be loaded, or why there is none. */
export type Library =
  | { readonly path: string; readonly isa: Isa; readonly source: "compiled" | "prebuilt"; readonly compiler?: Compiler }
  | { readonly path: undefined; readonly reason: string; readonly compiler?: Compiler };

/** The folder with the C files. */
export function sourceFolder(): string {
  return path.join(packageRoot(), "src", "backend", "cpu");
}

/** The instruction sets that a kind of processor can have, best first. */
export function isasOf(architecture: string): readonly Isa[] {
  return architecture === "x64" ? ISAS : ["portable"];
}

/** Instruction sets of one class give the same bits in bf16. */
const BF16_CLASSES: Readonly<Record<Isa, string>> = {
  amx: "cpu-bf16-amx",
  avx512bf16: "cpu-bf16-avx512bf16",
  avx512: "cpu-bf16-emulated",
  avx2: "cpu-bf16-emulated",
  portable: "cpu-bf16-emulated",
};

/** What enters stage keys. In f32 one class for all machines; `isa` decides in bf16. */
export function determinismClassOf(precision: Precision, isa: Isa): string {
  return precision === "f32" ? "cpu-f32" : BF16_CLASSES[isa];
}

/**
 * The instruction sets of this machine that give the same bits as the best one, best first: with the compiler that is at
 * hand a result may come slower, but never out another. `STLM_CPU_ISA` forces one.
 */
export function usableIsas(precision: Precision = "f32"): readonly Isa[] {
  const forced = process.env["STLM_CPU_ISA"];
  if (forced) return ISAS.filter((isa) => isa === forced);
  const isas = presentIsas();
  // In f32 the first two would only be compiled in vain.
  if (precision === "f32") return isas.filter((isa) => isa !== "amx" && isa !== "avx512bf16");
  return isas.filter((isa) => BF16_CLASSES[isa] === BF16_CLASSES[isas[0]!]);
}

function presentIsas(): readonly Isa[] {
  if (process.arch !== "x64") return isasOf(process.arch);
  // Elsewhere than on Linux the loader asks the processor itself before the library is used.
  const flags = existsSync("/proc/cpuinfo") ? /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] : "";
  const has = (...names: string[]) => names.every((name) => ` ${flags} `.includes(` ${name} `));
  if (has("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma")) {
    if (!has("avx512_bf16")) return ISAS.slice(2);
    return has("amx_tile", "amx_bf16") ? ISAS : ISAS.slice(1);
  }
  if (!flags || has("avx2", "fma")) return ["avx2", "portable"];
  return ["portable"];
}

/** The path of `cc`, `gcc` or `clang` (or what `CC` names), without starting it. */
export function compilerOnPath(): string | undefined {
  return commandOnPath(process.env["CC"] ? [process.env["CC"]] : ["cc", "gcc", "clang"]);
}

/** The path of the first of `names` that the PATH has; an absolute one must exist. */
export function commandOnPath(names: readonly string[]): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  for (const name of names) {
    if (path.isAbsolute(name) && existsSync(name)) return name;
    const found = folders.map((folder) => path.join(folder, name)).find(isFile);
    if (found) return found;
  }
  return undefined;
}

/** False also for what lies in a folder that this user may not look into. */
function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Where the package keeps its own libraries for this platform. */
export function prebuiltFolder(): string {
  return path.join(packageRoot(), "prebuilt", `${process.platform}-${process.arch}`);
}

/** The package's own library, named by the digest of what it is compiled from. */
export function prebuiltPath(isa: Isa): string {
  return path.join(prebuiltFolder(), `cpu-${isa}-${sourceDigest([], isa)}.so`);
}

/** The package's own library of these very sources and flags, or undefined: one of others would give other results. */
export function prebuiltLibrary(isa: Isa): string | undefined {
  if (!existsSync(prebuiltFolder())) return undefined;
  const file = prebuiltPath(isa);
  return existsSync(file) ? file : undefined;
}

/**
 * The library for `isa`: cached, else compiled now (a few seconds), else prebuilt. Never throws for a compiler that is
 * missing or fails; the reason quotes it where no prebuilt library matches.
 */
export async function findLibrary(isa: Isa): Promise<Library> {
  const command = compilerOnPath();
  const prebuilt = prebuiltLibrary(isa);
  let failure = "no C compiler (cc, gcc or clang) on the PATH";
  if (command) {
    try {
      const compiler = { command, version: await compilerVersion(command) };
      return { path: await cachedOrCompiled(compiler, isa), isa, source: "compiled", compiler };
    } catch (error) {
      failure = `${command}: ${shortened(error)}`;
    }
  }
  if (prebuilt) return { path: prebuilt, isa, source: "prebuilt" };
  const stale = stalePrebuilt(isa);
  if (stale) return { path: undefined, reason: `${failure}\n(the prebuilt library is of other sources: ${stale})` };
  return { path: undefined, reason: command ? failure : `${failure} and no prebuilt library for this platform` };
}

/** A prebuilt library for `isa` whatever it was compiled from. */
function stalePrebuilt(isa: Isa): string | undefined {
  if (!existsSync(prebuiltFolder())) return undefined;
  const name = readdirSync(prebuiltFolder())
    .sort()
    .find((file) => file.startsWith(`cpu-${isa}`));
  return name && path.join(prebuiltFolder(), name);
}

export async function compilerVersion(command: string): Promise<string> {
  const { stdout } = await run(command, ["--version"], { timeout: 10_000 });
  return stdout.split("\n")[0]!.trim();
}

/** Digest of sources, units, flags and platform, and of what else is given: all that decides the library's bytes. */
function sourceDigest(prefix: readonly string[], isa: Isa): string {
  const hash = createHash("sha256");
  const recipe = [UNITS, KERNEL_UNITS, COMMON_FLAGS, ISA_FLAGS[isa], LINK_FLAGS];
  hash.update(JSON.stringify([...prefix, process.platform, process.arch, ...recipe]));
  const folder = sourceFolder();
  for (const file of readdirSync(folder).sort()) {
    if (/\.[ch]$/.test(file)) hash.update(`\n${file}\n`).update(readFileSync(path.join(folder, file)));
  }
  return hash.digest("hex").slice(0, 32);
}

async function cachedOrCompiled(compiler: Compiler, isa: Isa): Promise<string> {
  const name = `cpu-${isa}-${sourceDigest([compiler.version], isa)}.so`;
  const folder = cacheFolder();
  const target = path.join(folder, name);
  if (!existsSync(target)) await compileLibrary(compiler.command, isa, target);
  return target;
}

/** `$XDG_CACHE_HOME` or `~/.cache`, else a folder of the user's own among the temporary files. */
export function cacheFolder(): string {
  const home = process.env["XDG_CACHE_HOME"] || (os.homedir() && path.join(os.homedir(), ".cache"));
  const fallback = path.join(os.tmpdir(), `stlm-pipeline-${process.getuid?.() ?? "user"}`);
  for (const folder of [...(home ? [path.join(home, "stlm-pipeline")] : []), fallback]) {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (folder === fallback && !isPrivate(folder)) continue;
      rmSync(mkdtempSync(path.join(folder, "probe-")), { recursive: true });
      return folder;
    } catch {
      // Not writable: try the next one; the last one's error says the rest.
    }
  }
  throw new Error(`neither the cache folder nor ${fallback} can be written by this user alone`);
}

/** Among the temporary files anyone can make a folder of this name, and put a library of their own into it. */
function isPrivate(folder: string): boolean {
  if (process.getuid === undefined) return true;
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === process.getuid() && (stat.mode & 0o022) === 0;
}

/** Compiles to `target` by way of a temporary folder beside it, so that concurrent builders cannot disturb each other. */
export async function compileLibrary(command: string, isa: Isa, target: string, extraFlags: readonly string[] = []) {
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(path.join(path.dirname(target), "build-"));
  const limit = { timeout: COMPILE_LIMIT_MS, maxBuffer: 1 << 24 };
  try {
    const objects = await Promise.all(
      UNITS.map(async (unit) => {
        const object = path.join(work, unit.replace(/c$/, "o"));
        const isaFlags = KERNEL_UNITS.includes(unit) ? ISA_FLAGS[isa] : [];
        await run(
          command,
          [...COMMON_FLAGS, ...isaFlags, ...extraFlags, "-c", path.join(sourceFolder(), unit), "-o", object],
          limit,
        );
        return object;
      }),
    );
    const library = path.join(work, "library.so");
    await run(command, [...objects, ...LINK_FLAGS, ...extraFlags, "-o", library], limit);
    renameSync(library, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The first lines of what the compiler said. */
function shortened(error: unknown): string {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  return (stderr || messageOf(error)).split("\n").slice(0, 4).join("\n");
}
