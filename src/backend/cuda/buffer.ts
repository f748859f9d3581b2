// A tensor's memory on the cuda device, and the checks that turn a wrong use into a message instead of a fault on the GPU.

import type { DeviceBuffer, DType } from "../backend.ts";
import type { CudaBuffer } from "./launcher.ts";

export const BYTES: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4 };

export class CudaMemory implements CudaBuffer {
  /** Of an f32 buffer that a matrix product or the embedding has read: where its bf16 copy lies. */
  copy: bigint | undefined = undefined;
  copySlack: number | undefined = undefined;
  private place: bigint | undefined;

  constructor(
    readonly dtype: DType,
    readonly length: number,
    address: bigint,
    /** The recording that it belongs to; undefined for memory of its own. */
    readonly recording: object | undefined,
  ) {
    this.place = address;
  }

  /** Throws where the buffer was freed, or its recording is complete. */
  get address(): bigint {
    if (this.place === undefined)
      throw new TypeError(`a buffer of ${this.length} ${this.dtype} is used after it was freed`);
    return this.place;
  }

  get bytes(): number {
    return this.length * BYTES[this.dtype];
  }

  get isFreed(): boolean {
    return this.place === undefined;
  }

  retire(): void {
    this.place = undefined;
    this.copy = undefined;
    this.copySlack = undefined;
  }
}

export function asCudaMemory(buffer: DeviceBuffer, verb: string): CudaMemory {
  if (!(buffer instanceof CudaMemory)) throw new TypeError(`${verb}: not a buffer of this device`);
  return buffer;
}

/** Throws a RangeError unless elements offset..offset+length lie in the buffer. */
export function checkRange(buffer: DeviceBuffer, offset: number, length: number, verb: string): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.length) return;
  throw new RangeError(`${verb}: elements ${offset}..${offset + length} of a buffer of ${buffer.length}`);
}
