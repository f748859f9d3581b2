// How long each kernel takes, by events before and after it. Nothing waits while work is queued, so that the GPU always has more to
// do and a kernel's time does not hold the time of its launch; the events are read when the sums are asked for.

import type { Stream, TimedMark } from "./driver/stream.ts";

export interface KernelTime {
  /** As declared, or the name of a library's call; of matrix products with their size. */
  readonly kernel: string;
  readonly launches: number;
  readonly milliseconds: number;
}

/** Given to `createCudaBackend`; measures the device that it opens. */
export class KernelTimes {
  private stream: Stream | undefined;
  private isMeasuring = false;
  private readonly pending: { readonly kernel: string; readonly start: TimedMark; readonly end: TimedMark }[] = [];

  /** Called by the device. */
  attach(stream: Stream): void {
    if (this.stream) throw new Error("KernelTimes measures one device");
    this.stream = stream;
  }

  /** Called by the device when it is closed: what was not asked for is gone. */
  detach(): void {
    for (const { start, end } of this.pending.splice(0)) {
      start.close();
      end.close();
    }
  }

  /** Called by the device with every operation. */
  measure(kernel: string, issue: () => void): void {
    if (!this.isMeasuring || !this.stream) {
      issue();
      return;
    }
    const start = this.stream.timedMark();
    issue();
    this.pending.push({ kernel, start, end: this.stream.timedMark() });
  }

  /** Measure what is issued from now on. */
  begin(): void {
    this.isMeasuring = true;
  }

  /** Sums by name since `begin`, the largest first; waits for the work, and ends measuring. */
  end(): KernelTime[] {
    this.isMeasuring = false;
    const sums = new Map<string, { launches: number; milliseconds: number }>();
    for (const { kernel, start, end } of this.pending.splice(0)) {
      const sum = sums.get(kernel) ?? { launches: 0, milliseconds: 0 };
      sums.set(kernel, { launches: sum.launches + 1, milliseconds: sum.milliseconds + start.until(end) });
      start.close();
      end.close();
    }
    return [...sums]
      .map(([kernel, sum]) => ({ kernel, ...sum }))
      .sort((a, b) => b.milliseconds - a.milliseconds || (a.kernel < b.kernel ? -1 : 1));
  }
}
