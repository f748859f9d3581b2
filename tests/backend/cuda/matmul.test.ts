// The contract's matmul on the cuda device: types of operands and results, and the bf16 copies of parameters.

import { beforeAll, describe, expect, test } from "vitest";
import { ownGemm } from "../../../src/backend/cuda/launch/gemm.ts";
import { launchMatmul } from "../../../src/backend/cuda/launch/matmul.ts";
import type { CudaBuffer } from "../../../src/backend/cuda/launcher.ts";
import type { MatmulArgs } from "../../../src/backend/kernels.ts";
import { createReferenceBackend } from "../../../src/backend/reference/index.ts";
import { describeCase, drawCase, runCase } from "../kernel-cases.ts";
import { driverUnavailable } from "./driver-under-test.ts";
import { expectClose, rounded } from "./kernel-harness.ts";
import { fromBf16, SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

const unavailable = driverUnavailable();
const reference = createReferenceBackend();

describe.skipIf(unavailable)(`matmul on cuda${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let device: SimulatorLauncher;
  beforeAll(async () => {
    device = await SimulatorLauncher.open({ kernels: ["gemm.cu"] });
  }, 300_000);

  const parameter = (values: Float32Array): CudaBuffer => ({
    ...device.upload(values),
    copy: device.upload(toBf16(values)).address,
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    "agrees with the reference on random case %i, into bf16 and into f32",
    (seed) => {
      const drawn = drawCase("matmul", seed);
      const half = Object.fromEntries(
        Object.entries(drawn.buffers).map(([name, values]) => [
          name,
          values instanceof Float32Array && name !== "bias" ? rounded(values) : values,
        ]),
      ) as Record<string, Float32Array>;
      const expected = runCase(reference, { ...drawn, buffers: half })["c"]!;
      for (const type of ["bf16", "f32"] as const) {
        const place = (values: Float32Array) => device.upload(type === "bf16" ? toBf16(values) : values);
        const held: Record<string, CudaBuffer> = {};
        for (const [name, values] of Object.entries(half)) {
          held[name] = name === "bias" ? device.upload(values) : name === "b" ? parameter(values) : place(values);
        }
        held["a"] = device.upload(toBf16(half["a"]!));
        const shared = Object.fromEntries(
          Object.entries(drawn.aliases ?? {}).map(([field, target]) => [field, held[target]!]),
        );
        launchMatmul(device, ownGemm, { ...held, ...shared, ...drawn.scalars } as unknown as MatmulArgs);
        device.endOperation();
        const c = device.download(held["c"]!);
        const values = c instanceof Uint16Array ? fromBf16(c) : c;
        expectClose(values, expected, type === "bf16" ? 1e-2 : 1e-5, `${describeCase(drawn)} ${type}`);
      }
    },
  );

  test("refuses an operand that has no bf16 copy, and types that do not agree", () => {
    const [half, whole] = [device.allocate("bf16", 4), device.allocate("f32", 4)];
    const shape = { M: 2, N: 2, K: 2 };
    const multiply = (args: Omit<MatmulArgs, "M" | "N" | "K">) => () =>
      launchMatmul(device, ownGemm, { ...args, ...shape });
    expect(multiply({ c: half, a: whole, b: half })).toThrow(/operand a is f32 without a bf16 copy/);
    expect(multiply({ c: half, a: half, b: half, residual: whole })).toThrow(/residual is f32, the result bf16/);
    expect(multiply({ c: device.allocate("i32", 4), a: half, b: half })).toThrow(/result is i32/);
  });
});
