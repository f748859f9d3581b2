// The cpu device: C kernels with a thread pool of their own. In f32 its results are the same bits on every x86-64
// machine, for every instruction set and every number of threads; in bf16 on every machine of one class.

import os from "node:os";
import { UserError } from "../../util/errors.ts";
import type { Backend, Precision } from "../backend.ts";
import { HostMemory } from "../host-memory.ts";
import { compilerOnPath, determinismClassOf, type Isa, prebuiltLibrary, usableIsas } from "./build.ts";
import { cpuKernels } from "./kernels.ts";
import { loadNative, type NativeLibrary, type Pointer } from "./native.ts";

export interface CpuOptions {
  /** Threads of the pool, the caller included. Default: one per processor this process may use. */
  readonly threads?: number | undefined;
  /** Default: f32. */
  readonly precision?: Precision | undefined;
  /** Only for tests: this instruction set instead of the best. */
  readonly isa?: Isa | undefined;
}

/** The class of a precision on this machine, which enters stage keys; found without compiling anything. */
export function cpuClass(precision: Precision): string {
  return determinismClassOf(precision, usableIsas(precision)[0] ?? "portable");
}

/** For `doctor`. */
export interface CpuDescription {
  readonly available: boolean;
  readonly isa?: Isa;
  /** The instruction set of bf16, and why there is none. */
  readonly bf16?: Isa;
  readonly noBf16?: string;
  /** First line of `cc --version`; absent where the prebuilt library is used. */
  readonly compiler?: string;
  readonly library?: string;
  /** Why it is not available. */
  readonly reason?: string;
}

/**
 * Starts the device; compiles its library on the first use on a machine (a few seconds).
 * Throws a UserError NO_CPU_DEVICE where there is neither a working compiler nor a prebuilt library.
 */
export async function createCpuBackend({ threads, isa, precision = "f32" }: CpuOptions = {}): Promise<Backend> {
  const library = await loadNative(precision, isa ? [isa] : undefined);
  if ("reason" in library) throw noCpuDevice(library.reason, isa ?? usableIsas(precision)[0]);
  return openLibrary(library, threads ?? os.availableParallelism(), precision);
}

/** What the device would be, found by building and loading it. */
export async function describeCpu(): Promise<CpuDescription> {
  const library = await loadNative("f32");
  if ("reason" in library) return { available: false, reason: library.reason };
  const compiler = library.compiler ? { compiler: library.compiler.version } : {};
  const halves = await loadNative("bf16");
  const bf16 = "reason" in halves ? { noBf16: halves.reason } : { bf16: halves.isa };
  return { available: true, isa: library.isa, library: library.path, ...compiler, ...bf16 };
}

/** Whether a compiler or a prebuilt library is present; a broken compiler is found out only by starting the device. */
export function cpuSeemsAvailable(): boolean {
  return compilerOnPath() !== undefined || usableIsas().some((isa) => prebuiltLibrary(isa) !== undefined);
}

/** The beginning of a hint. */
export const HOW_TO_GET_A_COMPILER =
  "Install a C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev; macOS: xcode-select --install)";

function noCpuDevice(reason: string, isa: Isa | undefined): UserError {
  const special = isa === "amx" || isa === "avx512bf16";
  return new UserError(`The cpu device cannot be started: ${reason}`, {
    code: "NO_CPU_DEVICE",
    hint: special
      ? `Install a C compiler that knows ${isa} (gcc 11 or newer), or set STLM_CPU_ISA=avx512 for bf16 without it, with other results.`
      : `${HOW_TO_GET_A_COMPILER},\nor choose --device reference, which is some hundred times slower.`,
  });
}

/** A device on a library that is loaded already. */
export function openLibrary(library: NativeLibrary, threads: number, precision: Precision): Backend {
  let context: Pointer | null = library.create(Math.max(1, Math.floor(threads)));
  if (!context) throw new UserError("The cpu device cannot allocate its thread pool.", { code: "OUT_OF_MEMORY" });
  const open = () => {
    if (!context) throw new Error("the cpu device was closed");
    return context;
  };
  // 64-byte lines: a vector that straddles two of them costs double.
  const memory = new HostMemory("cpu", (bytes) => {
    const buffer = new ArrayBuffer(bytes + 64);
    return { buffer, offset: (64 - library.misalignment(new Uint8Array(buffer))) % 64 };
  });
  const tables = new Map<string, { table: Float32Array; positions: number }>();
  const ropeTable = (D: number, base: number, positions: number) => {
    const known = tables.get(`${D}:${base}`);
    if (known && known.positions >= positions) return known.table;
    const table = new Float32Array(positions * 2 * D);
    library.ropeTable(table, positions, D, base);
    tables.set(`${D}:${base}`, { table, positions });
    return table;
  };
  const origin = library.compiler?.version ?? "prebuilt";
  return {
    info: {
      name: "cpu",
      determinismClass: determinismClassOf(precision, library.isa),
      description: `cpu (${precision === "bf16" ? "bf16, " : ""}${library.isa}, ${library.threadCount(context)} threads, ${origin})`,
    },
    kernels: cpuKernels({ native: library.kernels, context: open, ropeTable }),
    precision,
    activations: "f32",
    allocate: (dtype, length) => memory.allocate(dtype, length),
    free: (buffer) => memory.free(buffer),
    write: (buffer, values, offset) => memory.write(buffer, values, offset),
    read: (buffer, offset, length) => memory.read(buffer, offset, length),
    readLater: async (buffer, offset, length) => memory.read(buffer, offset, length),
    memory: () => {
      const { allocatedBytes, peakBytes } = memory.usage();
      const scratch = context ? library.scratchBytes(context) : 0;
      return { allocatedBytes: allocatedBytes + scratch, peakBytes: peakBytes + scratch };
    },
    close: () => {
      library.destroy(context);
      context = null;
    },
  };
}
