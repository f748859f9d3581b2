// Matrix products of the own kernels on the simulator, against sums in double precision.

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  chooseTile,
  type GemmArgs,
  type GemmTile,
  gemmCandidates,
  ownGemm,
} from "../../../src/backend/cuda/launch/gemm.ts";
import { isSimulated } from "./driver-under-test.ts";
import { type GemmCase, gemmError, runGemm } from "./gemm-cases.ts";
import { driverUnavailable, MODES, SimulatorLauncher } from "./simulator-launcher.ts";

const unavailable = driverUnavailable();

/** Longer than the pipeline (K of several stages and one more), edges in M, N and K. */
const CASES: Record<string, GemmCase> = {
  "128x128": { M: 150, N: 136, K: 200, tile: { shape: "128x128", splits: 1 } },
  "128x64": { M: 131, N: 72, K: 168, tile: { shape: "128x64", splits: 1 }, bias: true },
  "64x64": { M: 70, N: 80, K: 176, tile: { shape: "64x64", splits: 1 }, residual: true, alpha: 0.5 },
  "splits of K": { M: 72, N: 70, K: 520, tile: { shape: "64x64", splits: 3 }, cType: "f32", accumulate: true },
  "odd everything": {
    M: 67,
    N: 69,
    K: 147,
    tile: { shape: "any", splits: 1 },
    bias: true,
    residual: true,
    rows: "odd",
  },
  "odd with splits": {
    M: 35,
    N: 33,
    K: 301,
    tile: { shape: "any", splits: 2 },
    bias: true,
    accumulate: true,
    rows: "odd",
  },
};
const FORMS = [
  { transposeA: false, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: false },
] as const;

describe.skipIf(unavailable)(`matrix products${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let device: SimulatorLauncher;
  beforeAll(async () => {
    device = await SimulatorLauncher.open({ kernels: ["gemm.cu"] });
  });

  describe.each(Object.entries(CASES))("%s", (_, shape) => {
    const forms = shape.tile?.shape === "any" ? [...FORMS, { transposeA: true, transposeB: true }] : FORMS;
    test.each(forms)("agrees with double precision, alike in all schedules ($transposeA, $transposeB)", (form) => {
      const results = MODES.map((mode) => {
        device.setMode(mode);
        return runGemm(device, { ...shape, ...form });
      });
      expect(gemmError({ ...shape, ...form }, results[0]!)).toBeLessThan(1);
      for (const result of results) expect(Buffer.compare(bytesOf(result), bytesOf(results[0]!))).toBe(0);
    });
  });

  test("agrees with double precision on random shapes, leading dimensions and addresses", () => {
    device.setMode({ schedule: "random", copies: "late" });
    const size = (max: number) => fc.integer({ min: 1, max });
    const arbitrary = fc.record({
      M: size(140),
      N: size(140),
      K: fc.integer({ min: 0, max: 200 }),
      transposeA: fc.boolean(),
      transposeB: fc.boolean(),
      rows: fc.constantFrom("dense" as const, "aligned" as const, "odd" as const),
      offset: fc.constantFrom(0, 1, 8),
      bias: fc.boolean(),
      residual: fc.boolean(),
      accumulate: fc.boolean(),
      cType: fc.constantFrom("bf16" as const, "f32" as const),
    });
    fc.assert(
      fc.property(arbitrary, (shape) => {
        expect(gemmError(shape, runGemm(device, shape))).toBeLessThan(1);
      }),
      { numRuns: 40 },
    );
  });

  test.skipIf(!isSimulated)("reads shared memory without bank conflicts in every form and tile", () => {
    const before = device.bankConflicts();
    for (const shape of ["128x128", "128x64", "64x64"] as const) {
      for (const form of FORMS) runGemm(device, { M: 128, N: 128, K: 64, ...form, tile: { shape, splits: 1 } });
    }
    expect(device.bankConflicts()).toBe(before);
  });

  test("an empty sum gives bias and residual", () => {
    const shape: GemmCase = { M: 5, N: 9, K: 0, bias: true, residual: true, cType: "f32" };
    expect(gemmError(shape, runGemm(device, shape))).toBeLessThan(1);
  });

  test("an empty result launches nothing", () => {
    const before = device.launched.length;
    ownGemm.gemm(device, { ...product(0, 4, 4), c: 0n, a: 0n, b: 0n });
    expect(device.launched.length).toBe(before);
  });
});

describe("the choice of a tile", () => {
  const on = (args: GemmArgs, multiprocessors = 132): GemmTile => chooseTile(args, multiprocessors);

  test("takes large tiles where they fill the device", () => {
    expect(on(product(12_288, 3_072, 512))).toEqual({ shape: "128x128", splits: 1 });
  });

  test("splits the long sums of a weight gradient", () => {
    expect(on({ ...product(512, 512, 12_288), transposeA: true }).splits).toBeGreaterThan(4);
  });

  test("offers numbers of splits that are whole, and each of them once", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), (K) => {
        const [first, ...others] = gemmCandidates(product(512, 512, K), 132);
        const splits = [first!, ...others].filter(({ shape }) => shape === first!.shape).map((tile) => tile.splits);
        // The parts that a launch comes to, of whole steps of 32.
        const steps = Math.max(1, Math.ceil(K / 32));
        expect(splits).toEqual(splits.map((count) => Math.ceil(steps / Math.ceil(steps / count))));
        expect(new Set(splits).size).toBe(splits.length);
        expect(splits).toContain(1);
      }),
    );
  });

  test("takes the kernels for any address where an operand is not aligned", () => {
    expect(on({ ...product(128, 128, 128), lda: 129 }).shape).toBe("any");
    expect(on({ ...product(128, 128, 128), b: 2n }).shape).toBe("any");
  });
});

function product(M: number, N: number, K: number): GemmArgs {
  const dense = { lda: K, ldb: N, ldc: N, transposeA: false, transposeB: false };
  return { c: 0n, cType: "bf16", a: 0n, b: 0n, M, N, K, ...dense };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
