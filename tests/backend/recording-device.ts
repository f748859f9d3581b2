// A device that works later, for tests of everything that must not wait for one: it queues what it is told, runs the queue when
// the event loop turns or a value is read, and replays recordings. As unkind as the contract allows: memory of a recording
// holds NaN whenever it is taken and once it is given back, and what a body may not do throws.

import type { Backend, DeviceBuffer, DType, Recording } from "../../src/backend/backend.ts";
import type { Kernels } from "../../src/backend/kernels.ts";

export interface RecordingDeviceOptions {
  /** The type of activations; bf16 values are kept in the inner device's f32, rounded after each kernel. */
  readonly activations?: "f32" | "bf16";
  /** Turns of the event loop between one part of the queue and the next. */
  readonly turns?: number;
}

export interface RecordingDevice extends Backend {
  record(body: () => void): Recording;
  /** Kernel calls that were made and not replayed, recordings made, and replays. */
  readonly counts: { direct: number; recordings: number; replays: number };
}

class QueuedBuffer implements DeviceBuffer {
  constructor(
    readonly dtype: DType,
    readonly length: number,
    readonly inner: DeviceBuffer,
  ) {}
}

/** Fields that are never activations, in any kernel. */
const NEVER_BF16 =
  "rstd mean logSumExp losses w b bias dw db out sums p g m v positions dPositions dTable buffer ids targets xs ys".split(
    " ",
  );

type Arguments = Readonly<Record<string, unknown>>;

export function createRecordingDevice(inner: Backend, options: RecordingDeviceOptions = {}): RecordingDevice {
  const { activations = "f32", turns = 1 } = options;
  const counts = { direct: 0, recordings: 0, replays: 0 };
  let queue: (() => void)[] = [];
  let body:
    | { readonly work: (() => void)[]; readonly own: Set<QueuedBuffer>; readonly made: DeviceBuffer[] }
    | undefined;
  let isScheduled = false;

  let failure: { readonly error: unknown } | undefined;

  /** As on a GPU, an error of queued work is met by whoever next asks for a result. */
  const flush = () => {
    const work = queue;
    queue = [];
    for (const step of work) {
      try {
        step();
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  const later = (turnsLeft: number) => {
    if (turnsLeft > 0) setImmediate(() => later(turnsLeft - 1));
    else {
      isScheduled = false;
      flush();
    }
  };
  const submit = (work: () => void) => {
    if (body) {
      body.work.push(work);
      return;
    }
    queue.push(work);
    if (!isScheduled) {
      isScheduled = true;
      later(turns);
    }
  };
  const outside = (what: string) => {
    if (body) throw new Error(`${what} in a body that is recorded`);
  };
  const own = (buffer: DeviceBuffer): QueuedBuffer => {
    if (!(buffer instanceof QueuedBuffer)) throw new TypeError("not a buffer of this device");
    return buffer;
  };
  const poison = ({ inner: buffer }: QueuedBuffer) => {
    const values = new Float32Array(buffer.length).fill(Number.NaN);
    inner.write(buffer, buffer.dtype === "i32" ? new Int32Array(buffer.length).fill(-7) : values);
  };
  const make = (dtype: DType, length: number, reused?: DeviceBuffer) => {
    return new QueuedBuffer(dtype, length, reused ?? inner.allocate(dtype === "i32" ? "i32" : "f32", length));
  };

  const call = (name: keyof Kernels, args: Arguments) => {
    const rounded: QueuedBuffer[] = [];
    const innerArgs = translated(name, args, rounded);
    if (!body) counts.direct++;
    submit(() => {
      (inner.kernels[name] as (args: unknown) => void)(innerArgs);
      for (const buffer of rounded) inner.write(buffer.inner, toBf16(inner.read(buffer.inner) as Float32Array));
    });
  };

  return {
    info: { ...inner.info, description: `${inner.info.description}, recorded` },
    kernels: new Proxy({} as Kernels, { get: (_, name: keyof Kernels) => (args: Arguments) => call(name, args) }),
    precision: activations,
    activations,
    counts,
    allocate(dtype, length) {
      if (!body) return make(dtype, length);
      // Memory whose lifetime is over serves again, as in a plan of one arena.
      const reused = body.made.findIndex((b) => b.length === length && (b.dtype === "i32") === (dtype === "i32"));
      const buffer = make(dtype, length, reused < 0 ? undefined : body.made.splice(reused, 1)[0]);
      body.own.add(buffer);
      submit(() => poison(buffer));
      return buffer;
    },
    free(buffer) {
      const freed = own(buffer);
      if (!body) {
        submit(() => inner.free(freed.inner));
        return;
      }
      if (!body.own.delete(freed)) throw new Error("freed in a body, but not allocated there");
      body.made.push(freed.inner);
      submit(() => poison(freed));
    },
    write(buffer, values, offset = 0) {
      outside("write");
      const copy = values.slice();
      const { dtype, inner: target } = own(buffer);
      submit(() => inner.write(target, dtype === "bf16" ? toBf16(copy as Float32Array) : copy, offset));
    },
    read(buffer, offset, length) {
      outside("read");
      flush();
      if (failure) throw failure.error;
      return inner.read(own(buffer).inner, offset, length);
    },
    readLater(buffer, offset, length) {
      outside("readLater");
      return new Promise((resolve, reject) => {
        submit(() => {
          if (failure) reject(failure.error);
          else resolve(inner.read(own(buffer).inner, offset, length));
        });
      });
    },
    record(run) {
      outside("record");
      counts.recordings++;
      const recorded = { work: [] as (() => void)[], own: new Set<QueuedBuffer>(), made: [] as DeviceBuffer[] };
      body = recorded;
      try {
        run();
      } finally {
        body = undefined;
      }
      let isClosed = false;
      return {
        replay() {
          if (isClosed) throw new Error("replayed after it was closed");
          outside("replay");
          counts.replays++;
          for (const work of recorded.work) submit(work);
        },
        close() {
          isClosed = true;
          const memory = [...recorded.made, ...[...recorded.own].map((buffer) => buffer.inner)];
          submit(() => {
            for (const buffer of memory) inner.free(buffer);
          });
        },
      };
    },
    memory: () => inner.memory(),
    close() {
      queue = [];
      inner.close();
    },
  };
}

/** The arguments with this device's buffers replaced by the inner ones; bf16 buffers that may be written go to `rounded`. */
function translated(kernel: string, args: Arguments, rounded: QueuedBuffer[]): Record<string, unknown> {
  const inner = (field: string, value: unknown): unknown => {
    if (value instanceof QueuedBuffer) {
      const isActivation = !(NEVER_BF16.includes(field) && !(kernel === "add" && field === "b"));
      if (value.dtype === "bf16" && !isActivation && !(kernel === "matmul" && field === "b")) {
        throw new TypeError(`${kernel}.${field} is never bf16`);
      }
      if (value.dtype === "bf16") rounded.push(value);
      return value.inner;
    }
    if (Array.isArray(value)) return value.map((item) => inner(field, item));
    const isPlain = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    return isPlain ? translated(kernel, value as Arguments, rounded) : value;
  };
  return Object.fromEntries(Object.entries(args).map(([field, value]) => [field, inner(field, value)]));
}

/** To the nearest bfloat16, ties to even. */
export function toBf16(values: Float32Array): Float32Array {
  const bits = new Uint32Array(values.slice().buffer);
  for (let i = 0; i < bits.length; i++) {
    if (Number.isNaN(values[i])) continue;
    bits[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) & 0xffff0000;
  }
  return new Float32Array(bits.buffer);
}
