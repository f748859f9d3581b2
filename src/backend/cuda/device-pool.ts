// Device memory in large segments, handed out by best fit: a call to the driver for each tensor would cost more than the work on it.
// All work runs on one stream in order, so memory that is given back can be handed out at once.

import { formatBytes } from "../../util/format.ts";
import { outOfMemory } from "../host-memory.ts";
import type { Driver } from "./driver/driver.ts";
import { CUDA, CudaError } from "./driver/errors.ts";

/** Addresses are multiples of this, as cuBLASLt and 16-byte copies like it. */
const ALIGNMENT = 256;
const SEGMENT_BYTES = 32 << 20;
/** The driver maps memory in pages of this size. */
const PAGE_BYTES = 2 << 20;

interface Range {
  readonly offset: number;
  readonly bytes: number;
}

interface Segment {
  readonly address: bigint;
  readonly bytes: number;
  /** By offset; neighbours are never adjacent. */
  free: Range[];
}

interface Held {
  readonly segment: Segment;
  readonly range: Range;
  /** What was asked for. */
  readonly bytes: number;
}

export class DevicePool {
  private readonly segments: Segment[] = [];
  private readonly held = new Map<bigint, Held>();
  private usedBytes = 0;
  private peakBytes = 0;

  constructor(private readonly driver: Driver) {}

  /** An address; what lies there is undefined. Throws a UserError OUT_OF_MEMORY that names the sizes. */
  allocate(bytes: number): bigint {
    const length = Math.max(1, Math.ceil(bytes / ALIGNMENT)) * ALIGNMENT;
    const { segment, range } = this.bestFit(length) ?? this.grow(length);
    segment.free = segment.free
      .flatMap((free) => (free === range ? [{ offset: free.offset + length, bytes: free.bytes - length }] : [free]))
      .filter((free) => free.bytes > 0);
    const address = segment.address + BigInt(range.offset);
    this.held.set(address, { segment, range: { offset: range.offset, bytes: length }, bytes });
    this.usedBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.usedBytes);
    return address;
  }

  free(address: bigint): void {
    const held = this.held.get(address);
    if (!held) throw new TypeError("free: no memory of this device");
    this.held.delete(address);
    this.usedBytes -= held.bytes;
    const { segment, range } = held;
    const before = segment.free.find((free) => free.offset + free.bytes === range.offset);
    const after = segment.free.find((free) => free.offset === range.offset + range.bytes);
    const offset = before?.offset ?? range.offset;
    const end = after ? after.offset + after.bytes : range.offset + range.bytes;
    segment.free = [
      ...segment.free.filter((free) => free !== before && free !== after),
      { offset, bytes: end - offset },
    ];
    segment.free.sort((a, b) => a.offset - b.offset);
  }

  usage(): { allocatedBytes: number; peakBytes: number } {
    return { allocatedBytes: this.usedBytes, peakBytes: this.peakBytes };
  }

  close(): void {
    for (const segment of this.segments.splice(0)) this.driver.status("cuMemFree_v2", segment.address);
    this.held.clear();
    this.usedBytes = 0;
  }

  private bestFit(length: number): { segment: Segment; range: Range } | undefined {
    let best: { segment: Segment; range: Range } | undefined;
    for (const segment of this.segments) {
      for (const range of segment.free) {
        if (range.bytes >= length && !(best && best.range.bytes <= range.bytes)) best = { segment, range };
      }
    }
    return best;
  }

  private grow(length: number): { segment: Segment; range: Range } {
    const pages = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
    const bytes = Math.max(pages, SEGMENT_BYTES);
    let address = this.ask(bytes);
    if (address === undefined) {
      this.releaseEmpty();
      address = this.ask(bytes) ?? this.ask(pages);
      if (address === undefined) throw this.outOfMemory(length);
      if (bytes !== pages) return this.add(address, pages);
    }
    return this.add(address, bytes);
  }

  private add(address: bigint, bytes: number): { segment: Segment; range: Range } {
    const range = { offset: 0, bytes };
    const segment: Segment = { address, bytes, free: [range] };
    this.segments.push(segment);
    return { segment, range };
  }

  /** Undefined where the GPU has no memory left. */
  private ask(bytes: number): bigint | undefined {
    try {
      return this.driver.make("cuMemAlloc_v2", bytes);
    } catch (error) {
      if (error instanceof CudaError && error.status === CUDA.outOfMemory) return undefined;
      throw error;
    }
  }

  private releaseEmpty(): void {
    for (const segment of [...this.segments]) {
      if (segment.free[0]?.bytes !== segment.bytes) continue;
      this.segments.splice(this.segments.indexOf(segment), 1);
      this.driver.call("cuMemFree_v2", segment.address);
    }
  }

  private outOfMemory(bytes: number) {
    const { out } = this.driver;
    this.driver.call("cuMemGetInfo_v2", out.address, out.address + 8n);
    const [free, total] = [out.view.getBigUint64(0, true), out.view.getBigUint64(8, true)].map(Number);
    const ours = formatBytes(this.usedBytes);
    return outOfMemory(
      "cuda",
      `${formatBytes(bytes)}: ${formatBytes(free!)} of the GPU's ${formatBytes(total!)} are free, and ${ours} are in use by this run`,
    );
  }
}
