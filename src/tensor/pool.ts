// Device memory that is used again: a step asks for the same sizes as the one before, so only the first allocates.

import type { Backend, DeviceBuffer, DType } from "../backend/backend.ts";

export interface BufferPoolOptions {
  /**
   * For callers whose shapes keep changing: a free buffer serves for anything shorter, and where all are too short
   * the longest makes way. So there are never more buffers than were in use at once.
   */
  readonly flexible?: boolean;
  /** For recorded work (`Backend.record`): nothing is held here, so that the device sees how long each buffer lives. */
  readonly passThrough?: boolean;
}

/** Free buffers by type and length. Buffers come back with whatever they last held. */
export class BufferPool {
  private readonly free = new Map<string, DeviceBuffer[]>();

  constructor(
    readonly backend: Backend,
    private readonly options: BufferPoolOptions = {},
  ) {}

  /** A buffer of exactly this length, or at least it in a flexible pool; contents undefined. Throws the backend's OUT_OF_MEMORY. */
  acquire(dtype: DType, length: number): DeviceBuffer {
    const buffer = this.free.get(keyOf(dtype, length))?.pop() ?? (this.options.flexible && this.fit(dtype, length));
    return buffer || this.backend.allocate(dtype, length);
  }

  release(buffer: DeviceBuffer): void {
    if (this.options.passThrough) {
      this.backend.free(buffer);
      return;
    }
    const key = keyOf(buffer.dtype, buffer.length);
    const list = this.free.get(key);
    if (list) list.push(buffer);
    else this.free.set(key, [buffer]);
  }

  /** Give all free buffers back to the device: for callers whose shapes keep changing. */
  trim(): void {
    for (const list of this.free.values()) for (const buffer of list) this.backend.free(buffer);
    this.free.clear();
  }

  /** The shortest free buffer that is long enough; without one the longest is given back to the device. */
  private fit(dtype: DType, length: number): DeviceBuffer | undefined {
    let longEnough: DeviceBuffer | undefined;
    let longest: DeviceBuffer | undefined;
    for (const list of this.free.values()) {
      const candidate = list.at(-1);
      if (candidate?.dtype !== dtype) continue;
      if (candidate.length >= length && !(longEnough && longEnough.length <= candidate.length)) longEnough = candidate;
      if (!(longest && longest.length >= candidate.length)) longest = candidate;
    }
    const taken = longEnough ?? longest;
    if (taken) this.free.get(keyOf(dtype, taken.length))!.pop();
    if (taken !== longEnough) this.backend.free(taken!);
    return longEnough;
  }
}

function keyOf(dtype: DType, length: number): string {
  return `${dtype} ${length}`;
}
