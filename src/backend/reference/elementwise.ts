// Sums, multiples and copies of whole buffers.

import { HostBuffer, reals } from "../host-memory.ts";
import type { AddArgs, ClearArgs, CopyArgs, FillArgs, ScaleArgs } from "../kernels.ts";

export function add({ length, ...args }: AddArgs): void {
  const y = reals(args.y, length, "add.y");
  const a = reals(args.a, length, "add.a");
  const b = reals(args.b, length, "add.b");
  for (let i = 0; i < length; i++) y[i] = a[i]! + b[i]!;
}

export function scale({ length, factor, ...args }: ScaleArgs): void {
  const y = reals(args.y, length, "scale.y");
  const x = reals(args.x, length, "scale.x");
  for (let i = 0; i < length; i++) y[i] = factor * x[i]!;
}

/** Also for i32 buffers. */
export function fill({ y, value, length }: FillArgs): void {
  hostData(y, length, "fill.y").fill(value, 0, length);
}

export function clear({ ys }: ClearArgs): void {
  for (const y of ys) reals(y, y.length, "clear.y").fill(0);
}

/** Also for i32 buffers; both must have the same dtype. */
export function copy({ y, x, length }: CopyArgs): void {
  const source = hostData(x, length, "copy.x");
  if (x.dtype !== y.dtype) throw new TypeError(`copy: from ${x.dtype} to ${y.dtype}`);
  hostData(y, length, "copy.y").set(source.subarray(0, length));
}

function hostData(buffer: unknown, length: number, name: string) {
  if (!(buffer instanceof HostBuffer)) throw new TypeError(`${name}: not a buffer of this device`);
  if (!(buffer.length >= length)) {
    throw new RangeError(`${name}: needs ${length} elements, the buffer holds ${buffer.length}`);
  }
  return buffer.data;
}
