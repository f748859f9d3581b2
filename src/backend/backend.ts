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
}

export interface Backend {
  readonly info: DeviceInfo;
  readonly kernels: Kernels;
  /** Zero-filled memory. Throws a UserError OUT_OF_MEMORY that names the size. */
  allocate(dtype: DType, length: number): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  /** Copy host values into `buffer` from element `offset` on. The dtype must agree. */
  write(buffer: DeviceBuffer, values: Float32Array | Int32Array, offset?: number): void;
  /** Copy out `length` elements from `offset`; a fresh array. Waits for all work that was queued before. */
  read(buffer: DeviceBuffer, offset?: number, length?: number): Float32Array | Int32Array;
  /** Bytes now allocated and the most ever allocated. */
  memory(): { allocatedBytes: number; peakBytes: number };
  /** Release everything: memory, threads. The backend cannot be used afterwards. */
  close(): void;
}
