import { expect, test } from "vitest";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import {
  add,
  attention,
  dropout,
  embedding,
  gelu,
  headLoss,
  linear,
  rmsNorm,
  rope,
  swiglu,
} from "../../src/tensor/ops/index.ts";
import { BufferPool } from "../../src/tensor/pool.ts";
import { type Tape, withTape } from "../../src/tensor/tape.ts";
import { Parameter, type Tensor } from "../../src/tensor/tensor.ts";
import { createRecordingDevice } from "../backend/recording-device.ts";

const backend = createReferenceBackend();

function parameter(...shape: number[]): Parameter {
  const made = new Parameter(shape, () => undefined);
  made.value = backend.allocate("f32", made.length);
  made.gradient = backend.allocate("f32", made.length);
  return made;
}

const zeros = (tape: Tape, ...shape: number[]): Tensor =>
  tape.input(new Float32Array(shape.reduce((a, b) => a * b)), shape, true);

test("a tape's memory is in the pool again when it ends, also after an error", () => {
  const pool = new BufferPool(backend);
  const seen = withTape(pool, {}, (tape) => [tape.acquire(10), tape.acquire(10), tape.acquire(4, "i32")]);
  const error = () =>
    withTape(pool, {}, (tape) => {
      expect(seen).toContain(tape.acquire(10));
      throw new Error("inside");
    });
  expect(error).toThrow("inside");
  withTape(pool, {}, (tape) => {
    expect(new Set([tape.acquire(10), tape.acquire(10), tape.acquire(4, "i32")])).toEqual(new Set(seen));
  });
});

test("a pass-through pool gives every buffer back to the device at once", () => {
  const before = backend.memory().allocatedBytes;
  withTape(new BufferPool(backend, { passThrough: true }), {}, (tape) => {
    const buffer = tape.acquire(10);
    expect(backend.memory().allocatedBytes - before).toBe(40);
    tape.release(buffer);
    expect(backend.memory().allocatedBytes).toBe(before);
    tape.acquire(5);
  });
  expect(backend.memory().allocatedBytes).toBe(before);
});

test("a borrowed buffer is read by ops and stays with its owner", () => {
  const ids = backend.allocate("i32", 6);
  backend.write(ids, Int32Array.of(1, 0, 1, 0, 0, 0));
  const table = parameter(2, 1);
  backend.write(table.value, Float32Array.of(5, 7));
  const pool = new BufferPool(backend);
  withTape(pool, { gradients: true }, (tape) => {
    const y = embedding(tape.borrow(ids, [1, 3]), table);
    expect([...y.read()]).toEqual([7, 5, 7]);
    y.gradient = tape.acquire(3);
    tape.backward();
  });
  expect(pool.acquire("i32", 6)).not.toBe(ids);
  expect([...backend.read(ids)]).toEqual([1, 0, 1, 0, 0, 0]);
  withTape(pool, {}, (tape) => {
    expect(() => tape.borrow(ids, [7])).toThrow("6 values do not fill (7)");
  });
});

test("activations and their gradients have the device's type, losses and statistics are float32", () => {
  const device = createRecordingDevice(backend, { activations: "bf16" });
  const acquired: string[] = [];
  const pool = new BufferPool({
    ...device,
    allocate(dtype, length) {
      acquired.push(`${dtype} ${length}`);
      return device.allocate(dtype, length);
    },
  });
  const made = (...shape: number[]) => {
    const parameter = new Parameter(shape, () => undefined);
    parameter.value = device.allocate("f32", parameter.length);
    parameter.gradient = device.allocate("f32", parameter.length);
    return parameter;
  };
  const [w, head] = [made(4), made(5, 4)];
  withTape(pool, { gradients: true }, (tape) => {
    const x = tape.input(new Float32Array(12), [3, 4], true); // bf16 12
    const y = rmsNorm(x, w, 1e-5); // bf16 12, f32 3
    headLoss(y, head, tape.input(new Int32Array(3), [3])); // i32 3, f32 3, bf16 12
    tape.backward(); // bf16 12
  });
  expect(acquired).toEqual(["bf16 12", "bf16 12", "f32 3", "i32 3", "f32 3", "bf16 12", "bf16 12"]);
});

test("a flexible pool lends longer buffers, and holds no more of them than were in use at once", () => {
  const before = backend.memory().allocatedBytes;
  const pool = new BufferPool(backend, { flexible: true });
  const shapes = [
    [10, 3],
    [4, 9],
    [12, 12],
    [1, 2],
    [11, 5],
  ];
  for (const lengths of shapes) {
    const buffers = lengths.map((length) => pool.acquire("f32", length));
    for (const [i, length] of lengths.entries()) expect(buffers[i]!.length).toBeGreaterThanOrEqual(length);
    expect(new Set(buffers).size).toBe(2);
    for (const buffer of buffers) pool.release(buffer);
  }
  expect(backend.memory().allocatedBytes - before).toBe(4 * (12 + 12));
  expect(pool.acquire("i32", 1).dtype).toBe("i32");
});

test("tidy gives back all but the result when no gradients are recorded, and nothing when they are", () => {
  const pool = new BufferPool(backend);
  const peak = (gradients: boolean) => {
    const before = backend.memory().allocatedBytes;
    withTape(pool, { gradients }, (tape) => {
      let x = zeros(tape, 4, 6);
      for (let i = 0; i < 10; i++) x = tape.tidy(() => gelu(gelu(add(x, x))));
    });
    const bytes = backend.memory().allocatedBytes - before;
    pool.trim();
    return bytes / (4 * 6 * 4);
  };
  expect(peak(true)).toBe(31);
  expect(peak(false)).toBe(13); // the input, ten results, and two tensors used over and over
});

test("without gradients nothing is dropped and probability 0 leaves x alone", () => {
  withTape(new BufferPool(backend), {}, (tape) => {
    const x = tape.input(Float32Array.from([1, 2, 3]), [3]);
    expect(dropout(x, 0.9)).toBe(x);
    expect([...dropout(x, 0.9, x).read()]).toEqual([2, 4, 6]);
  });
});

test("dropout sites differ within a step and between micro-batches, and repeat for the same step", () => {
  const masks = (step: number, microBatch: number) =>
    withTape(new BufferPool(backend), { dropout: { seed: 1, step, microBatch } }, (tape) => {
      const x = tape.input(new Float32Array(64).fill(1), [64]);
      return [dropout(x, 0.5), dropout(x, 0.5)].map((y) => y.read().join());
    });
  const all = [masks(1, 0), masks(1, 1), masks(2, 0)].flat();
  expect(new Set(all).size).toBe(6);
  expect(masks(1, 0)).toEqual(all.slice(0, 2));
});

test("operands that do not fit are named with op, shapes and axis", () => {
  withTape(new BufferPool(backend), {}, (tape) => {
    const x = zeros(tape, 2, 3, 4);
    const say = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
      return "no error";
    };
    expect(say(() => linear(x, parameter(5, 3)))).toBe("linear: x (2, 3, 4) and w (5, 3) differ in the last axis");
    expect(say(() => add(x, zeros(tape, 2, 5, 4)))).toBe("add: a (2, 3, 4) and b (2, 5, 4) differ in axis 1");
    expect(say(() => dropout(x, 0.1, zeros(tape, 24)))).toBe(
      "dropout: x (2, 3, 4) and residual (24) differ in the number of axes",
    );
    expect(say(() => rmsNorm(x, parameter(3), 1e-6))).toContain("rmsNorm: x (2, 3, 4) and w (3)");
    expect(say(() => rope(x, { heads: 3, headDim: 2, base: 10 }))).toContain("rope: qkv (2, 3, 4) and heads (3, 2)");
    expect(say(() => attention(x, { numHeads: 2, numKvHeads: 1, headDim: 2, dropout: 0 }))).toContain("attention: qkv");
    expect(say(() => swiglu(zeros(tape, 2, 3)))).toContain("swiglu: the last axis has 3 elements");
    const ids = tape.input(new Int32Array(6), [2, 3]);
    expect(say(() => embedding(ids, parameter(9, 4), parameter(2, 4)))).toContain("positions (2, 4)");
    expect(say(() => headLoss(x, parameter(9, 4), tape.input(new Int32Array(5), [5])))).toContain("targets (5)");
    expect(say(() => tape.input(new Float32Array(5), [2, 3]))).toBe("input: 5 values do not fill (2, 3)");
  });
});
