// Every gradient kernel against finite differences of its forward kernel, which runs in double precision.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HostBuffer } from "../../src/backend/host-memory.ts";
import type { Kernels } from "../../src/backend/kernels.ts";
import { referenceKernels } from "../../src/backend/reference/index.ts";
import { CounterRandom } from "../../src/util/philox.ts";

interface GradientCase {
  readonly forward: (buffers: Buffers) => void;
  readonly backward: (buffers: Buffers) => void;
  /** Length of every buffer of the forward pass; those of the gradients follow from `gradients`. */
  readonly lengths: Readonly<Record<string, number>>;
  readonly output: string;
  /** Gradient buffer of each differentiable input. */
  readonly gradients: Readonly<Record<string, string>>;
  readonly ids?: Readonly<Record<string, readonly number[]>>;
}

type Buffers = Readonly<Record<string, HostBuffer>>;

/** A call whose buffers come by the names of its fields. */
const call =
  (kernel: keyof Kernels, scalars: object, rename: Readonly<Record<string, string>> = {}) =>
  (buffers: Buffers): void => {
    const renamed = Object.fromEntries(Object.entries(rename).map(([field, name]) => [field, buffers[name]]));
    (referenceKernels[kernel] as (args: unknown) => void)({ ...buffers, ...scalars, ...renamed });
  };

const dropout = { probability: 0.3, seed: 5, step: 7, microBatch: 1, site: 2 };

const CASES: Readonly<Record<string, (integer: (min: number, max: number) => number) => GradientCase>> = {
  matmul: (integer) => {
    const [M, N, K] = [integer(1, 4), integer(1, 5), integer(1, 5)];
    const da = call("matmul", { M, N: K, K: N, transposeB: true }, { c: "da", a: "dy", b: "b" });
    const db = call("matmul", { M: K, N, K: M, transposeA: true }, { c: "db", a: "a", b: "dy" });
    const dbias = call("columnSum", { N: M, C: N }, { db: "dbias" });
    return {
      lengths: { y: M * N, a: M * K, b: K * N, bias: N },
      forward: call("matmul", { M, N, K }, { c: "y" }),
      backward: ({ bias: _bias, ...buffers }) => {
        da(buffers);
        db(buffers);
        dbias(buffers);
      },
      output: "y",
      gradients: { a: "da", b: "db", bias: "dbias" },
    };
  },
  embedding: (integer) => {
    const [T, C, V] = [integer(1, 3), integer(1, 4), integer(1, 5)];
    const N = 2 * T;
    return {
      lengths: { y: N * C, table: V * C, positions: T * C },
      ids: { ids: Array.from({ length: N }, () => integer(0, V - 1)) },
      forward: call("embedding", { N, T, C, V }),
      backward: call("embeddingGradient", { N, T, C, V }),
      output: "y",
      gradients: { table: "dTable", positions: "dPositions" },
    };
  },
  rmsNorm: (integer) => {
    const [N, C] = [integer(1, 3), integer(2, 6)];
    return {
      lengths: { y: N * C, rstd: N, x: N * C, w: C },
      forward: call("rmsNorm", { N, C, eps: 1e-5 }),
      backward: call("rmsNormGradient", { N, C }),
      output: "y",
      gradients: { x: "dx", w: "dw" },
    };
  },
  layerNorm: (integer) => {
    const [N, C] = [integer(1, 3), integer(3, 6)];
    return {
      lengths: { y: N * C, mean: N, rstd: N, x: N * C, w: C, b: C },
      forward: call("layerNorm", { N, C, eps: 1e-2 }),
      backward: call("layerNormGradient", { N, C }),
      output: "y",
      gradients: { x: "dx", w: "dw", b: "db" },
    };
  },
  attention: (integer) => {
    const [T, Hkv, group, D] = [integer(1, 5), integer(1, 2), integer(1, 2), 2 * integer(1, 2)];
    const shape = { B: 2, T, H: Hkv * group, Hkv, D, scale: 0.7, ...(integer(0, 1) ? { dropout } : {}) };
    return {
      lengths: { y: 2 * T * shape.H * D, logSumExp: 2 * shape.H * T, qkv: 2 * T * (shape.H + 2 * Hkv) * D },
      forward: call("attention", shape),
      backward: call("attentionGradient", shape),
      output: "y",
      gradients: { qkv: "dqkv" },
    };
  },
  swiglu: (integer) => {
    const [N, F] = [integer(1, 3), integer(1, 5)];
    return {
      lengths: { y: N * F, x: N * 2 * F },
      forward: call("swiglu", { N, F }),
      backward: call("swigluGradient", { N, F }),
      output: "y",
      gradients: { x: "dx" },
    };
  },
  gelu: (integer) => {
    const length = integer(1, 9);
    return {
      lengths: { y: length, x: length },
      forward: call("gelu", { length }),
      backward: call("geluGradient", { length }),
      output: "y",
      gradients: { x: "dx" },
    };
  },
  headLoss: (integer) => {
    const [N, C, V] = [integer(1, 4), integer(1, 4), integer(2, 6)];
    return {
      lengths: { losses: N, x: N * C, w: V * C },
      ids: { targets: Array.from({ length: N }, () => integer(-1, V - 1)) },
      forward: (buffers) => {
        const { dx: _dx, dw: _dw, ...inputs } = buffers;
        call("headLoss", { N, C, V })(inputs);
      },
      // The kernel's own sum of losses: every loss has weight `gradientScale`.
      backward: call("headLoss", { N, C, V, gradientScale: 1 }),
      output: "losses",
      gradients: { x: "dx", w: "dw" },
    };
  },
  dropout: (integer) => {
    const length = integer(1, 12);
    return {
      lengths: { y: length, x: length },
      forward: call("dropout", { length, dropout }),
      backward: call("dropout", { length, dropout }, { y: "dx", x: "dy" }),
      output: "y",
      gradients: { x: "dx" },
    };
  },
};

const STEP = 1e-5;
/** Central differences in double precision: error of order STEP^2 and rounding / STEP, both near 1e-10. */
const TOLERANCE = 1e-6;

function checkGradients(makeCase: (typeof CASES)[string], seed: number): void {
  const random = new CounterRandom(seed, 98);
  let index = 0;
  const kernelCase = makeCase((min, max) => min + random.integer(index++, max - min + 1));
  const normal = (length: number) => Float64Array.from({ length }, () => random.normal(index++));
  const values = Object.fromEntries(Object.entries(kernelCase.lengths).map(([name, length]) => [name, normal(length)]));
  const weightsOfOutput =
    kernelCase.output === "losses" ? values["losses"]!.map(() => 1) : normal(values[kernelCase.output]!.length);

  const buffersOf = (changed: Readonly<Record<string, Float64Array>> = {}): Record<string, HostBuffer> => {
    const reals = Object.entries({ ...values, ...changed }).map(([name, array]) => [
      name,
      new HostBuffer("f32", array.slice()),
    ]);
    const ids = Object.entries(kernelCase.ids ?? {}).map(([name, list]) => [
      name,
      new HostBuffer("i32", Int32Array.from(list)),
    ]);
    return Object.fromEntries([...reals, ...ids]);
  };
  const loss = (changed: Readonly<Record<string, Float64Array>>): number => {
    const buffers = buffersOf(changed);
    kernelCase.forward(buffers);
    const out = buffers[kernelCase.output]!.data;
    return weightsOfOutput.reduce((sum, weight, i) => sum + weight * out[i]!, 0);
  };

  const buffers = buffersOf();
  kernelCase.forward(buffers);
  for (const [input, gradient] of Object.entries(kernelCase.gradients)) {
    buffers[gradient] = new HostBuffer("f32", new Float64Array(values[input]!.length));
  }
  kernelCase.backward({ ...buffers, dy: new HostBuffer("f32", weightsOfOutput) });
  for (const [input, gradient] of Object.entries(kernelCase.gradients)) {
    values[input]!.forEach((x, i) => {
      const shifted = (by: number) => ({ [input]: values[input]!.with(i, x + by) });
      const difference = (loss(shifted(STEP)) - loss(shifted(-STEP))) / (2 * STEP);
      const analytic = buffers[gradient]!.data[i]!;
      expect(
        Math.abs(analytic - difference),
        `${gradient}[${i}] is ${analytic}, differences say ${difference}`,
      ).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(difference)));
    });
  }
}

describe("gradients equal finite differences", () => {
  test.each(Object.keys(CASES))("of %s", (name) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => checkGradients(CASES[name]!, seed)),
      { numRuns: 20 },
    );
  });

  test("of rope: turning back undoes turning", () => {
    const [N, T, heads, D] = [6, 3, 2, 4];
    const x = Float64Array.from({ length: N * heads * D }, (_, i) => Math.cos(i));
    const buffer = new HostBuffer("f32", x.slice());
    const shape = { x: buffer, N, T, heads, D, stride: heads * D, base: 10_000, firstPosition: 3 };
    referenceKernels.rope(shape);
    expect(Math.abs(buffer.data[0]! - x[0]!)).toBeGreaterThan(0.1);
    referenceKernels.rope({ ...shape, inverse: true });
    x.forEach((value, i) => {
      expect(buffer.data[i]).toBeCloseTo(value, 12);
    });
  });
});
