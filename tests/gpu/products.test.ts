// Matrix products through the whole device by every provider that is there: our kernels, the real cuBLASLt, and the faster of both. The
// tests of the kernels leave the library out, which the simulator has only as a stand-in.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Backend, DeviceBuffer } from "../../src/backend/backend.ts";
import type { GemmChoice } from "../../src/backend/cuda/gemm/choice.ts";
import { createCudaBackend } from "../../src/backend/cuda/index.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { isUserError } from "../../src/util/errors.ts";
import { CounterRandom } from "../../src/util/philox.ts";
import { DriverRig, driverUnavailable, isSimulated } from "../backend/cuda/driver-rig.ts";
import { expectClose, rounded } from "../backend/cuda/kernel-harness.ts";
import { describeCase, drawCase, type KernelCase, runCase } from "../backend/kernel-cases.ts";

const missing = driverUnavailable();
if (missing) console.error(`Products on the device are not tested: ${missing}`);

const reference = createReferenceBackend();
const CASES = [
  ...Array.from({ length: isSimulated ? 3 : 12 }, (_, i) => drawCase("matmul", i + 20)),
  ...trainingForms(),
];

/** The three forms of a layer in training, with sizes that the fast kernels take: forward, gradient of x, gradient of w. */
function trainingForms(): KernelCase[] {
  const random = new CounterRandom(3, 99);
  let drawn = 0;
  const reals = (length: number) => Float32Array.from({ length }, () => random.normal(drawn++));
  const [M, N, K] = isSimulated ? [64, 72, 96] : [512, 384, 320];
  return [{ transposeB: true }, {}, { transposeA: true, accumulate: true }].map((form) => ({
    kernel: "matmul",
    buffers: { c: reals(M * N), a: reals(M * K), b: reals(K * N) },
    outputs: ["c"],
    scalars: { M, N, K, ...form },
  }));
}

describe.skipIf(missing)("matrix products on the device", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-products-"));
  let backend: Backend | undefined;
  beforeAll(() => DriverRig.create(["gemm.cu", "elementwise.cu"]), 300_000);
  // What the rig hides, this file is about; choices are measured anew, in a folder of their own.
  beforeEach(() => {
    if (!isSimulated) delete process.env["STLM_CUBLASLT_LIBRARY"];
    vi.stubEnv("XDG_CACHE_HOME", folder);
  });
  afterEach(() => {
    backend?.close();
    backend = undefined;
    vi.unstubAllEnvs();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function product(device: Backend, { buffers, aliases, scalars }: KernelCase, type: "bf16" | "f32"): Float32Array {
    const held: Record<string, DeviceBuffer> = {};
    for (const [name, values] of Object.entries(buffers)) {
      // b as a parameter, which the device rounds itself; the others as activations.
      const dtype = name === "a" ? "bf16" : name === "b" || name === "bias" ? "f32" : type;
      held[name] = device.allocate(dtype, values.length);
      device.write(held[name], values);
    }
    const shared = Object.fromEntries(Object.entries(aliases ?? {}).map(([field, target]) => [field, held[target]!]));
    device.kernels.matmul({ ...held, ...shared, ...scalars } as never);
    const result = device.read(held["c"]!) as Float32Array;
    for (const buffer of Object.values(held)) device.free(buffer);
    return result;
  }

  test.each(["own", "cublaslt", "tuned"] as const)("by %s are right, and the same twice", async (gemm: GemmChoice) => {
    try {
      backend = await createCudaBackend({ gemm });
    } catch (error) {
      if (!isUserError(error) || error.code !== "NO_CUBLASLT") throw error;
      console.error(`cublaslt is not tested: ${error.message}`);
      return;
    }
    for (const drawn of CASES) {
      for (const type of ["bf16", "f32"] as const) {
        const buffers = Object.entries(drawn.buffers).map(([name, values]) => [
          name,
          (type === "bf16" && name !== "bias") || name === "a" || name === "b"
            ? rounded(values as Float32Array)
            : values,
        ]);
        const seen: KernelCase = { ...drawn, buffers: Object.fromEntries(buffers) };
        const expected = runCase(reference, seen)["c"]!;
        const actual = product(backend, seen, type);
        const label = `${describeCase(drawn)} ${type} by ${gemm}`;
        expectClose(actual, expected, type === "bf16" ? 1e-2 : 1e-5, label);
        expect(product(backend, seen, type), label).toEqual(actual);
      }
    }
    if (gemm !== "own") expect(backend.measures?.()["gemm_algorithms"]).toContain(": ");
  });
});
