// Every kernel of every device against the reference, and the cpu device's promise: one set of bits.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { openCpuVariants, openDevices, testIsas } from "./devices.ts";
import { describeCase, drawCase, KERNEL_NAMES, type KernelCase, REAL_KERNELS, runCase } from "./kernel-cases.ts";

const reference = createReferenceBackend();
const devices = await openDevices();
const variants = await openCpuVariants(testIsas(), [1, 2, 3]);
afterAll(() => {
  for (const { backend } of [...devices, ...variants]) backend.close();
});

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const RUNS = 25;

/**
 * Sums of at most 1,200 products of numbers near 1 in single precision: their error stays below 2e-5 of the largest
 * value that a buffer holds. Adam's division by a small deviation and softmax of large scores stay within it too.
 */
const TOLERANCE = 2e-5;

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, label: string): void {
  expect(actual.length, label).toBe(expected.length);
  const largest = Array.from(expected).reduce((max, x) => (Number.isFinite(x) ? Math.max(max, Math.abs(x)) : max), 1);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    // Written so that a NaN on one side only is a difference.
    const close = Number.isNaN(e) ? Number.isNaN(a) : a === e || Math.abs(a - e) <= TOLERANCE * largest;
    if (!close) expect.fail(`${label}[${i}] is ${a}, the reference has ${e} (largest ${largest})`);
  }
}

function compareWithReference(device: (typeof devices)[number], kernelCase: KernelCase): void {
  const expected = runCase(reference, kernelCase);
  const actual = runCase(device.backend, kernelCase);
  for (const [name, values] of Object.entries(expected)) {
    expectClose(actual[name]!, values, `${describeCase(kernelCase)} ${name}`);
  }
}

const bytesOf = (outputs: Record<string, Float32Array | Int32Array>) =>
  Object.entries(outputs).map(([name, values]) => [name, Buffer.from(values.buffer).toString("base64")]);

describe.each(devices.filter(({ name }) => name !== "reference"))("$name", (device) => {
  test.each(KERNEL_NAMES)("%s equals the reference on random shapes", (kernel) => {
    fc.assert(
      fc.property(seeds, (seed) => compareWithReference(device, drawCase(kernel, seed))),
      { numRuns: RUNS },
    );
  });

  test.each(REAL_KERNELS)("%s hides no NaN that the reference shows", (kernel) => {
    fc.assert(
      fc.property(seeds, fc.double({ min: 0, max: 0.999, noNaN: true }), (seed, place) => {
        const drawn = drawCase(kernel, seed);
        const inputs = Object.keys(drawn.buffers).filter((name) => drawn.buffers[name] instanceof Float32Array);
        const chosen = inputs[Math.floor(place * inputs.length)]!;
        const values = drawn.buffers[chosen]!.slice();
        values[Math.floor(place * 7919) % values.length] = Number.NaN;
        const poisoned = { ...drawn, buffers: { ...drawn.buffers, [chosen]: values } };
        const expected = runCase(reference, poisoned);
        const actual = runCase(device.backend, poisoned);
        for (const [name, array] of Object.entries(expected)) {
          const hidden = array.findIndex((x, i) => Number.isNaN(x) && !Number.isNaN(actual[name]![i]));
          expect(hidden, `${describeCase(drawn)}: NaN in ${chosen}, hidden in ${name} at this index`).toBe(-1);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe.skipIf(variants.length === 0)("the cpu device", () => {
  test.each(KERNEL_NAMES)("%s has the same bits on every instruction set and thread count", (kernel) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drawn = drawCase(kernel, seed);
        const [first, ...rest] = variants.map(({ backend }) => bytesOf(runCase(backend, drawn)));
        rest.forEach((bytes, i) => {
          expect(bytes, `${variants[i + 1]!.name} differs from ${variants[0]!.name}: ${describeCase(drawn)}`).toEqual(
            first,
          );
        });
      }),
      { numRuns: 10 },
    );
  });

  test("a product of a training step's size has the same bits on every instruction set and thread count", () => {
    const [M, N, K] = [150, 200, 1100];
    const drawn = drawCase("matmul", 1);
    const fill = (length: number, factor: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * factor));
    const buffers = { c: new Float32Array(M * N), a: fill(M * K, 0.37), b: fill(K * N, 0.73) };
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const sized = { ...drawn, buffers, aliases: {}, scalars: { M, N, K, transposeA, transposeB } };
        const [first, ...rest] = variants.map(({ backend }) => bytesOf(runCase(backend, sized)));
        for (const bytes of rest) expect(bytes).toEqual(first);
      }
    }
  });
});

describe.each(devices)("$name", ({ backend }) => {
  test("an id outside the vocabulary is a RangeError that names it", () => {
    const V = 3;
    for (const bad of [-1, V]) {
      const drawn = drawCase("embedding", 5);
      const { N, T, C } = drawn.scalars as { N: number; T: number; C: number };
      const table = new Float32Array(V * C);
      const ids = new Int32Array(N).fill(1);
      ids[N - 1] = bad;
      const forward = { ...drawn, buffers: { y: new Float32Array(N * C), table, ids }, scalars: { N, T, C, V } };
      expect(() => runCase(backend, forward)).toThrow(new RegExp(`id ${bad} at row ${N - 1} .*0\\.\\.2`));
      const backward = {
        ...forward,
        kernel: "embeddingGradient" as const,
        buffers: { dTable: table, dy: new Float32Array(N * C), ids },
        outputs: [],
      };
      expect(() => runCase(backend, backward)).toThrow(RangeError);
    }
  });

  test("a buffer that is too short, of the wrong type or freed is refused before anything is read", () => {
    const y = backend.allocate("f32", 7);
    const ids = backend.allocate("i32", 8);
    const x = backend.allocate("f32", 8);
    expect(() => backend.kernels.gelu({ y, x, length: 8 })).toThrow(/gelu\.y: needs 8 elements, the buffer holds 7/);
    expect(() => backend.kernels.gelu({ y: x, x: ids, length: 8 })).toThrow(/gelu\.x: needs f32, got i32/);
    backend.free(y);
    expect(() => backend.kernels.gelu({ y, x, length: 1 })).toThrow(/holds 0/);
  });

  test.each(["rmsNorm", "layerNorm"] as const)(
    "%s gives NaN in a row that overflows, never a plausible value",
    (kernel) => {
      const [C, large] = [37, [1e20, -3e38, Number.POSITIVE_INFINITY, 2]];
      const x = Float32Array.from(
        { length: large.length * C },
        (_, i) => large[Math.floor(i / C)]! * (i % 2 ? 1 : 0.5),
      );
      const w = new Float32Array(C).fill(1);
      const buffers = { y: x.map(() => 0), mean: new Float32Array(4), rstd: new Float32Array(4), x, w };
      const norm: KernelCase = { kernel, buffers, outputs: ["y", "rstd"], scalars: { N: 4, C, eps: 1e-6 } };
      const { y, rstd } = runCase(backend, norm);
      expect([...rstd!].map(Number.isNaN)).toEqual([true, true, true, false]);
      for (const [i, value] of y!.entries()) expect(Number.isNaN(value)).toBe(i < 3 * C);
      // What follows must not turn it into a score again.
      const head = { losses: new Float32Array(4), x: y!, w: w.map((_, i) => i), targets: new Int32Array(4) };
      const headLoss: KernelCase = {
        kernel: "headLoss",
        buffers: head,
        outputs: ["losses"],
        scalars: { N: 4, C, V: 1 },
      };
      expect([...runCase(backend, headLoss)["losses"]!].map(Number.isNaN)).toEqual([true, true, true, false]);
      for (const variant of variants) {
        expect(bytesOf(runCase(variant.backend, norm)), variant.name).toEqual(
          bytesOf(runCase(variants[0]!.backend, norm)),
        );
      }
    },
  );

  test("a target of -1 costs nothing and pulls no gradient; below -1 is a RangeError", () => {
    const [N, C, V] = [2, 3, 4];
    const buffers = {
      losses: new Float32Array(N).fill(9),
      x: new Float32Array(N * C).fill(1),
      w: Float32Array.from({ length: V * C }, (_, i) => i / 7),
      targets: Int32Array.from([-1, -1]),
      dx: new Float32Array(N * C).fill(9),
      dw: new Float32Array(V * C),
    };
    const ignored: KernelCase = { kernel: "headLoss", buffers, outputs: ["losses", "dx", "dw"], scalars: { N, C, V } };
    for (const values of Object.values(runCase(backend, ignored))) expect(values.every((x) => x === 0)).toBe(true);
    const wrong = { ...ignored, buffers: { ...buffers, targets: Int32Array.from([0, -2]) } };
    expect(() => runCase(backend, wrong)).toThrow(/target -2 at row 1/);
  });

  test("memory starts at zero, counts what is held and refuses what is out of range", () => {
    const before = backend.memory().allocatedBytes;
    const buffer = backend.allocate("f32", 1000);
    expect([...backend.read(buffer)].every((x) => x === 0)).toBe(true);
    expect(backend.memory().allocatedBytes - before).toBe(4000);
    backend.write(buffer, Float32Array.from([1, 2, 3]), 997);
    expect([...backend.read(buffer, 996, 4)]).toEqual([0, 1, 2, 3]);
    expect(() => backend.write(buffer, new Float32Array(2), 999)).toThrow(RangeError);
    expect(() => backend.read(buffer, 1, 1000)).toThrow(RangeError);
    expect(() => backend.write(buffer, new Int32Array(1))).toThrow(/f32/);
    backend.free(buffer);
    expect(backend.memory().allocatedBytes).toBe(before);
    expect(() => backend.allocate("f32", 2 ** 40)).toThrow(/cannot allocate 4\.40 TB/);
  });
});
