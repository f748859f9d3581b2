// Loads the native library and names its functions. Typed arrays are passed by address, without a copy.

import { messageOf } from "../../util/errors.ts";
import type { Precision } from "../backend.ts";
import { type Compiler, findLibrary, ISAS, type Isa, type Library, usableIsas } from "./build.ts";

export type Pointer = unknown;
type Reals = Float32Array | null;
type Status = number;

/** The C functions, in the order of their C arguments; see the files of the same names. */
export interface NativeKernels {
  matmul(
    context: Pointer,
    c: Reals,
    a: Reals,
    b: Reals,
    bias: Reals,
    residual: Reals,
    M: number,
    N: number,
    K: number,
    flags: number,
  ): Status;
  find_bad_id(ids: Int32Array, N: number, lowest: number, V: number): number;
  embedding(
    context: Pointer,
    y: Reals,
    table: Reals,
    ids: Int32Array,
    positions: Reals,
    firstPosition: number,
    N: number,
    T: number,
    C: number,
  ): Status;
  embedding_gradient(
    context: Pointer,
    dTable: Reals,
    dPositions: Reals,
    dy: Reals,
    ids: Int32Array,
    N: number,
    T: number,
    C: number,
  ): Status;
  rms_norm(context: Pointer, y: Reals, rstd: Reals, x: Reals, w: Reals, N: number, C: number, eps: number): Status;
  rms_norm_gradient(
    context: Pointer,
    dx: Reals,
    dw: Reals,
    dy: Reals,
    x: Reals,
    w: Reals,
    rstd: Reals,
    N: number,
    C: number,
    accumulate: number,
  ): Status;
  layer_norm(
    context: Pointer,
    y: Reals,
    mean: Reals,
    rstd: Reals,
    x: Reals,
    w: Reals,
    b: Reals,
    N: number,
    C: number,
    eps: number,
  ): Status;
  layer_norm_gradient(
    context: Pointer,
    dx: Reals,
    dw: Reals,
    db: Reals,
    dy: Reals,
    x: Reals,
    w: Reals,
    mean: Reals,
    rstd: Reals,
    N: number,
    C: number,
    accumulate: number,
  ): Status;
  rope(
    context: Pointer,
    x: Reals,
    table: Reals,
    N: number,
    T: number,
    heads: number,
    D: number,
    stride: number,
    firstPosition: number,
    inverse: number,
  ): Status;
  attention(
    context: Pointer,
    y: Reals,
    lse: Reals,
    qkv: Reals,
    cache: Reals,
    capacity: number,
    past: number,
    B: number,
    T: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    dropout: number,
    ...key: NativeKey
  ): Status;
  attention_gradient(
    context: Pointer,
    dqkv: Reals,
    dy: Reals,
    y: Reals,
    lse: Reals,
    qkv: Reals,
    B: number,
    T: number,
    H: number,
    Hkv: number,
    D: number,
    scale: number,
    dropout: number,
    ...key: NativeKey
  ): Status;
  swiglu(context: Pointer, y: Reals, x: Reals, N: number, F: number): Status;
  swiglu_gradient(context: Pointer, dx: Reals, dy: Reals, x: Reals, N: number, F: number): Status;
  gelu(context: Pointer, y: Reals, x: Reals, length: number): Status;
  gelu_gradient(context: Pointer, dx: Reals, dy: Reals, x: Reals, length: number): Status;
  head_loss(
    context: Pointer,
    losses: Reals,
    x: Reals,
    w: Reals,
    targets: Int32Array,
    N: number,
    C: number,
    V: number,
    dx: Reals,
    dw: Reals,
    gradientScale: number,
  ): Status;
  dropout(context: Pointer, y: Reals, x: Reals, residual: Reals, length: number, ...key: NativeKey): Status;
  add(context: Pointer, y: Reals, a: Reals, b: Reals, length: number): Status;
  scale(context: Pointer, y: Reals, x: Reals, factor: number, length: number): Status;
  column_sum(context: Pointer, db: Reals, dy: Reals, N: number, C: number): Status;
  sum(context: Pointer, out: Reals, x: Reals, length: number, squared: number): Status;
  adamw(
    context: Pointer,
    p: Reals,
    g: Reals,
    m: Reals,
    v: Reals,
    length: number,
    beta1: number,
    beta2: number,
    rate: number,
    inverse2: number,
    eps: number,
    decay: number,
    gradientScale: number,
  ): Status;
}

/** `dropout_key` of philox16.h: uint32 each, but `keep` = 1 / (1 - p). */
export type NativeKey = [
  seed: number,
  purpose: number,
  first: number,
  step: number,
  site: number,
  threshold: number,
  keep: number,
];

/** The C types of the arguments, `p` pointer to float, `i` pointer to int32, `n` int, `l` int64, `u` uint32, `f` float. */
const SIGNATURES: Readonly<Record<keyof NativeKernels, string>> = {
  matmul: "xpppppnnnn",
  find_bad_id: "innn",
  embedding: "xppipnnnn",
  embedding_gradient: "xpppinnn",
  rms_norm: "xppppnnf",
  rms_norm_gradient: "xppppppnnn",
  layer_norm: "xppppppnnf",
  layer_norm_gradient: "xppppppppnnn",
  rope: "xppnnnnnnn",
  attention: "xppppnnnnnnnfnuuuuuuf",
  attention_gradient: "xpppppnnnnnfnuuuuuuf",
  swiglu: "xppnn",
  swiglu_gradient: "xpppnn",
  gelu: "xppl",
  gelu_gradient: "xpppl",
  head_loss: "xpppinnnppf",
  dropout: "xpppluuuuuuf",
  add: "xpppl",
  scale: "xppfl",
  column_sum: "xppnn",
  sum: "xppln",
  adamw: "xpppplfffffff",
};
/** In bf16 these are other functions, `stlm_matmul_bf16_avx512`; the rest is the same in both precisions. */
const BF16_KERNELS: ReadonlySet<string> = new Set(["matmul", "attention", "attention_gradient", "head_loss"]);
const C_TYPES: Readonly<Record<string, string>> = {
  x: "void *",
  p: "float *",
  i: "int32_t *",
  n: "int",
  l: "int64_t",
  u: "uint32_t",
  f: "float",
};

export interface NativeLibrary {
  readonly isa: Isa;
  readonly path: string;
  readonly compiler: Compiler | undefined;
  readonly kernels: NativeKernels;
  create(threads: number): Pointer;
  destroy(context: Pointer): void;
  threadCount(context: Pointer): number;
  scratchBytes(context: Pointer): number;
  /** Bytes from the last 64-byte boundary to the array's start. */
  misalignment(array: Uint8Array): number;
  ropeTable(table: Float32Array, positions: number, D: number, base: number): void;
}

/** What `stlm_best_isa` answers, for each instruction set the least it needs. */
const ISA_RANK: Readonly<Record<Isa, number>> = { amx: 4, avx512bf16: 3, avx512: 2, avx2: 1, portable: 0 };

/** The library for this machine's best instruction set, or the reason why there is none. */
export async function loadNative(
  precision: Precision,
  isas: readonly Isa[] = usableIsas(precision),
): Promise<NativeLibrary | { reason: string }> {
  let reason = `STLM_CPU_ISA is ${process.env["STLM_CPU_ISA"]}; it can be ${ISAS.join(", ")}`;
  for (const isa of isas) {
    const found = await findLibrary(isa);
    if (found.path === undefined) {
      reason = found.reason;
      continue;
    }
    try {
      const library = await bindLibrary(found, precision);
      if (library) return library;
      reason = `this processor has no ${isa}`;
    } catch (error) {
      reason = `${found.path}: ${messageOf(error)}`;
    }
  }
  return { reason };
}

/** The functions of a library, or undefined where the processor lacks its instruction set. */
export async function bindLibrary(
  found: Extract<Library, { path: string }>,
  precision: Precision,
): Promise<NativeLibrary | undefined> {
  const { default: koffi } = await import("koffi");
  const library = koffi.load(found.path);
  if (library.func("int stlm_best_isa()")() < ISA_RANK[found.isa]) return undefined;
  if (found.isa === "amx" && library.func("int stlm_permit_tiles()")() !== 0) {
    throw new Error("the system does not permit the tile registers of AMX");
  }
  const nameOf = (kernel: string) => (precision === "bf16" && BF16_KERNELS.has(kernel) ? `${kernel}_bf16` : kernel);
  const kernels = Object.fromEntries(
    Object.entries(SIGNATURES).map(([name, types]) => [
      name,
      library.func(`int stlm_${nameOf(name)}_${found.isa}(${[...types].map((type) => C_TYPES[type]).join(", ")})`),
    ]),
  ) as unknown as NativeKernels;
  return {
    isa: found.isa,
    path: found.path,
    compiler: found.compiler,
    kernels,
    create: library.func("void *stlm_create(int)"),
    destroy: library.func("void stlm_destroy(void *)"),
    threadCount: library.func("int stlm_thread_count(void *)"),
    scratchBytes: library.func("double stlm_scratch_bytes(void *)"),
    misalignment: library.func("int stlm_misalignment(uint8_t *)"),
    ropeTable: library.func("void stlm_rope_table(float *, int, int, double)"),
  };
}
