// What begins and ends a micro-batch: its ids and targets out of the windows of its step, and the counter of micro-batches.

import { integerScalar, integers } from "../host-memory.ts";
import type { CutWindowsArgs, IncrementArgs } from "../kernels.ts";

export function cutWindows({ size, B, T, ...args }: CutWindowsArgs): void {
  const first = integerScalar(args.microBatch, "cutWindows.microBatch") * size;
  const ids = integers(args.ids, B * T, "cutWindows.ids");
  const targets = integers(args.targets, B * T, "cutWindows.targets");
  const windows = integers(args.windows, (first + B) * (T + 1), "cutWindows.windows");
  if (first < 0) throw new RangeError(`cutWindows: there is no window ${first}`);
  for (let b = 0; b < B; b++) {
    const start = (first + b) * (T + 1);
    ids.set(windows.subarray(start, start + T), b * T);
    targets.set(windows.subarray(start + 1, start + T + 1), b * T);
  }
}

export function increment({ counters, index }: IncrementArgs): void {
  integers(counters, index + 1, "increment.counters")[index]! += 1;
}
