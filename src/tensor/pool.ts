// Device memory that is used again: a step asks for the same sizes as the one before, so only the first allocates.

import type { Backend, DeviceBuffer, DType } from "../backend/backend.ts";

/** Free buffers by type and length. Buffers come back with whatever they last held. */
export class BufferPool {
  private readonly free = new Map<string, DeviceBuffer[]>();

  constructor(readonly backend: Backend) {}

  /** A buffer of exactly this length, its contents undefined. Throws the backend's OUT_OF_MEMORY. */
  acquire(dtype: DType, length: number): DeviceBuffer {
    return this.free.get(`${dtype} ${length}`)?.pop() ?? this.backend.allocate(dtype, length);
  }

  release(buffer: DeviceBuffer): void {
    const key = `${buffer.dtype} ${buffer.length}`;
    const list = this.free.get(key);
    if (list) list.push(buffer);
    else this.free.set(key, [buffer]);
  }

  /** Give all free buffers back to the device: for callers whose shapes keep changing. */
  trim(): void {
    for (const list of this.free.values()) for (const buffer of list) this.backend.free(buffer);
    this.free.clear();
  }
}
