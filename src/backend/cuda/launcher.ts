// What a kernel launch needs of the device: the seam between the functions that know a kernel's parameters and the layer
// that talks to the driver.

import type { DeviceBuffer, DType } from "../backend.ts";

/** Memory of the cuda device: `length` elements of `dtype` at a device address. */
export interface CudaBuffer extends DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
  readonly address: bigint;
  /** Of a parameter (f32) that matrix products read: the address of its bf16 copy. What writes the buffer writes the copy too. */
  readonly copy?: bigint | undefined;
  /** Elements behind the copy that may be read as well, and are zeros. */
  readonly copySlack?: number | undefined;
}

/** A number or an address. Pointers are addresses; 0n is a null pointer. */
export type PlainArgument =
  | { readonly type: "pointer"; readonly value: bigint }
  | { readonly type: "i32" | "u32" | "f32"; readonly value: number };

/** An array of structures, of which the first are given; in each, pointers come before numbers. The last parameter of its kernel. */
export interface TableArgument {
  readonly type: "table";
  readonly rows: readonly (readonly PlainArgument[])[];
}

/** One parameter of a kernel, in the order of its declaration. */
export type KernelArgument = PlainArgument | TableArgument;

/** One launch: the kernel's name as declared `extern "C"`, its grid in blocks, its block in threads. */
export interface Launch {
  readonly kernel: string;
  /** Its line in a table of times, where one kernel does different things: `gemm_nn_128x128 4096x512x1536`. Else the kernel's name. */
  readonly label?: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly threads: number;
  /** Dynamic shared memory, bytes. */
  readonly sharedBytes?: number;
  readonly args: readonly KernelArgument[];
}

/** A call of a library (cuBLASLt) that queues its own kernels. */
export interface LibraryCall {
  /** For tables of times: `cublasLtMatmul_nt 4096x512x1536`. */
  readonly name: string;
  /** All memory that it reads and writes; a recording may move what it allocated. */
  readonly addresses: readonly bigint[];
  /** Queue it on `stream`, on the memory at `addresses`, which are those above or where they were moved to. */
  readonly issue: (addresses: readonly bigint[], stream: bigint) => void;
}

export interface Launcher {
  /** Queue a kernel on the device's stream; returns at once. */
  launch(launch: Launch): void;
  /**
   * Memory for the length of one operation, contents undefined, 256-byte aligned. What an earlier call in the same operation got
   * stays valid; all of it is reused by the next operation.
   */
  workspace(bytes: number): bigint;
  /** Queue a library's call; absent where there is no library. */
  call?(call: LibraryCall): void;
  /** Streaming multiprocessors: how many blocks a grid should have at least. */
  readonly multiprocessors: number;
}
