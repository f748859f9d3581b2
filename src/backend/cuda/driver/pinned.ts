// Page-locked host memory: the GPU copies from and to it while the program goes on. A ring for what is written to the device,
// so that a caller's array may change at once, and blocks of their own for results that are read later.

import { viewOf } from "./api.ts";
import type { Driver } from "./driver.ts";
import type { Event, Stream } from "./stream.ts";

export interface PinnedBlock {
  readonly address: bigint;
  readonly memory: ArrayBuffer;
}

/** Page-locked memory. Throws the driver's error where the system has none to lock. */
export function allocatePinned(driver: Driver, bytes: number): PinnedBlock {
  const address = driver.make("cuMemHostAlloc", bytes, 0);
  return { address, memory: viewOf(address, bytes) };
}

export function freePinned(driver: Driver, block: PinnedBlock): void {
  driver.status("cuMemFreeHost", block.address);
}

const ALIGNMENT = 256;

interface Stretch {
  readonly start: number;
  readonly end: number;
  readonly copied: Event;
}

/** Hands out stretches of one pinned block in turn; one is used again when the copy that reads it is done. */
export class PinnedRing {
  private readonly block: PinnedBlock;
  private readonly inFlight: Stretch[] = [];
  private head = 0;

  constructor(
    private readonly driver: Driver,
    private readonly stream: Stream,
    readonly capacity: number,
  ) {
    this.block = allocatePinned(driver, capacity);
  }

  /**
   * Calls `fill` with `bytes` of host memory, then `copy`, which must queue the copy that reads them. Waits only where the ring is
   * full of copies still under way. `bytes` may be at most the capacity.
   */
  pass(bytes: number, fill: (memory: ArrayBuffer, offset: number) => void, copy: (address: bigint) => void): void {
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (length > this.capacity) throw new RangeError(`${bytes} bytes do not fit a ring of ${this.capacity}`);
    if (this.head + length > this.capacity) this.head = 0;
    const [start, end] = [this.head, this.head + length];
    // Copies end in the order they were queued, so the oldest are waited for first.
    while (this.inFlight.some((stretch) => stretch.start < end && start < stretch.end))
      this.inFlight.shift()!.copied.wait();
    fill(this.block.memory, start);
    copy(this.block.address + BigInt(start));
    this.inFlight.push({ start, end, copied: this.stream.mark() });
    while (this.inFlight[0]?.copied.isReached()) this.inFlight.shift();
    this.head = end;
  }

  close(): void {
    freePinned(this.driver, this.block);
  }
}

/** Pinned blocks that are used again, by powers of two. */
export class PinnedPool {
  private readonly idle = new Map<number, PinnedBlock[]>();

  constructor(private readonly driver: Driver) {}

  acquire(bytes: number): PinnedBlock {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, ALIGNMENT)));
    return this.idle.get(size)?.pop() ?? allocatePinned(this.driver, size);
  }

  release(block: PinnedBlock): void {
    const size = block.memory.byteLength;
    const list = this.idle.get(size);
    if (list) list.push(block);
    else this.idle.set(size, [block]);
  }

  close(): void {
    for (const blocks of this.idle.values()) for (const block of blocks) freePinned(this.driver, block);
    this.idle.clear();
  }
}
