// Launches of kernels/micro-batch.cu.

import type { CutWindowsArgs, IncrementArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, checked, i32, integerScalar, launch, pointer } from "./arguments.ts";

export function launchCutWindows(launcher: Launcher, { size, B, T, ...call }: CutWindowsArgs): void {
  const windows = checked(call.windows, "i32", B * (T + 1), "cutWindows.windows");
  launch(launcher, {
    kernel: "cut_windows",
    grid: [Math.ceil((B * T) / 256), 1, 1],
    threads: 256,
    args: [
      address(call.ids, "i32", B * T, "cutWindows.ids"),
      address(call.targets, "i32", B * T, "cutWindows.targets"),
      pointer(windows.address),
      i32(Math.floor(windows.length / (T + 1)), "cutWindows.windows"),
      ...integerScalar(call.microBatch, "cutWindows.microBatch"),
      i32(size, "cutWindows.size"),
      i32(B * T, "cutWindows.ids"),
      i32(T, "cutWindows.T"),
    ],
  });
}

export function launchIncrement(launcher: Launcher, { counters, index }: IncrementArgs): void {
  const { address: start } = checked(counters, "i32", index + 1, "increment.counters");
  launch(launcher, { kernel: "increment", grid: [1, 1, 1], threads: 1, args: [pointer(start + BigInt(4 * index))] });
}
