// The cpu device's own exp, log and normal distribution at the ends of their ranges.

import { afterAll, describe, expect, test } from "vitest";
import { usableIsas } from "../../src/backend/cpu/build.ts";
import { erf } from "../../src/backend/reference/erf.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { openCpuVariants } from "./devices.ts";
import { type KernelCase, runCase } from "./kernel-cases.ts";

const reference = createReferenceBackend();
const devices = await openCpuVariants(usableIsas().slice(0, 1), [1]);
afterAll(() => {
  for (const { backend } of devices) backend.close();
});

const line = (from: number, to: number, count: number) =>
  Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

test("the reference's erf has the tabulated values (Abramowitz & Stegun 1964, table 7.1)", () => {
  expect(erf(0)).toBe(0);
  expect(erf(0.5)).toBeCloseTo(0.5204998778, 10);
  expect(erf(1)).toBeCloseTo(0.8427007929, 10);
  expect(erf(2)).toBeCloseTo(0.995322265, 10);
  expect(erf(2.999999)).toBeCloseTo(erf(3.000001), 8);
  expect(erf(-1)).toBe(-erf(1));
  expect(erf(Number.NaN)).toBeNaN();
});

describe.each(devices)("$name", ({ backend }) => {
  const worst = (kernelCase: KernelCase, scale: (expected: number, i: number) => number) => {
    const [name] = kernelCase.outputs as [string];
    const expected = runCase(reference, kernelCase)[name]!;
    const actual = runCase(backend, kernelCase)[name]!;
    return Math.max(...Array.from(actual, (a, i) => Math.abs(a - expected[i]!) / scale(expected[i]!, i)));
  };

  test("gelu is right to 6e-7 of max(|y|, |x| / 10) from -12 to 12", () => {
    const x = line(-12, 12, 20_001);
    const kernelCase: KernelCase = {
      kernel: "gelu",
      buffers: { y: new Float32Array(x.length), x },
      outputs: ["y"],
      scalars: { length: x.length },
    };
    expect(worst(kernelCase, (y, i) => Math.max(Math.abs(y), Math.abs(x[i]!) / 10, 1e-3))).toBeLessThan(6e-7);
  });

  test("the logistic function of swiglu is right to 4e-7 relative from -80 to 80", () => {
    const gate = line(-80, 80, 20_001);
    const N = gate.length;
    const x = Float32Array.from({ length: 2 * N }, (_, i) => (i % 2 === 0 ? gate[i / 2]! : 1));
    const buffers = { y: new Float32Array(N), x };
    const kernelCase: KernelCase = { kernel: "swiglu", buffers, outputs: ["y"], scalars: { N, F: 1 } };
    expect(worst(kernelCase, (y) => Math.max(Math.abs(y), 1e-30))).toBeLessThan(4e-7);
  });

  test("losses of huge, tiny and equal logits are right to 1e-6 relative, and infinite ones are NaN", () => {
    const w = Float32Array.from([-500, -1, 0, 1e-3, 3, 88, 500]);
    const V = w.length;
    const x = Float32Array.from([1, 1e-20, -1, 0.01, Number.POSITIVE_INFINITY]);
    const N = x.length;
    for (let target = 0; target < V; target++) {
      const buffers = { losses: new Float32Array(N), x, w, targets: new Int32Array(N).fill(target) };
      const kernelCase: KernelCase = { kernel: "headLoss", buffers, outputs: ["losses"], scalars: { N, C: 1, V } };
      const expected = runCase(reference, kernelCase)["losses"]!;
      const actual = runCase(backend, kernelCase)["losses"]!;
      expect(actual[N - 1]).toBeNaN();
      for (let n = 0; n < N - 1; n++) {
        expect(Math.abs(actual[n]! - expected[n]!)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(expected[n]!)));
      }
    }
  });

  test("rotations stay right to 1e-6 far into a sequence", () => {
    const [N, D] = [4, 64];
    const x = line(-1, 1, N * D);
    const scalars = { N, T: N, heads: 1, D, stride: D, base: 10_000, firstPosition: 100_000 };
    expect(worst({ kernel: "rope", buffers: { x }, outputs: ["x"], scalars }, () => 1)).toBeLessThan(1e-6);
  });
});
