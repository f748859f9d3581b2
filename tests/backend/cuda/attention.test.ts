// Attention of the cuda device: every head dimension and edge of the tiles, dropout masks bit by bit, gradients, and generation from a
// cache of keys and values.

import { beforeAll, describe, expect, test } from "vitest";
import { launchAttention, launchAttentionGradient } from "../../../src/backend/cuda/launch/attention.ts";
import { createReferenceBackend } from "../../../src/backend/reference/index.ts";
import { CounterRandom, PURPOSE } from "../../../src/util/philox.ts";
import { type KernelCase, runCase } from "../kernel-cases.ts";
import { compareCase, expectClose, launchCase, rounded } from "./kernel-harness.ts";
import { driverUnavailable, fromBf16, SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

const unavailable = driverUnavailable();
const reference = createReferenceBackend();
const TOLERANCE = 1e-2;

const random = new CounterRandom(11, 99);
let drawn = 0;
const normals = (length: number) => Float32Array.from({ length }, () => random.normal(drawn++));

interface Shape {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly Hkv: number;
  readonly D: number;
}

const dropout = (probability: number) => ({
  dropout: { probability, seed: 2 ** 31 + 5, step: 3, microBatch: 2, site: 9 },
});

/** One head dimension per kernel and some between; T at the borders of tiles, and several tiles long. */
const SHAPES: readonly (Shape & { readonly p?: number })[] = [
  { B: 1, T: 1, H: 1, Hkv: 1, D: 2 },
  { B: 2, T: 63, H: 2, Hkv: 1, D: 16 },
  { B: 1, T: 200, H: 4, Hkv: 2, D: 32 },
  { B: 1, T: 256, H: 2, Hkv: 2, D: 32, p: 0.1 },
  { B: 1, T: 129, H: 3, Hkv: 1, D: 20, p: 0.3 },
  { B: 1, T: 193, H: 2, Hkv: 1, D: 64 },
  { B: 1, T: 64, H: 1, Hkv: 1, D: 64, p: 0.5 },
  { B: 1, T: 65, H: 2, Hkv: 1, D: 66 },
  { B: 1, T: 130, H: 1, Hkv: 1, D: 128, p: 0.2 },
  { B: 1, T: 100, H: 2, Hkv: 1, D: 128 },
  { B: 2, T: 37, H: 2, Hkv: 1, D: 130, p: 0.2 },
  { B: 1, T: 40, H: 1, Hkv: 1, D: 256 },
];

/** Forward and backward as in training: the gradient's y and logSumExp belong to its qkv. */
function attentionCases(shape: Shape, options: object): { forward: KernelCase; backward: KernelCase } {
  const { B, T, H, Hkv, D } = shape;
  const scalars = { B, T, H, Hkv, D, scale: 1 / Math.sqrt(D), ...options };
  const qkv = rounded(normals(B * T * (H + 2 * Hkv) * D));
  const outputs = { y: new Float32Array(B * T * H * D), logSumExp: new Float32Array(B * H * T) };
  const forward: KernelCase = {
    kernel: "attention",
    buffers: { ...outputs, qkv },
    outputs: ["y", "logSumExp"],
    scalars,
  };
  const { y, logSumExp } = runCase(reference, forward) as { y: Float32Array; logSumExp: Float32Array };
  const buffers = { dqkv: new Float32Array(qkv.length), dy: rounded(normals(y.length)), y: rounded(y), logSumExp, qkv };
  return { forward, backward: { kernel: "attentionGradient", buffers, outputs: ["dqkv"], scalars } };
}

describe.skipIf(unavailable)(`CUDA attention${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let device: SimulatorLauncher;
  beforeAll(async () => {
    device = await SimulatorLauncher.open();
  }, 300_000);

  test.each(SHAPES.map((shape) => ({ p: 0, ...shape })))(
    "B $B, T $T, H $H/$Hkv, D $D, dropout $p, forward and backward",
    ({ p, ...shape }) => {
      const { forward, backward } = attentionCases(shape, p > 0 ? dropout(p) : {});
      compareCase(device, forward, "bf16", TOLERANCE);
      compareCase(device, backward, "bf16", TOLERANCE);
    },
  );

  test("logSumExp is right to 2e-6, whatever becomes of the weights", () => {
    const { forward } = attentionCases({ B: 1, T: 150, H: 2, Hkv: 1, D: 32 }, dropout(0.5));
    const expected = runCase(reference, forward)["logSumExp"]!;
    expectClose(launchCase(device, forward, "bf16")["logSumExp"]!, expected, 2e-6, "logSumExp");
  });

  // T a multiple of four draws whole blocks of the counter, shared between lanes; the others draw element by element.
  test.each([
    { T: 64, D: 64 },
    { T: 61, D: 64 },
    { T: 124, D: 128 },
    { T: 123, D: 128 },
    { T: 132, D: 140 },
  ])("T $T, D $D: exactly the weights are dropped that the counter drops", ({ T, D }) => {
    const [H, B, p] = [2, 2, 0.4];
    const key = { ...dropout(p).dropout, microBatchSize: 5, sequences: B };
    const shape = { B, T, H, Hkv: 1, D, scale: 1, dropout: key };
    const mask = new CounterRandom(2 ** 31 + 5, PURPOSE.dropout, 3, 9);
    const before = 2 * 5 * 4 * Math.ceil((H * T * T) / 4); // numbers that two micro-batches of 5 sequences took
    const isKept = (b: number, h: number, t: number, s: number) =>
      s <= t && mask.uniform(before + ((b * H + h) * T + t) * T + s) >= p;
    // Equal scores, and values and gradients that are rows of the unit matrix: results show the weights one by one.
    const unit = (row: number, column: number) => (row === column ? 1 : 0);
    const width = (H + 2) * D;
    const qkv = Float32Array.from({ length: B * T * width }, (_, i) =>
      i % width < (H + 1) * D ? 0 : unit(Math.floor(i / width) % T, (i % width) - (H + 1) * D),
    );
    const dy = Float32Array.from({ length: B * T * H * D }, (_, i) => {
      const h = Math.floor((i % (H * D)) / D);
      return h === 0 ? unit(Math.floor(i / (H * D)) % T, i % D) : 0;
    });
    const logSumExp = Float32Array.from({ length: B * H * T }, (_, i) => Math.log((i % T) + 1));
    const qkvBuffer = device.upload(toBf16(qkv));
    const dyBuffer = device.upload(toBf16(dy));
    const y = device.allocate("bf16", dy.length);
    const statistics = device.upload(logSumExp);
    const dqkv = device.allocate("bf16", qkv.length);
    launchAttention(device, { ...shape, y, logSumExp: statistics, qkv: qkvBuffer });
    launchAttentionGradient(device, { ...shape, dqkv, dy: dyBuffer, y, logSumExp: statistics, qkv: qkvBuffer });
    device.endOperation();
    const weights = fromBf16(device.download(y) as Uint16Array);
    const dValues = fromBf16(device.download(dqkv) as Uint16Array);
    const wrong: string[] = [];
    for (let b = 0; b < B; b++) {
      for (let t = 0; t < T; t++) {
        for (let s = 0; s < Math.min(T, D); s++) {
          for (let h = 0; h < H; h++) {
            const weight = weights[((b * T + t) * H + h) * D + s]!;
            if (weight > 0 !== isKept(b, h, t, s)) wrong.push(`y: ${b} ${h} ${t} ${s}`);
          }
          // Head 0 alone has a gradient: dv[s] = sum over t of the kept weight of (t, s) times row t of the unit matrix.
          if (t < D) {
            const gradient = dValues[(b * T + s) * width + (H + 1) * D + t]!;
            if (gradient > 0 !== isKept(b, 0, t, s)) wrong.push(`dv: ${b} ${t} ${s}`);
          }
        }
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    for (const buffer of [qkvBuffer, dyBuffer, y, statistics, dqkv]) device.free(buffer);
  });

  test("generation from a cache gives what the whole sequence gives", () => {
    const shape = { B: 2, T: 45, H: 4, Hkv: 2, D: 18 };
    const { forward } = attentionCases(shape, {});
    const { B, T, H, Hkv, D } = shape;
    const expected = runCase(reference, forward);
    const width = (H + 2 * Hkv) * D;
    const capacity = 50;
    const keysValues = device.allocate("bf16", B * capacity * 2 * Hkv * D);
    const all = forward.buffers["qkv"] as Float32Array;
    for (let firstPosition = 0, count = 33; firstPosition < T; firstPosition += count, count = 1) {
      const rows = Array.from({ length: B }, (_, b) =>
        all.subarray((b * T + firstPosition) * width, (b * T + firstPosition + count) * width),
      );
      const qkv = device.upload(toBf16(Float32Array.from(rows.flatMap((row) => [...row]))));
      const y = device.allocate("bf16", B * count * H * D);
      const logSumExp = device.allocate("f32", B * H * count);
      const cache = { keysValues, capacity, firstPosition };
      launchAttention(device, { ...shape, T: count, scale: 1 / Math.sqrt(D), y, logSumExp, qkv, cache });
      const result = fromBf16(device.download(y) as Uint16Array);
      for (let b = 0; b < B; b++) {
        const from = (b * T + firstPosition) * H * D;
        const part = result.subarray(b * count * H * D, (b + 1) * count * H * D);
        expectClose(
          part,
          expected["y"]!.subarray(from, from + part.length),
          TOLERANCE,
          `position ${firstPosition} of ${b}`,
        );
      }
      for (const buffer of [qkv, y, logSumExp]) device.free(buffer);
    }
    device.free(keysValues);
  });

  test("what the kernels cannot do is a RangeError that says so", () => {
    const buffer = device.allocate("bf16", 4096);
    const logSumExp = device.allocate("f32", 64);
    const shape = { B: 1, T: 2, H: 2, Hkv: 2, D: 4, scale: 1, y: buffer, logSumExp, qkv: buffer };
    expect(() => launchAttention(device, { ...shape, H: 3, Hkv: 2 })).toThrow(/3 query heads cannot share 2/);
    expect(() => launchAttention(device, { ...shape, D: 258 })).toThrow(
      /attention\.D: 258 is not an even head dimension up to 256/,
    );
    expect(() => launchAttention(device, { ...shape, D: 5 })).toThrow(RangeError);
    expect(() => launchAttention(device, { ...shape, T: 400 })).toThrow(
      /attention\.logSumExp: needs 800 elements, the buffer holds 64|attention\.qkv|attention\.y/,
    );
    const cache = { keysValues: buffer, capacity: 3, firstPosition: 2 };
    expect(() => launchAttention(device, { ...shape, cache })).toThrow(/positions 2\.\.4 of a capacity of 3/);
    device.free(buffer);
    device.free(logSumExp);
  });
});
