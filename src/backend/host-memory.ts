// Buffers of the devices whose memory is the process's own (`reference`, `cpu`): typed arrays with their bookkeeping.

import { UserError } from "../util/errors.ts";
import { formatBytes } from "../util/format.ts";
import type { DeviceBuffer, DType } from "./backend.ts";
import type { Scalar } from "./kernels.ts";

/** Float64Array only in tests, which run the reference kernels in double precision for finite differences. */
export type RealArray = Float32Array | Float64Array;

/** A typed array as a DeviceBuffer. `data` becomes empty when the buffer is freed, so a later use fails its length check. */
export class HostBuffer implements DeviceBuffer {
  constructor(
    readonly dtype: DType,
    public data: RealArray | Int32Array,
  ) {}

  get length(): number {
    return this.data.length;
  }
}

const NOTHING = new Float32Array(0);

/** The numbers of an f32 buffer that holds at least `count` of them. `name` is `kernel.field`, for the message. */
export function reals(buffer: DeviceBuffer, count: number, name: string): RealArray {
  if (!(buffer instanceof HostBuffer)) throw new TypeError(`${name}: not a buffer of this device`);
  if (buffer.dtype !== "f32") throw new TypeError(`${name}: needs f32, got ${buffer.dtype}`);
  if (!(buffer.data.length >= count)) {
    throw new RangeError(`${name}: needs ${count} elements, the buffer holds ${buffer.data.length}`);
  }
  return buffer.data as RealArray;
}

/** The same for a field that may be left out: `null` then. */
export function optionalReals(buffer: DeviceBuffer | undefined, count: number, name: string): RealArray | null {
  return buffer === undefined ? null : reals(buffer, count, name);
}

/** The numbers of an i32 buffer that holds at least `count` of them. */
export function integers(buffer: DeviceBuffer, count: number, name: string): Int32Array {
  if (!(buffer instanceof HostBuffer)) throw new TypeError(`${name}: not a buffer of this device`);
  if (!(buffer.data instanceof Int32Array)) throw new TypeError(`${name}: needs i32, got ${buffer.dtype}`);
  if (!(buffer.data.length >= count)) {
    throw new RangeError(`${name}: needs ${count} elements, the buffer holds ${buffer.data.length}`);
  }
  return buffer.data;
}

/** The value of a scalar now. */
export function realScalar(scalar: Scalar, name: string): number {
  return typeof scalar === "number" ? scalar : reals(scalar.buffer, scalar.index + 1, name)[scalar.index]!;
}

/** The same for one that is kept in an i32 buffer. */
export function integerScalar(scalar: Scalar, name: string): number {
  return typeof scalar === "number" ? scalar : integers(scalar.buffer, scalar.index + 1, name)[scalar.index]!;
}

/** Makes the zero-filled bytes of a buffer; a device may align them. */
export type AllocateBytes = (bytes: number) => { readonly buffer: ArrayBuffer; readonly offset: number };

/** The memory half of a Backend: allocation, copies, and how much is and was in use. */
export class HostMemory {
  private allocatedBytes = 0;
  private peakBytes = 0;

  constructor(
    private readonly device: string,
    private readonly allocateBytes: AllocateBytes = (bytes) => ({ buffer: new ArrayBuffer(bytes), offset: 0 }),
  ) {}

  allocate(dtype: DType, length: number): HostBuffer {
    if (!Number.isInteger(length) || length < 0) throw new RangeError(`allocate: ${length} is not a length`);
    if (dtype === "bf16") throw new TypeError(`allocate: the ${this.device} device keeps no bf16`);
    const bytes = length * 4;
    const { buffer, offset } = this.tryAllocate(bytes);
    this.allocatedBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
    return new HostBuffer(
      dtype,
      dtype === "f32" ? new Float32Array(buffer, offset, length) : new Int32Array(buffer, offset, length),
    );
  }

  free(buffer: DeviceBuffer): void {
    if (!(buffer instanceof HostBuffer)) throw new TypeError("free: not a buffer of this device");
    this.allocatedBytes -= buffer.data.byteLength;
    buffer.data = NOTHING;
  }

  write(buffer: DeviceBuffer, values: Float32Array | Int32Array, offset = 0): void {
    const target = this.dataOf(buffer, offset, values.length, "write");
    if (target instanceof Int32Array !== values instanceof Int32Array) {
      throw new TypeError(`write: the buffer is ${buffer.dtype}, the values are not`);
    }
    target.set(values, offset);
  }

  read(buffer: DeviceBuffer, offset = 0, length = buffer.length - offset): Float32Array | Int32Array {
    const source = this.dataOf(buffer, offset, length, "read");
    return source.slice(offset, offset + length) as Float32Array | Int32Array;
  }

  usage(): { allocatedBytes: number; peakBytes: number } {
    return { allocatedBytes: this.allocatedBytes, peakBytes: this.peakBytes };
  }

  private dataOf(buffer: DeviceBuffer, offset: number, length: number, verb: string): RealArray | Int32Array {
    if (!(buffer instanceof HostBuffer)) throw new TypeError(`${verb}: not a buffer of this device`);
    if (!(offset >= 0 && length >= 0 && offset + length <= buffer.length)) {
      throw new RangeError(`${verb}: elements ${offset}..${offset + length} of a buffer of ${buffer.length}`);
    }
    return buffer.data;
  }

  private tryAllocate(bytes: number): { readonly buffer: ArrayBuffer; readonly offset: number } {
    try {
      return this.allocateBytes(bytes);
    } catch (cause) {
      const held = formatBytes(this.allocatedBytes);
      throw outOfMemory(this.device, `${formatBytes(bytes)}; ${held} are in use already`, cause);
    }
  }
}

/** `what` is the memory asked for, in words. */
export function outOfMemory(device: string, what: string, cause?: unknown): UserError {
  return new UserError(`The ${device} device cannot allocate ${what}.`, {
    code: "OUT_OF_MEMORY",
    hint: "Choose a smaller micro-batch, a shorter context or a smaller model.",
    cause,
  });
}
