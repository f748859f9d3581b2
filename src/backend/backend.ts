// A device: memory and kernels. Knows nothing of gradients' bookkeeping, of layers or of training.

import type { Kernels } from "./kernels.ts";

export type DType = "f32" | "bf16" | "i32";

/**
 * How a device computes. `f32`: everything in float32. `bf16`: operands of matrix products are rounded to bfloat16 and summed
 * in float32; parameters, their gradients, moments and statistics stay float32.
 */
export type Precision = "f32" | "bf16";

/**
 * Memory on a device. Only the device that made it looks inside; on `reference` and `cpu` it is a typed array,
 * on a GPU it will be an address. `length` counts elements.
 */
export interface DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
}

export interface DeviceInfo {
  readonly name: "reference" | "cpu" | "cuda";
  /**
   * The class within which results are bit for bit equal; it enters the stage key. `reference`: "reference";
   * `cpu` in f32: "cpu-f32" for every x86-64 instruction set and thread count.
   */
  readonly determinismClass: string;
  /** For people and the run record: `cpu (avx512, 2 threads, gcc 12.2.0)`. */
  readonly description: string;
  /** Floating-point operations a second that matrix products could reach at most in this precision, where that is known. */
  readonly peakFlops?: number | undefined;
}

/** Work that a device remembers; see `Backend.record`. */
export interface Recording {
  /** Queue the work, with what its buffers hold when it runs. */
  replay(): void;
  /** Give back the memory that the body allocated. The recording cannot be replayed afterwards. */
  close(): void;
}

export interface Backend {
  readonly info: DeviceInfo;
  readonly kernels: Kernels;
  readonly precision: Precision;
  /** The type in which tapes keep activations and their gradients on this device. */
  readonly activations: "f32" | "bf16";
  /** Zero-filled memory. Throws a UserError OUT_OF_MEMORY that names the size. */
  allocate(dtype: DType, length: number): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  /**
   * Copy host values into `buffer` from element `offset` on, after the work queued before and ahead of what follows; `values` may
   * be changed once the call is back. The dtype must agree; to bf16 go f32 values, rounded to the nearest, ties to even.
   */
  write(buffer: DeviceBuffer, values: Float32Array | Int32Array, offset?: number): void;
  /** Copy out `length` elements from `offset`; a fresh array, f32 from bf16. Waits for all work that was queued before. */
  read(buffer: DeviceBuffer, offset?: number, length?: number): Float32Array | Int32Array;
  /**
   * As read, without waiting: what the buffer holds when the work queued so far is done, whatever is queued afterwards. Resolves
   * in the order of the calls; rejects with the error of that work.
   */
  readLater(buffer: DeviceBuffer, offset?: number, length?: number): Promise<Float32Array | Int32Array>;
  /**
   * Runs `body`, which calls kernels, `allocate` and `free`, but neither `read` nor `write`, and remembers what it called
   * instead of doing it: each replay does it. What the body allocates belongs to the recording, is not zero-filled at a replay,
   * and shares memory where lifetimes do not overlap; it may be used in the body only. Throws what the body throws, with nothing
   * kept. Absent where calls run at once.
   */
  record?(body: () => void): Recording;
  /** Bytes now allocated and the most ever allocated. */
  memory(): { allocatedBytes: number; peakBytes: number };
  /** What else the device knows of the work since it was opened, for the run record: `energy_joules`, `driver`. */
  measures?(): Readonly<Record<string, number | string>>;
  /** Release everything: memory, threads. The backend cannot be used afterwards. */
  close(): void;
}
