// Launches of kernels/elementwise.cu: sums, multiples, fills and copies of whole buffers, and the bf16 copies of parameters.

import type { DeviceBuffer } from "../../backend.ts";
import type { AddArgs, ClearArgs, CopyArgs, FillArgs, ScaleArgs } from "../../kernels.ts";
import { toBf16 } from "../bf16.ts";
import type { CudaBuffer, Launcher } from "../launcher.ts";
import {
  address,
  blocksOver,
  checked,
  elementType,
  f32,
  i32,
  launch,
  launchOverElements,
  pointer,
  u32,
} from "./arguments.ts";
import { tablesOf } from "./tables.ts";

const TENSORS_AT_ONCE = 128;

export function launchAdd(launcher: Launcher, { y, a, b, length }: AddArgs): void {
  const type = elementType(y, "add.y");
  launchOverElements(launcher, `add_${type}`, { length, type }, [
    address(y, type, length, "add.y"),
    address(a, type, length, "add.a"),
    address(b, type, length, "add.b"),
    u32(length, "add.length"),
  ]);
  refreshCopy(launcher, y, length);
}

export function launchScale(launcher: Launcher, { y, x, factor, length }: ScaleArgs): void {
  const type = elementType(y, "scale.y");
  launchOverElements(launcher, `scale_${type}`, { length, type }, [
    address(y, type, length, "scale.y"),
    address(x, type, length, "scale.x"),
    f32(factor),
    u32(length, "scale.length"),
  ]);
  refreshCopy(launcher, y, length);
}

/** Also for i32 buffers. */
export function launchFill(launcher: Launcher, { y, value, length }: FillArgs): void {
  launchOverElements(launcher, y.dtype === "bf16" ? "fill_16" : "fill_32", { length, type: y.dtype }, [
    address(y, y.dtype, length, "fill.y"),
    u32(bitsOf(y, value)),
    u32(length, "fill.length"),
  ]);
  refreshCopy(launcher, y, length);
}

export function launchClear(launcher: Launcher, { ys }: ClearArgs): void {
  const rows = ys.map((y) => {
    const { address: start, length } = checked(y, "f32", y.length, "clear.y");
    return { pointers: [start], length, blocks: blocksOver(launcher, length, "f32") };
  });
  for (const { argument, count, blocks } of tablesOf(rows, TENSORS_AT_ONCE)) {
    launch(launcher, { kernel: "clear", grid: [blocks, 1, 1], threads: 256, args: [i32(count), argument] });
  }
}

/** Also for i32 buffers. From f32 to bf16 values are rounded to the nearest; other pairs of types are refused. */
export function launchCopy(launcher: Launcher, { y, x, length }: CopyArgs): void {
  const buffers = [
    address(y, y.dtype, length, "copy.y"),
    address(x, x.dtype, length, "copy.x"),
    u32(length, "copy.length"),
  ];
  if (x.dtype === y.dtype) {
    launchOverElements(launcher, y.dtype === "bf16" ? "copy_16" : "copy_32", { length, type: y.dtype }, buffers);
  } else if (x.dtype !== "i32" && y.dtype !== "i32") {
    launchOverElements(launcher, `cast_${x.dtype}_${y.dtype}`, { length, type: "bf16" }, buffers);
  } else {
    throw new TypeError(`copy: from ${x.dtype} to ${y.dtype}`);
  }
  refreshCopy(launcher, y, length);
}

/** Rounds the first `length` elements of a parameter into its bf16 copy, where it has one. */
export function refreshCopy(launcher: Launcher, buffer: DeviceBuffer, length: number): void {
  const { copy, address: from } = checked(buffer, buffer.dtype, length, "refreshCopy");
  if (copy === undefined) return;
  launchOverElements(launcher, "cast_f32_bf16", { length, type: "bf16" }, [pointer(copy), pointer(from), u32(length)]);
}

/** The address of a parameter's bf16 copy, for matrix products. */
export function copyOf(buffer: CudaBuffer, name: string): bigint {
  if (buffer.copy === undefined) throw new TypeError(`${name}: the parameter has no bf16 copy`);
  return buffer.copy;
}

/** A value as the bits of one element. */
function bitsOf({ dtype }: DeviceBuffer, value: number): number {
  if (dtype === "i32") return value >>> 0;
  const single = Float32Array.of(value);
  if (dtype === "f32") return new Uint32Array(single.buffer)[0]!;
  const rounded = new Uint16Array(1);
  toBf16(single, rounded);
  return rounded[0]!;
}
