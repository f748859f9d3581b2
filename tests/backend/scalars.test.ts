// Numbers that kernels read from the device when they run, and the step that is decided there.

import { afterAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import type { DeviceScalar, Scalar } from "../../src/backend/kernels.ts";
import { openDevices } from "./devices.ts";

const devices = await openDevices();
afterAll(() => {
  for (const { backend } of devices) backend.close();
});

const bits = (values: Float32Array | Int32Array) => [...new Int32Array(values.buffer)];

describe.each(devices)("$name", ({ backend }) => {
  const reals = (...values: number[]) => {
    const buffer = backend.allocate("f32", values.length);
    backend.write(buffer, Float32Array.from(values));
    return buffer;
  };
  const real = (value: number): DeviceScalar => ({ buffer: reals(9, Math.fround(value)), index: 1 });
  const integer = (value: number): DeviceScalar => {
    const buffer = backend.allocate("i32", 3);
    backend.write(buffer, Int32Array.of(9, 9, value));
    return { buffer, index: 2 };
  };
  const wave = Array.from({ length: 100 }, (_, i) => Math.sin(i));

  test("dropout with numbers from the device drops what it drops with plain ones, and each number counts", () => {
    const dropped = (probability: Scalar, step: Scalar, microBatch: Scalar) => {
      const y = reals(...wave);
      const dropout = { probability, seed: 3, step, microBatch, site: 2 };
      backend.kernels.dropout({ y, x: reals(...wave), length: wave.length, dropout });
      return bits(backend.read(y));
    };
    expect(dropped(real(0.25), integer(7), integer(5))).toEqual(dropped(0.25, 7, 5));
    const different = [dropped(0.25, 7, 5), dropped(0.5, 7, 5), dropped(0.25, 8, 5), dropped(0.25, 7, 6)];
    expect(new Set(different.map(String)).size).toBe(4);
    expect(dropped(real(0), integer(7), integer(5))).toEqual(bits(backend.read(reals(...wave))));
  });

  test("a sum goes where a number on the device says", () => {
    const out = reals(1, 2, 3);
    backend.kernels.sum({ out, index: integer(1), x: reals(4, 5), length: 2 });
    expect([...backend.read(out)]).toEqual([1, 9, 3]);
  });

  test("each micro-batch finds its windows by a counter that goes on by itself", () => {
    const integers = (...values: number[]) => {
      const buffer = backend.allocate("i32", values.length);
      backend.write(buffer, Int32Array.from(values));
      return buffer;
    };
    const windows = integers(1, 2, 3, 11, 12, 13, 21, 22, 23);
    const [ids, targets] = [backend.allocate("i32", 4), backend.allocate("i32", 4)];
    const microBatch = integer(0);
    const cut = (B: number) => {
      backend.kernels.cutWindows({ ids, targets, windows, microBatch, size: 2, B, T: 2 });
      backend.kernels.increment({ counters: microBatch.buffer, index: microBatch.index });
      return [ids, targets].map((buffer) => [...backend.read(buffer, 0, 2 * B)]);
    };
    expect([cut(2), cut(1)]).toEqual([
      [
        [1, 2, 11, 12],
        [2, 3, 12, 13],
      ],
      [
        [21, 22],
        [22, 23],
      ],
    ]);
    expect(() => cut(1)).toThrow(RangeError);
    expect([...backend.read(microBatch.buffer)]).toEqual([9, 9, 2]);
  });

  test("an update with numbers from the device has the bits of one with plain ones", () => {
    const updated = (lr: Scalar, step: Scalar, gradientScale: Scalar) => {
      const [p, g, m, v] = [reals(...wave), reals(...wave), reals(...wave), reals(...wave.map((x) => x * x))];
      const tensors = [{ p, g, m, v, length: wave.length, weightDecay: 0.1 }];
      backend.kernels.adamW({ tensors, beta1: 0.9, beta2: 0.95, eps: 1e-8, lr, step, gradientScale });
      return [p, m, v].map((buffer) => bits(backend.read(buffer)));
    };
    expect(updated(real(2 ** -7), integer(3), real(0.5))).toEqual(updated(2 ** -7, 3, 0.5));
    const before = [wave, wave, wave.map((x) => x * x)].map((values) => bits(Float32Array.from(values)));
    for (const scale of [Number.NaN, real(Number.NaN)]) expect(updated(2 ** -7, 3, scale)).toEqual(before);
  });

  test("a number of the wrong type or place is refused", () => {
    const sum = (index: Scalar) => () => backend.kernels.sum({ out: reals(0), index, x: reals(1), length: 1 });
    expect(sum(real(0))).toThrow(/sum\.index: needs i32/);
    expect(sum({ buffer: integer(0).buffer, index: 3 })).toThrow(/sum\.index: needs 4 elements/);
  });
});

/** One decision after another on the same four numbers. */
function decide(backend: Backend, steps: readonly (readonly number[])[], maxLoss: Scalar = Number.POSITIVE_INFINITY) {
  const [out, sums] = [backend.allocate("f32", 4), backend.allocate("f32", 5)];
  return steps.map((values) => {
    backend.write(sums, Float32Array.from(values));
    backend.kernels.clipScale({ out, sums, numLosses: 2, numSquares: 3, numTokens: 10, clip: 2, maxLoss });
    return [...backend.read(out)];
  });
}

describe.each(devices)("clipScale on $name", ({ backend }) => {
  test("writes mean loss, norm and the factor that brings the norm to the bound", () => {
    expect(decide(backend, [[12, 18, 1, 4, 4]])).toEqual([[3, 3, Math.fround(2 / (3 + 1e-6)), 0]]);
    expect(decide(backend, [[1, 1, 1, 0, 0]])[0]![2]).toBe(1);
  });

  test.each([
    ["a loss that is no number", [Number.NaN, 1, 1, 1, 1]],
    ["an infinite loss", [Number.POSITIVE_INFINITY, 1, 1, 1, 1]],
    ["an infinite gradient", [1, 1, 1, Number.POSITIVE_INFINITY, 1]],
    ["a gradient that is no number", [1, 1, 1, 1, Number.NaN]],
    ["a loss above the bound", [40, 2, 1, 1, 1]],
  ])("%s halts this update and all that follow", (_, bad) => {
    const fine = [1, 1, 1, 1, 1];
    const [first, second, third] = decide(backend, [fine, bad, fine], 4);
    expect(first!.slice(2)).toEqual([1, 0]);
    expect(second!.slice(2)).toEqual([Number.NaN, 1]);
    expect(third!.slice(2)).toEqual([Number.NaN, 1]);
    expect(third![0]).toBe(first![0]); // still told what the losses are
  });
});
