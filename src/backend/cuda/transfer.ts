// Copies between host and device. Writes go through a ring of pinned memory and do not wait; reads wait, or are fetched later.

import type { DType } from "../backend.ts";
import { fromBf16, toBf16 } from "./bf16.ts";
import type { Driver } from "./driver/driver.ts";
import { type PinnedBlock, PinnedPool, PinnedRing } from "./driver/pinned.ts";
import type { Event, Stream } from "./driver/stream.ts";
import { Looks } from "./looks.ts";

const RING_BYTES = 16 << 20;
/** So that filling one part overlaps with copying another. */
const PART_BYTES = RING_BYTES / 4;
const READ_PART_BYTES = 16 << 20;

interface Pending {
  readonly copied: Event;
  readonly settle: (error?: unknown) => void;
}

export class Transfers {
  private ring: PinnedRing | undefined;
  private readonly blocks: PinnedPool;
  /** In the order in which they were queued, which is the order in which they end. */
  private readonly pending: Pending[] = [];
  private readonly looks = new Looks();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly driver: Driver,
    private readonly stream: Stream,
  ) {
    this.blocks = new PinnedPool(driver);
  }

  /** Queues the copy of host values to `address`; f32 values become bf16 where `dtype` says so. */
  write(address: bigint, dtype: DType, values: Float32Array | Int32Array): void {
    const size = dtype === "bf16" ? 2 : 4;
    this.ring ??= new PinnedRing(this.driver, this.stream, RING_BYTES);
    for (let done = 0; done < values.length; done += PART_BYTES / size) {
      const part = values.subarray(done, done + PART_BYTES / size);
      this.ring.pass(
        part.length * size,
        (memory, offset) => fill(memory, offset, dtype, part),
        (pinned) => {
          const target = address + BigInt(done * size);
          this.driver.call("cuMemcpyHtoDAsync_v2", target, pinned, part.length * size, this.stream.handle);
        },
      );
    }
  }

  /** A fresh array; waits for all work queued before. */
  read(address: bigint, dtype: DType, length: number): Float32Array | Int32Array {
    const size = dtype === "bf16" ? 2 : 4;
    const result = dtype === "i32" ? new Int32Array(length) : new Float32Array(length);
    const block = this.blocks.acquire(Math.min(length * size, READ_PART_BYTES));
    for (let done = 0; done < length; done += READ_PART_BYTES / size) {
      const count = Math.min(length - done, READ_PART_BYTES / size);
      this.fetch(block, address + BigInt(done * size), count * size);
      this.stream.synchronize();
      result.set(taken(block, dtype, count), done);
    }
    this.blocks.release(block);
    return result;
  }

  /** The same without waiting. */
  readLater(address: bigint, dtype: DType, length: number): Promise<Float32Array | Int32Array> {
    const bytes = length * (dtype === "bf16" ? 2 : 4);
    const block = this.blocks.acquire(bytes);
    this.fetch(block, address, bytes);
    const copied = this.stream.mark();
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown) => {
        if (error !== undefined) reject(error);
        else resolve(taken(block, dtype, length));
        this.blocks.release(block);
      };
      if (this.pending.length === 0) this.looks.begin(performance.now());
      this.pending.push({ copied, settle });
      if (this.timer === undefined) this.schedule(0);
    });
  }

  /** What was to be read later is there at once, or rejected; after that nothing can be copied. */
  close(): void {
    clearTimeout(this.timer);
    this.poll();
    for (const { settle } of this.pending.splice(0)) settle(new Error("the cuda device was closed"));
    this.ring?.close();
    this.blocks.close();
  }

  private fetch(block: PinnedBlock, address: bigint, bytes: number): void {
    if (bytes > 0) this.driver.call("cuMemcpyDtoHAsync_v2", block.address, address, bytes, this.stream.handle);
  }

  private schedule(ms: number): void {
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.poll();
      if (this.pending.length > 0) this.schedule(this.looks.delay(performance.now()));
    }, ms);
  }

  /** Hands out what has arrived. An error of the device is the error of all that waits for it. */
  private poll(): void {
    const waiting = this.pending.length;
    try {
      while (this.pending[0]?.copied.isReached()) this.pending.shift()!.settle();
      this.looks.found(waiting - this.pending.length, performance.now());
    } catch (error) {
      for (const { settle } of this.pending.splice(0)) settle(error);
    }
  }
}

function fill(memory: ArrayBuffer, offset: number, dtype: DType, values: Float32Array | Int32Array): void {
  if (dtype === "i32") new Int32Array(memory, offset, values.length).set(values);
  else if (dtype === "f32") new Float32Array(memory, offset, values.length).set(values);
  else toBf16(values as Float32Array, new Uint16Array(memory, offset, values.length));
}

function taken(block: PinnedBlock, dtype: DType, length: number): Float32Array | Int32Array {
  if (dtype === "i32") return new Int32Array(block.memory, 0, length).slice();
  if (dtype === "f32") return new Float32Array(block.memory, 0, length).slice();
  return fromBf16(new Uint16Array(block.memory, 0, length));
}
