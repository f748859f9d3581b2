// Memory, copies and recordings on the simulated driver, with kernels launched by hand.

import * as fc from "fast-check";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fromBf16, toBf16 } from "../../../src/backend/cuda/bf16.ts";
import type { CudaMemory } from "../../../src/backend/cuda/buffer.ts";
import type { CudaDevice } from "../../../src/backend/cuda/device.ts";
import { addition, DriverRig, driverUnavailable, isSimulated, scaling } from "./driver-rig.ts";

const missing = driverUnavailable();
if (missing) console.error(`The driver layer is not tested: ${missing}`);

interface Step {
  readonly left: number;
  readonly right: number;
  readonly drop: number | null;
}

const ramp = (length: number, factor = 1) => Float32Array.from({ length }, (_, i) => factor * (i - 3));

describe.skipIf(missing)("the cuda device on the simulated driver", () => {
  let rig: DriverRig;
  let device: CudaDevice;
  beforeAll(async () => {
    rig = await DriverRig.create(["elementwise.cu"]);
  });
  beforeEach(() => {
    rig.reset();
    device = rig.openDevice().device;
  });
  afterEach(() => device.close());

  const upload = (values: Float32Array) => {
    const buffer = device.allocate("f32", values.length);
    device.write(buffer, values);
    return buffer;
  };
  test("memory is zero at first, also where another buffer lay before", () => {
    const first = upload(ramp(1000));
    device.free(first);
    expect(device.read(device.allocate("f32", 1000))).toEqual(new Float32Array(1000));
    expect(device.read(device.allocate("bf16", 7))).toEqual(new Float32Array(7));
    expect(device.read(device.allocate("i32", 7))).toEqual(new Int32Array(7));
    expect(device.read(device.allocate("f32", 0))).toEqual(new Float32Array(0));
  });

  test("what is written is read back, whole or in part, in every type", () => {
    const reals = device.allocate("f32", 10);
    device.write(reals, ramp(4), 3);
    expect([...device.read(reals)]).toEqual([0, 0, 0, -3, -2, -1, 0, 0, 0, 0]);
    expect([...device.read(reals, 4, 2)]).toEqual([-2, -1]);
    const ids = device.allocate("i32", 5);
    device.write(ids, Int32Array.of(7, -1), 1);
    expect([...device.read(ids)]).toEqual([0, 7, -1, 0, 0]);
    const halves = device.allocate("bf16", 4);
    device.write(halves, Float32Array.of(1, 1.00390625, 1.01171875, -0.1));
    expect([...device.read(halves)]).toEqual([1, 1, 1.015625, -0.10009765625]);
  });

  test("measuring in the middle of an operation leaves that operation's workspace alone", () => {
    device.beginOperation();
    const held = device.launcher.workspace(512);
    const bench = device.bench();
    const used = bench.scratch([256], ([scratch]) => {
      const taken: bigint[] = [];
      bench.time(() => taken.push(bench.launcher.workspace(256)));
      return [scratch!, ...taken];
    });
    const next = device.launcher.workspace(512);
    const lies = (address: bigint, start: bigint) => address >= start && address < start + 512n;
    expect([...used, next].filter((address) => lies(address, held))).toEqual([]);
    expect(new Set(used.slice(1)).size).toBe(1);
    device.beginOperation();
  });

  test("rounding to bf16 takes the nearest, ties to even, and keeps infinities and NaN", () => {
    const bits = (value: number) => {
      const out = new Uint16Array(1);
      toBf16(Float32Array.of(value), out);
      return out;
    };
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, max: 2 ** 126, min: -(2 ** 126) }), (value) => {
        const rounded = fromBf16(bits(value))[0]!;
        const step = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(value), 2 ** -126))) - 7);
        expect(Math.abs(rounded - value)).toBeLessThanOrEqual(step / 2);
        expect(bits(rounded)).toEqual(bits(value));
      }),
    );
    expect(fromBf16(bits(Number.POSITIVE_INFINITY))[0]).toBe(Number.POSITIVE_INFINITY);
    expect(fromBf16(bits(3.4e38))[0]).toBe(Number.POSITIVE_INFINITY);
    expect(fromBf16(bits(Number.NaN))[0]).toBeNaN();
  });

  test("the caller may change its array as soon as a write is back, however late the copy runs", () => {
    rig.defer();
    const values = ramp(5000);
    const buffer = upload(values);
    values.fill(99);
    expect(device.read(buffer)).toEqual(ramp(5000));
  });

  test("more than the ring of pinned memory holds goes through in parts", () => {
    rig.defer();
    const long = Float32Array.from({ length: 6_000_000 }, (_, i) => i % 8191);
    const buffer = upload(long);
    const other = upload(ramp(10));
    const same = Buffer.compare(Buffer.from(device.read(buffer).buffer), Buffer.from(long.buffer)) === 0;
    expect(same).toBe(true);
    expect(device.read(other)).toEqual(ramp(10));
  });

  test("a result is read later as it was when it was asked for", async () => {
    rig.defer();
    const x = upload(ramp(4));
    const before = device.readLater(x);
    device.launcher.launch(scaling(x, x, 2, 4));
    const after = device.readLater(x, 1, 2);
    device.write(x, ramp(4, 100));
    device.stream.synchronize();
    expect(await before).toEqual(ramp(4));
    expect([...(await after)]).toEqual([-4, -2]);
  });

  test.skipIf(!isSimulated).each([
    [20, []],
    [
      200,
      [expect.stringMatching(/^Compiling the CUDA kernels for sm_80, once for each .* \(scale_f32.ptx is done\)\.$/)],
    ],
  ] as const)(
    "that the driver compiles kernels is said once, after the first file, where it takes long: %i ms",
    (milliseconds, expected) => {
      const modules = ["scale_f32", "add_f32"].map((name) => ({
        name: `${name}.ptx`,
        ptx: `.version 7.8\n.target sm_80\n.address_size 64\n.visible .entry ${name}(`,
      }));
      const said: string[] = [];
      const other = rig.openDevice({ modules, inform: (message) => said.push(message) }).device;
      const x = other.allocate("f32", 8);
      const clock = performance.now;
      let now = 0;
      performance.now = () => {
        now += milliseconds;
        return now;
      };
      try {
        other.launcher.launch(scaling(x, x, 2, 8));
        other.launcher.launch(addition(x, x, x, 8));
      } finally {
        performance.now = clock;
      }
      other.close();
      expect(said).toEqual(expected);
    },
  );

  test("a wrong use of a buffer is refused before anything is queued", () => {
    const buffer = device.allocate("f32", 4);
    expect(() => device.write(buffer, ramp(3), 2)).toThrow("write: elements 2..5 of a buffer of 4");
    expect(() => device.read(buffer, -1, 2)).toThrow(RangeError);
    expect(() => device.write(buffer, Int32Array.of(1))).toThrow("the buffer is f32, the values are not");
    expect(() => device.allocate("f32", -1)).toThrow(RangeError);
    expect(() => device.read({ dtype: "f32", length: 1 })).toThrow("not a buffer of this device");
    device.free(buffer);
    expect(() => device.free(buffer)).toThrow("freed before");
    expect(() => device.read(buffer, 0, 1)).toThrow("used after it was freed");
  });

  test.skipIf(!isSimulated)(
    "memory is counted as it is asked for and given back, and given back memory is used again",
    () => {
      const before = device.memory().allocatedBytes;
      const a = device.allocate("f32", 1000);
      const b = device.allocate("bf16", 500);
      expect(device.memory().allocatedBytes - before).toBe(5000);
      const calls = rig.count("cuMemAlloc_v2");
      device.free(a);
      device.free(b);
      for (let i = 0; i < 100; i++) device.free(device.allocate("f32", 1000 + i));
      expect(device.memory().allocatedBytes).toBe(before);
      expect(device.memory().peakBytes - before).toBeGreaterThanOrEqual(5000);
      expect(rig.count("cuMemAlloc_v2")).toBe(calls);
    },
  );

  test("any order of allocations and frees leaves buffers apart", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(40_000), fc.boolean()), { maxLength: 40 }), (steps) => {
        const held: { buffer: ReturnType<CudaDevice["allocate"]>; value: number }[] = [];
        for (const [i, [length, release]] of steps.entries()) {
          if (release && held.length > 0) device.free(held.splice(length % held.length, 1)[0]!.buffer);
          const buffer = device.allocate("i32", length + 1);
          device.write(buffer, new Int32Array(length + 1).fill(i));
          held.push({ buffer, value: i });
        }
        for (const { buffer, value } of held) {
          const first = device.read(buffer, 0, 1)[0];
          const last = device.read(buffer, buffer.length - 1, 1)[0];
          expect([first, last]).toEqual([value, value]);
          device.free(buffer);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("an f32 buffer's bf16 copy follows every write, has zeros behind it, and is given back with it", () => {
    const x = upload(Float32Array.from({ length: 600 }, (_, i) => i % 256));
    const held = device.memory().allocatedBytes;
    device.ensureCopy(x);
    expect(device.memory().allocatedBytes - held).toBe(1200 + 2 * x.copySlack!);
    const slack = device.allocate("bf16", x.copySlack!);
    const args = [slack.address, x.copy! + 1200n].map((value) => ({ type: "pointer", value }) as const);
    const count = { type: "u32", value: slack.length / 2 } as const;
    device.launcher.launch({ kernel: "copy_32", grid: [1, 1, 1], threads: 256, args: [...args, count] });
    expect(device.read(slack)).toEqual(new Float32Array(slack.length));
    device.free(slack);
    const copy = () => {
      const probe = device.allocate("f32", 300);
      const args = [probe.address, x.copy!].map((value) => ({ type: "pointer", value }) as const);
      const length = { type: "u32", value: 300 } as const;
      device.launcher.launch({ kernel: "copy_32", grid: [1, 1, 1], threads: 256, args: [...args, length] });
      const words = device.read(probe) as Float32Array;
      device.free(probe);
      return fromBf16(new Uint16Array(words.buffer));
    };
    expect(copy()).toEqual(device.read(x));
    device.write(x, Float32Array.of(0.5, 1.00390625), 5);
    expect([...copy().subarray(4, 8)]).toEqual([4, 0.5, 1, 7]);
    device.free(x);
    expect(device.memory().allocatedBytes).toBe(held - 2400);
  });

  describe.each([
    ["a captured graph", {}],
    ["calls one by one", { graphs: false }],
    ["calls one by one, each waited for", { check: true }],
  ])("a recording, replayed as %s", (_, options) => {
    beforeEach(() => {
      device.close();
      rig.reset();
      device = rig.openDevice(options).device;
    });

    /** x <- 2 (x + y) by way of two temporary buffers. */
    const body = (x: ReturnType<typeof upload>, y: ReturnType<typeof upload>) => () => {
      const sum = device.allocate("f32", x.length);
      device.launcher.launch(addition(sum, x, y, x.length));
      const doubled = device.allocate("f32", x.length);
      device.launcher.launch(scaling(doubled, sum, 2, x.length));
      device.free(sum);
      const copied = device.allocate("f32", x.length);
      device.launcher.launch(scaling(copied, doubled, 1, x.length));
      device.free(doubled);
      device.launcher.launch(scaling(x, copied, 1, x.length));
      device.free(copied);
    };

    test("does what the body does each time, with what its buffers then hold", () => {
      const [x, y] = [upload(ramp(1000)), upload(ramp(1000, 0.1))];
      const recording = device.record(body(x, y));
      expect(device.read(x)).toEqual(ramp(1000));
      recording.replay();
      recording.replay();
      const twice = device.read(x);
      device.write(x, ramp(1000));
      body(x, y)();
      body(x, y)();
      expect(twice).toEqual(device.read(x));
      device.write(y, new Float32Array(1000));
      device.write(x, ramp(1000));
      recording.replay();
      expect(device.read(x)).toEqual(ramp(1000, 2));
      recording.close();
      expect(() => recording.replay()).toThrow("closed");
    });

    test("lets buffers with separate lives share memory, and gives it back at the end", () => {
      const [x, y] = [upload(ramp(1024)), upload(ramp(1024))];
      const held = device.memory().allocatedBytes;
      const recording = device.record(body(x, y));
      expect(device.memory().allocatedBytes - held).toBe(2 * 4096);
      recording.close();
      recording.close();
      expect(device.memory().allocatedBytes).toBe(held);
    });

    test("is nothing where the body throws, and the device works on", () => {
      const x = upload(ramp(8));
      const held = device.memory().allocatedBytes;
      expect(() =>
        device.record(() => {
          device.launcher.launch(scaling(x, x, 2, 8));
          throw new Error("halfway");
        }),
      ).toThrow("halfway");
      expect(device.memory().allocatedBytes).toBe(held);
      expect(device.read(x)).toEqual(ramp(8));
    });

    test("refuses what cannot be repeated", () => {
      const x = upload(ramp(8));
      const recorded = (work: () => void) => () => device.record(work);
      expect(recorded(() => void device.read(x))).toThrow("read: not in a recording");
      expect(recorded(() => device.write(x, ramp(8)))).toThrow("write: not in a recording");
      expect(recorded(() => device.free(x))).toThrow("memory from outside");
      expect(recorded(() => void device.record(() => {}))).toThrow("inside a recording");
      let leaked: ReturnType<typeof upload> | undefined;
      device.record(() => {
        leaked = device.allocate("f32", 4);
      });
      expect(() => device.launcher.launch(scaling(leaked!, x, 1, 4))).toThrow("used after it was freed");
    });

    test("keeps up a bf16 copy that is first asked for after it was made", () => {
      const x = upload(ramp(8));
      const recording = device.record(() => {
        device.launcher.launch(scaling(x, x, 2, 8));
        device.noteWritten(x);
      });
      device.ensureCopy(x);
      recording.replay();
      const y = device.allocate("bf16", 8);
      const args = [y.address, x.copy!].map((value) => ({ type: "pointer", value }) as const);
      const length = { type: "u32", value: 4 } as const;
      device.launcher.launch({ kernel: "copy_32", grid: [1, 1, 1], threads: 256, args: [...args, length] });
      expect(device.read(y)).toEqual(ramp(8, 2));
    });

    test("refreshes a bf16 copy that is first needed in it, and what it writes later", () => {
      const [x, y] = [upload(ramp(64)), upload(new Float32Array(64))];
      const recording = device.record(() => {
        device.launcher.launch(scaling(x, x, 2, 64));
        device.noteWritten(x);
        device.ensureCopy(x);
      });
      recording.replay();
      recording.replay();
      const args = [y.address, x.copy!].map((value) => ({ type: "pointer", value }) as const);
      const length = { type: "u32", value: 32 } as const;
      device.launcher.launch({ kernel: "copy_32", grid: [1, 1, 1], threads: 256, args: [...args, length] });
      const words = device.read(y, 0, 32) as Float32Array;
      expect(fromBf16(new Uint16Array(words.buffer))).toEqual(ramp(64, 4));
    });
  });

  /** Each step makes a buffer from two that are alive, and may give one back; at the end all flow into `result`. */
  const perform = (steps: readonly Step[], result: CudaMemory) => {
    const { length } = result;
    let alive = [result];
    for (const { left, right, drop } of steps) {
      const made = device.allocate("f32", length);
      device.launcher.launch(addition(made, alive[left % alive.length]!, alive[right % alive.length]!, length));
      device.launcher.launch(scaling(made, made, 0.75, length));
      alive.push(made);
      const dropped = drop === null ? result : alive[drop % alive.length]!;
      if (dropped === result) continue;
      device.free(dropped);
      alive = alive.filter((buffer) => buffer !== dropped);
    }
    for (const buffer of alive.slice(1)) {
      device.launcher.launch(addition(result, result, buffer, length));
      device.free(buffer);
    }
  };

  test("any program of kernels on temporary buffers gives the same bits recorded as done at once", () => {
    const step = fc.record({ left: fc.nat(), right: fc.nat(), drop: fc.option(fc.nat()) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        const [atOnce, recorded] = [upload(ramp(300, 1 / 7)), upload(ramp(300, 1 / 7))];
        for (let i = 0; i < 2; i++) perform(steps, atOnce);
        const recording = device.record(() => perform(steps, recorded));
        for (let i = 0; i < 2; i++) recording.replay();
        recording.close();
        expect(device.read(recorded)).toEqual(device.read(atOnce));
        for (const buffer of [atOnce, recorded]) device.free(buffer);
      }),
      { numRuns: 40 },
    );
  });

  test.skipIf(!isSimulated)(
    "a recording runs call by call once, then is captured as a graph and replayed with one call",
    () => {
      const x = upload(ramp(64));
      const recording = device.record(() => {
        for (let i = 0; i < 20; i++) device.launcher.launch(scaling(x, x, 1.5, 64));
      });
      const launches = rig.count("cuLaunchKernel");
      recording.replay();
      expect([rig.count("cuLaunchKernel") - launches, rig.count("cuGraphLaunch")]).toEqual([20, 0]);
      for (let i = 0; i < 5; i++) recording.replay();
      expect([rig.count("cuLaunchKernel") - launches, rig.count("cuGraphLaunch")]).toEqual([40, 5]);
      const factor = 1.5 ** 120;
      expect(device.read(x)[10]! / (7 * factor)).toBeCloseTo(1, 4);
    },
  );

  test.skipIf(!isSimulated).each(["cuStreamBeginCapture_v2", "cuGraphInstantiateWithFlags"])(
    "where the driver refuses %s, the same calls are issued one by one",
    (call) => {
      const x = upload(ramp(8));
      rig.fail(call, 801);
      const recording = device.record(() => device.launcher.launch(scaling(x, x, 2, 8)));
      for (let i = 0; i < 3; i++) recording.replay();
      expect(device.read(x)).toEqual(ramp(8, 8));
      expect(rig.count("cuGraphLaunch")).toBe(0);
      expect(device.graphRefusal).toBe(`${call}: CUDA_ERROR_NOT_SUPPORTED`);
    },
  );

  test("scratch memory of an operation is its own in a recording, and shared between operations", () => {
    const [x, y] = [upload(ramp(256)), upload(ramp(256))];
    const held = device.memory().allocatedBytes;
    const recording = device.record(() => {
      for (const buffer of [x, y]) {
        device.beginOperation();
        const scratch = { address: device.launcher.workspace(1024) };
        const more = { address: device.launcher.workspace(1024) };
        device.launcher.launch(scaling(scratch, buffer, 2, 256));
        device.launcher.launch(scaling(more, scratch, 2, 256));
        device.launcher.launch(addition(buffer, scratch, more, 256));
      }
    });
    expect(device.memory().allocatedBytes - held).toBe(2048);
    recording.replay();
    expect(device.read(x)).toEqual(ramp(256, 6));
    expect(device.read(y)).toEqual(ramp(256, 6));
  });

  test("after the end nothing works, and what was to be read later is rejected or there", async () => {
    const x = upload(ramp(4));
    const later = device.readLater(x);
    device.close();
    expect(await later).toEqual(ramp(4));
    expect(() => device.allocate("f32", 1)).toThrow("the cuda device was closed");
    expect(() => device.read(x)).toThrow("the cuda device was closed");
    device.close();
  });
});
