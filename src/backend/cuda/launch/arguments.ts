// What every launch function does first: check buffers against sizes, as the other devices do, and put them into the order and types
// of a kernel's parameters.

import type { DeviceBuffer, DType } from "../../backend.ts";
import { blocksPerMicroBatch } from "../../dropout-blocks.ts";
import type { DropoutKey, Scalar } from "../../kernels.ts";
import type { CudaBuffer, KernelArgument, Launch, Launcher, PlainArgument } from "../launcher.ts";

/** The types in which activations are kept. */
export type ElementType = "f32" | "bf16";

const NULL: PlainArgument = { type: "pointer", value: 0n };
const MOST_ELEMENTS = 2 ** 32 - 1;
const MOST_INTEGER = 2 ** 31 - 1;

export const pointer = (value: bigint): PlainArgument => ({ type: "pointer", value });
export const f32 = (value: number): PlainArgument => ({ type: "f32", value });

/** Throws a RangeError for a number that is no 32-bit integer, such as a size too large for the kernels. */
export function i32(value: number, name = "a kernel's parameter"): PlainArgument {
  if (!Number.isInteger(value) || Math.abs(value) > MOST_INTEGER) throw new RangeError(`${name}: ${value} is no int32`);
  return { type: "i32", value };
}

export function u32(value: number, name = "a kernel's parameter"): PlainArgument {
  if (!Number.isInteger(value) || value < 0 || value > MOST_ELEMENTS) {
    throw new RangeError(`${name}: ${value} is no uint32`);
  }
  return { type: "u32", value };
}

/** A buffer of this device that holds at least `count` elements of `dtype`. `name` is `kernel.field`, for the message. */
export function checked(buffer: DeviceBuffer, dtype: DType, count: number, name: string): CudaBuffer {
  if (!isCudaBuffer(buffer)) throw new TypeError(`${name}: not a buffer of this device`);
  if (buffer.dtype !== dtype) throw new TypeError(`${name}: needs ${dtype}, got ${buffer.dtype}`);
  if (!(buffer.length >= count)) {
    throw new RangeError(`${name}: needs ${count} elements, the buffer holds ${buffer.length}`);
  }
  return buffer;
}

/** The same as a kernel's parameter; a null pointer for a field that was left out. */
export function address(buffer: DeviceBuffer | undefined, dtype: DType, count: number, name: string): KernelArgument {
  return buffer === undefined ? NULL : pointer(checked(buffer, dtype, count, name).address);
}

/** The type of an activation's buffer, which the call's other activations share. */
export function elementType(buffer: DeviceBuffer, name: string): ElementType {
  if (buffer.dtype === "i32") throw new TypeError(`${name}: needs f32 or bf16, got i32`);
  return buffer.dtype;
}

/** A number that the kernel reads when it runs: where it lies, or null, then its value. */
export function realScalar(scalar: Scalar, name: string): KernelArgument[] {
  return typeof scalar === "number" ? [NULL, f32(scalar)] : [pointer(elementAddress(scalar, "f32", name)), f32(0)];
}

export function integerScalar(scalar: Scalar, name: string): KernelArgument[] {
  return typeof scalar === "number"
    ? [NULL, i32(scalar, name)]
    : [pointer(elementAddress(scalar, "i32", name)), i32(0)];
}

/** DROPOUT_PARAMETERS of kernels/dropout.cuh, in a call of `length` elements. Without a key nothing is dropped. */
export function dropoutArguments(key: DropoutKey | undefined, length: number): KernelArgument[] {
  if (!key) return [NULL, u32(0), f32(1), u32(0), NULL, i32(0), NULL, i32(0), u32(0), u32(0)];
  const { probability, seed, step, microBatch, site } = key;
  const p = typeof probability === "number" ? probability : 0;
  return [
    realScalar(probability, "dropout.probability")[0]!,
    u32(Math.min(Math.ceil(p * 2 ** 32), MOST_ELEMENTS), "dropout.probability"),
    f32(1 / (1 - p)),
    u32(seed >>> 0),
    ...integerScalar(step, "dropout.step"),
    ...integerScalar(microBatch, "dropout.microBatch"),
    u32(blocksPerMicroBatch(key, length) % 2 ** 32),
    u32(site, "dropout.site"),
  ];
}

/** Queues a kernel unless it has nothing to do. */
export function launch(launcher: Launcher, call: Launch): void {
  if (call.grid.every((blocks) => blocks > 0)) launcher.launch(call);
}

const THREADS = 256;

/** So many blocks of 256 threads that each thread has a packet of 16 bytes to do, or somewhat more where there are very many. */
export function blocksOver(launcher: Launcher, length: number, type: DType): number {
  const packet = type === "bf16" ? 8 : 4;
  return Math.min(Math.ceil(length / (packet * THREADS)), launcher.multiprocessors * 16);
}

/** Queues a kernel that goes over `length` elements in packets of 16 bytes, whatever its grid. */
export function launchOverElements(
  launcher: Launcher,
  kernel: string,
  { length, type }: { readonly length: number; readonly type: DType },
  args: readonly KernelArgument[],
): void {
  const blocks = blocksOver(launcher, length, type);
  launch(launcher, { kernel, grid: [blocks, 1, 1], threads: THREADS, args });
}

function isCudaBuffer(buffer: DeviceBuffer): buffer is CudaBuffer {
  return "address" in buffer;
}

function elementAddress({ buffer, index }: Exclude<Scalar, number>, dtype: DType, name: string): bigint {
  return checked(buffer, dtype, index + 1, name).address + BigInt(4 * index);
}
