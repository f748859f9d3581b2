// Every kernel of the cuda device but matrix products against the reference on random odd shapes, with the same bits under every
// schedule of the simulator's threads.

import { beforeAll, describe, expect, test } from "vitest";
import type { DeviceBuffer } from "../../../src/backend/backend.ts";
import { launchSum, launchSumSquares } from "../../../src/backend/cuda/launch/reductions.ts";
import { createReferenceBackend } from "../../../src/backend/reference/index.ts";
import { CounterRandom } from "../../../src/util/philox.ts";
import { describeCase, drawCase, type KernelCase, lists, runCase } from "../kernel-cases.ts";
import { compareCase, type ElementType, type LaunchedKernel, launchCase, roundedCase } from "./kernel-harness.ts";
import { driverUnavailable, SimulatorLauncher } from "./simulator-launcher.ts";

const unavailable = driverUnavailable();
const reference = createReferenceBackend();

/** Largest error relative to the largest value, in float and in bf16 (a bf16 output is rounded to 2^-9 of itself). */
const F32_TOLERANCE = 1e-5;
const BF16_TOLERANCE = 4e-3;
const PRODUCT_TOLERANCE = 1e-2;

const BOTH_TYPES: readonly LaunchedKernel[] = [
  "embedding",
  "embeddingGradient",
  "rmsNorm",
  "rmsNormGradient",
  "layerNorm",
  "layerNormGradient",
  "rope",
  "swiglu",
  "swigluGradient",
  "gelu",
  "geluGradient",
  "dropout",
  "add",
  "scale",
  "fill",
  "copy",
  "columnSum",
  "sum",
];
const ALWAYS_F32: readonly LaunchedKernel[] = ["clipScale", "sumSquares", "adamW"];
/** These have no real inputs. */
const EXACT: readonly LaunchedKernel[] = ["cutWindows", "increment", "clear"];
const ALWAYS_BF16: readonly LaunchedKernel[] = ["attention", "attentionGradient", "headLoss"];

const random = new CounterRandom(7, 99);
let drawn = 0;
const normals = (length: number) => Float32Array.from({ length }, () => random.normal(drawn++));
const ids = (length: number, V: number) => Int32Array.from({ length }, () => random.integer(drawn++, V));

/** Sizes that the random shapes do not reach: 16-byte packets throughout, several blocks per sum, several tiles of ids. */
const LARGE: readonly KernelCase[] = [
  norm("rmsNormGradient", 2100, 16),
  norm("rmsNormGradient", 30, 1024),
  norm("layerNormGradient", 2100, 8),
  norm("layerNormGradient", 20, 1536),
  {
    kernel: "columnSum",
    buffers: { db: normals(24), dy: normals(9000 * 24) },
    outputs: ["db"],
    scalars: { N: 9000, C: 24 },
  },
  {
    kernel: "sum",
    buffers: { out: normals(2), x: normals(150_001) },
    outputs: ["out"],
    scalars: { length: 150_001, index: 1, squared: true },
  },
  ...manyTensors(),
  embeddingGradient({ N: 600, T: 200, C: 520, V: 3 }),
  embeddingGradient({ N: 520, T: 130, C: 8, V: 50_257 }),
  { kernel: "rope", ...rope({ N: 74, T: 37, heads: 5, D: 32, stride: 192 }) },
  { kernel: "rope", ...rope({ N: 9, T: 40, heads: 1, D: 64, stride: 64 }) },
];

/** More tensors than one table holds, empty ones too, and some of several blocks. */
function manyTensors(): KernelCase[] {
  const lengths = Array.from({ length: 140 }, (_, i) => (i % 50 === 7 ? 20_000 + i : i % 9));
  const parts = ["p", "g", "m", "v"].map((name) => [name, normals] as const);
  const moments = { ...Object.fromEntries(parts), v: (length: number) => normals(length).map((x) => x * x) };
  const each = (name: string, held: Readonly<Record<string, DeviceBuffer>>) =>
    lengths.map((_, i) => held[`${name}${i}`]!);
  const rates = { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: 3, gradientScale: 0.5 };
  return [
    {
      kernel: "adamW",
      buffers: lists(lengths, moments),
      outputs: lengths.flatMap((_, i) => [`p${i}`, `m${i}`, `v${i}`]),
      scalars: rates,
      gather: (held) => {
        const [p, g, m, v] = ["p", "g", "m", "v"].map((name) => each(name, held));
        const tensor = (i: number) => ({ p: p![i], g: g![i], m: m![i], v: v![i], weightDecay: i % 2 });
        return { tensors: lengths.map((length, i) => ({ ...tensor(i), length })) };
      },
    },
    {
      kernel: "sumSquares",
      buffers: { out: normals(150), ...lists(lengths, { x: normals }) },
      outputs: ["out"],
      scalars: { first: 5 },
      gather: (held) => ({ xs: each("x", held) }),
    },
    {
      kernel: "clear",
      buffers: lists(lengths, { y: normals }),
      outputs: lengths.map((_, i) => `y${i}`),
      scalars: {},
      gather: (held) => ({ ys: each("y", held) }),
    },
  ];
}

function norm(kernel: "rmsNormGradient" | "layerNormGradient", N: number, C: number): KernelCase {
  const statistics = { mean: normals(N), rstd: normals(N).map((x) => Math.abs(x) + 0.5), db: normals(C) };
  const activations = { dx: normals(N * C), dy: normals(N * C), x: normals(N * C) };
  const outputs = kernel === "layerNormGradient" ? ["dx", "dw", "db"] : ["dx", "dw"];
  const buffers = { ...activations, ...statistics, dw: normals(C), w: normals(C) };
  return { kernel, buffers, outputs, scalars: { N, C, accumulate: true } };
}

function embeddingGradient(sizes: { N: number; T: number; C: number; V: number }): KernelCase {
  const { N, T, C, V } = sizes;
  const buffers = { dTable: new Float32Array(V * C), dPositions: normals(T * C), dy: normals(N * C), ids: ids(N, V) };
  return { kernel: "embeddingGradient", buffers, outputs: ["dTable", "dPositions"], scalars: sizes };
}

function rope(sizes: { N: number; T: number; heads: number; D: number; stride: number }) {
  const scalars = { ...sizes, base: 10_000, firstPosition: 100_000 };
  return { buffers: { x: normals(sizes.N * sizes.stride) }, outputs: ["x"], scalars };
}

/** Logits of a few units, as in training: bf16 rounds them to 2^-9 of themselves, and a probability by as much as that. */
function tame(drawn: KernelCase): KernelCase {
  if (drawn.kernel !== "headLoss") return drawn;
  return { ...drawn, buffers: { ...drawn.buffers, x: drawn.buffers["x"]!.map((x) => x / 8) } };
}

describe.skipIf(unavailable)(`CUDA kernels${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let device: SimulatorLauncher;
  beforeAll(async () => {
    device = await SimulatorLauncher.open();
  }, 300_000);

  const compare = (kernel: LaunchedKernel, type: ElementType, tolerance: number, cases: number) => {
    for (let seed = 1; seed <= cases; seed++) compareCase(device, tame(drawCase(kernel, seed)), type, tolerance);
  };

  test.each(EXACT)("%s is right on random shapes", (kernel) => compare(kernel, "f32", 0, 6));

  test("there are no ids and targets where the counter of micro-batches is past the windows of the step", () => {
    const [ids, targets] = [new Int32Array(6), new Int32Array(6)];
    const windows = Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
    for (const [microBatch, expected] of [
      [1, [7, 8, -2, -2, -2, -2]],
      [-1, [-2, -2, -2, -2, 1, 2]],
    ] as const) {
      const scalars = { microBatch, size: 2, B: 3, T: 2 };
      const out = launchCase(
        device,
        { kernel: "cutWindows", buffers: { ids, targets, windows }, outputs: ["ids"], scalars },
        "f32",
      );
      expect([...out["ids"]!]).toEqual(expected);
    }
  });

  test("a sum of squares has the bits of the same sum made alone", () => {
    const lengths = [1, 8192, 8193, 40_001];
    const xs = lengths.map((length) => device.upload(normals(length)));
    const [together, alone] = [device.allocate("f32", 4), device.allocate("f32", 4)];
    launchSumSquares(device, { out: together, first: 0, xs });
    for (const [index, x] of xs.entries()) launchSum(device, { out: alone, index, x, length: x.length, squared: true });
    device.endOperation();
    expect(device.download(together)).toEqual(device.download(alone));
    for (const buffer of [...xs, together, alone]) device.free(buffer);
  });

  test.each([...BOTH_TYPES, ...ALWAYS_F32])("%s in float is right to 1e-5 on random shapes", (kernel) => {
    compare(kernel, "f32", F32_TOLERANCE, 6);
  });

  test.each(BOTH_TYPES)("%s in bf16 is right to the rounding of bf16 on random shapes", (kernel) => {
    compare(kernel, "bf16", BF16_TOLERANCE, 6);
  });

  test.each(ALWAYS_BF16)("%s in bf16 is right to 1e-2 on random shapes", (kernel) => {
    compare(kernel, "bf16", PRODUCT_TOLERANCE, 8);
  });

  test.each(LARGE.map((kernelCase) => [describeCase(kernelCase), kernelCase] as const))(
    "%s is right",
    (_, kernelCase) => {
      compareCase(device, kernelCase, "f32", F32_TOLERANCE);
      compareCase(device, kernelCase, "bf16", BF16_TOLERANCE);
    },
  );

  test.each([...BOTH_TYPES, ...ALWAYS_F32, ...ALWAYS_BF16].filter((kernel) => kernel !== "fill"))(
    "%s hides no NaN that the reference shows",
    (kernel) => {
      device.setMode({ schedule: "ascending", copies: "immediate" });
      for (let seed = 1; seed <= 8; seed++) {
        const type = ALWAYS_F32.includes(kernel) || (seed % 2 === 0 && BOTH_TYPES.includes(kernel)) ? "f32" : "bf16";
        const chosen = roundedCase(tame(drawCase(kernel, seed)), type);
        const inputs = Object.keys(chosen.buffers).filter((name) => chosen.buffers[name] instanceof Float32Array);
        const poisonedName = inputs[seed % inputs.length]!;
        const values = chosen.buffers[poisonedName]!.slice();
        values[(seed * 7919) % values.length] = Number.NaN;
        const poisoned = { ...chosen, buffers: { ...chosen.buffers, [poisonedName]: values } };
        const expected = runCase(reference, poisoned);
        const actual = launchCase(device, poisoned, type);
        for (const [name, array] of Object.entries(expected)) {
          const hidden = array.findIndex((x, i) => Number.isNaN(x) && !Number.isNaN(actual[name]![i]));
          expect(hidden, `${describeCase(chosen)}: NaN in ${poisonedName}, hidden in ${name} at this index`).toBe(-1);
        }
      }
    },
  );

  test("activation functions are right to 1e-5 of their own value from -5 to 12", () => {
    const length = 1701;
    const x = Float32Array.from({ length }, (_, i) => -5 + i / 100);
    const ones = x.slice().fill(1);
    const gated = Float32Array.from({ length: 2 * length }, (_, i) => (i % 2 === 0 ? x[i / 2]! : 1));
    const cases: readonly KernelCase[] = [
      { kernel: "gelu", buffers: { y: ones, x }, outputs: ["y"], scalars: { length } },
      { kernel: "swiglu", buffers: { y: ones, x: gated }, outputs: ["y"], scalars: { N: length, F: 1 } },
    ];
    for (const kernelCase of cases) {
      const expected = runCase(reference, kernelCase)["y"]!;
      const actual = launchCase(device, kernelCase, "f32")["y"]!;
      for (const [i, value] of expected.entries()) {
        const isClose = Math.abs(actual[i]! - value) <= 1e-5 * Math.abs(value);
        expect(isClose, `${kernelCase.kernel}(${x[i]}) is ${actual[i]}, the reference has ${value}`).toBe(true);
      }
    }
  });

  test.each(["rmsNorm", "layerNorm"] as const)(
    "%s gives NaN in a row that overflows, never a plausible value",
    (kernel) => {
      const [C, large] = [40, [1e20, -3e38, Number.POSITIVE_INFINITY, 2]];
      const x = Float32Array.from({ length: 4 * C }, (_, i) => large[Math.floor(i / C)]! * (i % 2 ? 1 : 0.5));
      const buffers = {
        y: x.map(() => 0),
        mean: new Float32Array(4),
        rstd: new Float32Array(4),
        x,
        w: x.slice(0, C).fill(1),
      };
      const overflowing: KernelCase = { kernel, buffers, outputs: ["y", "rstd"], scalars: { N: 4, C, eps: 1e-6 } };
      for (const type of ["f32", "bf16"] as const) {
        const { y, rstd } = launchCase(device, overflowing, type);
        expect([...rstd!].map(Number.isNaN)).toEqual([true, true, true, false]);
        for (const [i, value] of y!.entries()) expect(Number.isNaN(value)).toBe(i < 3 * C);
      }
    },
  );
});
