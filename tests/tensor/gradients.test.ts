// Every op's gradient against central differences in double precision, on random shapes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  add,
  attention,
  dropout,
  embedding,
  gelu,
  headLoss,
  layerNorm,
  linear,
  rmsNorm,
  rope,
  selectRows,
  swiglu,
} from "../../src/tensor/ops/index.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { type Tape, withTape } from "../../src/tensor/tape.ts";
import { Parameter, type Tensor } from "../../src/tensor/tensor.ts";
import { CounterRandom } from "../../src/util/philox.ts";
import { createDoubleBackend, doublesOf } from "./double-backend.ts";

const STEP = 1e-5;
const RUNS = { numRuns: 12 };

function randoms(seed: number, stream: number, length: number): Float32Array {
  const random = new CounterRandom(seed, 99, stream);
  return Float32Array.from({ length }, (_, i) => random.normal(i));
}

interface Case {
  readonly seed: number;
  /** Shapes of the activations and of the parameters that the op gets. */
  readonly activations: readonly (readonly number[])[];
  readonly parameters: readonly (readonly number[])[];
  readonly apply: (activations: Tensor[], parameters: Parameter[], tape: Tape) => Tensor;
}

/**
 * Largest relative error between the tape's gradients and central differences of sum(weights * output), over all
 * elements of all inputs.
 */
function gradientError({ seed, activations, parameters, apply }: Case): number {
  const backend = createDoubleBackend();
  const pool = new BufferPool(backend);
  const inputs = activations.map((shape, i) => randoms(seed, i, product(shape)));
  const weights = parameters.map((shape, i) => {
    const parameter = new Parameter(shape, () => undefined);
    parameter.value = backend.allocate("f32", product(shape));
    parameter.gradient = backend.allocate("f32", product(shape));
    doublesOf(parameter.value).set(randoms(seed, 100 + i, product(shape)));
    return parameter;
  });
  const options = { gradients: true, dropout: { seed, step: 3, microBatch: 1 } };

  /** sum(weights * output), with `change` applied to the inputs; `learn` runs backward and returns activation gradients. */
  const run = (change: (tensors: Tensor[]) => void, learn = false) =>
    withTape(pool, options, (tape) => {
      const tensors = inputs.map((values, i) => tape.input(values, activations[i]!, true));
      change(tensors);
      const y = apply(tensors, weights, tape);
      const direction = randoms(seed, 200, y.length);
      const values = doublesOf(y.buffer);
      const value = direction.reduce((sum, d, i) => sum + d * values[i]!, 0);
      if (!learn) return { value, gradients: [] };
      y.gradient = tape.acquire(y.length);
      doublesOf(y.gradient).set(direction);
      tape.backward();
      return { value, gradients: tensors.map((x) => doublesOf(x.gradient).slice(0, x.length)) };
    });

  const learned = run(() => undefined, true).gradients;
  const errors: number[] = [];
  const compare = (analytic: number, numeric: number) =>
    errors.push(Math.abs(analytic - numeric) / (1 + Math.abs(analytic)));
  for (const [k, gradient] of learned.entries()) {
    for (let i = 0; i < gradient.length; i++) {
      const shifted = (delta: number) =>
        run((tensors) => {
          doublesOf(tensors[k]!.buffer)[i]! += delta;
        }).value;
      compare(gradient[i]!, (shifted(STEP) - shifted(-STEP)) / (2 * STEP));
    }
  }
  for (const parameter of weights) {
    const values = doublesOf(parameter.value);
    const gradient = doublesOf(parameter.gradient).slice();
    for (let i = 0; i < values.length; i++) {
      const before = values[i]!;
      const at = (value: number) => {
        values[i] = value;
        return run(() => undefined).value;
      };
      compare(gradient[i]!, (at(before + STEP) - at(before - STEP)) / (2 * STEP));
      values[i] = before;
    }
  }
  return Math.max(0, ...errors);
}

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const small = fc.integer({ min: 1, max: 4 });
const anySeed = fc.nat(1_000_000);

describe("the gradient of an op equals finite differences", () => {
  test("linear with bias and residual", () => {
    fc.assert(
      fc.property(anySeed, small, small, small, (seed, n, k, m) => {
        const error = gradientError({
          seed,
          activations: [
            [n, k],
            [n, m],
          ],
          parameters: [[m, k], [m]],
          apply: ([x, residual], [w, bias]) => linear(x!, w!, { bias: bias!, residual: residual! }),
        });
        expect(error).toBeLessThan(1e-7);
      }),
      RUNS,
    );
  });

  test("embedding with positions", () => {
    fc.assert(
      fc.property(anySeed, small, small, small, (seed, B, T, C) => {
        const random = new CounterRandom(seed, 98);
        const ids = Int32Array.from({ length: B * T }, (_, i) => random.integer(i, 5));
        const error = gradientError({
          seed,
          activations: [],
          parameters: [
            [5, C],
            [4, C],
          ],
          apply: (_, [table, positions], tape) => embedding(tape.input(ids, [B, T]), table!, positions!),
        });
        expect(error).toBeLessThan(1e-7);
      }),
      RUNS,
    );
  });

  test("selectRows, with rows that are taken twice or not at all", () => {
    fc.assert(
      fc.property(anySeed, small, small, small, (seed, n, rows, c) => {
        const random = new CounterRandom(seed, 98);
        const chosen = Int32Array.from({ length: rows }, (_, i) => random.integer(i, n));
        const error = gradientError({
          seed,
          activations: [[n, c]],
          parameters: [],
          apply: ([x], _, tape) =>
            add(selectRows(x!, tape.input(chosen, [rows])), selectRows(x!, tape.input(chosen, [rows]))),
        });
        expect(error).toBeLessThan(1e-7);
      }),
      RUNS,
    );
  });

  test("rmsNorm and layerNorm", () => {
    fc.assert(
      fc.property(anySeed, small, fc.integer({ min: 2, max: 7 }), (seed, n, c) => {
        const shapes = { seed, activations: [[n, c]] };
        const rms = gradientError({ ...shapes, parameters: [[c]], apply: ([x], [w]) => rmsNorm(x!, w!, 1e-2) });
        const layer = gradientError({
          ...shapes,
          parameters: [[c], [c]],
          apply: ([x], [w, b]) => layerNorm(x!, w!, b!, 1e-2),
        });
        expect(Math.max(rms, layer)).toBeLessThan(1e-6);
      }),
      RUNS,
    );
  });

  test("rope and causal attention with grouped heads and dropout", () => {
    fc.assert(
      fc.property(anySeed, small, small, small, fc.boolean(), (seed, B, T, group, dropped) => {
        const [numKvHeads, headDim] = [2, 2];
        const numHeads = group * numKvHeads;
        const error = gradientError({
          seed,
          activations: [[B, T, (numHeads + 2 * numKvHeads) * headDim]],
          parameters: [],
          // The sum first: rope changes its input in place, and inputs must stay as they were set.
          apply: ([x]) => {
            const turned = rope(add(x!, x!), { heads: numHeads + numKvHeads, headDim, base: 100 });
            return attention(turned, { numHeads, numKvHeads, headDim, dropout: dropped ? 0.3 : 0 });
          },
        });
        expect(error).toBeLessThan(1e-6);
      }),
      RUNS,
    );
  });

  test("swiglu, gelu and dropout with a residual, each input used twice", () => {
    fc.assert(
      fc.property(anySeed, small, small, (seed, n, f) => {
        const error = gradientError({
          seed,
          activations: [[n, 2 * f]],
          parameters: [],
          apply: ([x]) => add(swiglu(x!), swiglu(dropout(gelu(x!), 0.4, dropout(x!, 0.2)))),
        });
        expect(error).toBeLessThan(1e-7);
      }),
      RUNS,
    );
  });
});

test("headLoss gives the gradient of the scaled sum of losses and none for a target of -1", () => {
  const backend = createDoubleBackend();
  const pool = new BufferPool(backend);
  const [N, C, V] = [3, 4, 5];
  const w = new Parameter([V, C], () => undefined);
  w.value = backend.allocate("f32", V * C);
  w.gradient = backend.allocate("f32", V * C);
  doublesOf(w.value).set(randoms(1, 1, V * C));
  const targets = Int32Array.from([2, -1, 4]);
  const scale = 0.25;
  const loss = (values: Float64Array, learn: boolean) =>
    withTape(pool, { gradients: learn }, (tape) => {
      const x = tape.input(new Float32Array(N * C), [N, C], true);
      doublesOf(x.buffer).set(values);
      const losses = headLoss(x, w, tape.input(targets, [N]), scale);
      const sum = doublesOf(losses.buffer).reduce((total, value) => total + value, 0);
      return { value: scale * sum, dx: learn ? doublesOf(x.gradient).slice() : new Float64Array() };
    });
  const values = Float64Array.from(randoms(1, 2, N * C));
  const { dx } = loss(values, true);
  for (let i = 0; i < values.length; i++) {
    const at = (delta: number) => loss(values.with(i, values[i]! + delta), false).value;
    expect(dx[i]).toBeCloseTo((at(STEP) - at(-STEP)) / (2 * STEP), 8);
  }
  expect([...dx.subarray(C, 2 * C)]).toEqual([0, 0, 0, 0]);
});
