// The GEMM providers beside our own kernels: the calls to cuBLASLt against a stand-in for that library on the simulator's memory, and
// the table of measured choices.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { fromBf16, toBf16 } from "../../../src/backend/cuda/bf16.ts";
import { cudaDeterminismClass } from "../../../src/backend/cuda/class.ts";
import { describeCuda } from "../../../src/backend/cuda/describe.ts";
import type { CudaDevice } from "../../../src/backend/cuda/device.ts";
import { NativeLibrary } from "../../../src/backend/cuda/driver/api.ts";
import { type CublasLt, cublasVersion, openCublasLt } from "../../../src/backend/cuda/driver/cublaslt.ts";
import { TunedGemm } from "../../../src/backend/cuda/gemm/autotune.ts";
import { chooseGemm } from "../../../src/backend/cuda/gemm/choice.ts";
import { CublasLtGemm, columnMajor } from "../../../src/backend/cuda/gemm/cublaslt.ts";
import { GemmTable } from "../../../src/backend/cuda/gemm/table.ts";
import { createCudaBackend } from "../../../src/backend/cuda/index.ts";
import type { GemmArgs, GemmProvider } from "../../../src/backend/cuda/launch/gemm.ts";
import { KernelTimes } from "../../../src/backend/cuda/profile.ts";
import { shippedModules } from "../../../src/backend/cuda/shipped.ts";
import { CounterRandom } from "../../../src/util/philox.ts";
import { controlsUnavailable, DriverRig } from "./driver-rig.ts";

const missing = controlsUnavailable();
if (missing) console.error(`cuBLASLt's provider is not tested: ${missing}`);

const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-cublaslt-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Compiles the stand-in. */
function buildStandIn(): string {
  const source = path.join(import.meta.dirname, "fake-cublaslt", "cublaslt.cpp");
  const library = path.join(folder, "libcublasLt.so.12");
  execFileSync("g++", ["-std=c++20", "-O1", "-shared", "-fPIC", source, "-o", library]);
  return library;
}

test("by default the library multiplies from Hopper on where it is found, and our kernels elsewhere", () => {
  const [there, absent] = [() => true, () => false];
  const unasked = () => {
    throw new Error("the library was looked for");
  };
  expect(chooseGemm(90, there, undefined)).toBe("cublaslt");
  expect(chooseGemm(90, absent, undefined)).toBe("own");
  expect(chooseGemm(100, there, "")).toBe("cublaslt");
  for (const capability of [80, 86, 89, 120]) expect(chooseGemm(capability, unasked, undefined)).toBe("own");
  expect(chooseGemm(80, unasked, "tuned")).toBe("tuned");
  expect(chooseGemm(90, unasked, "own")).toBe("own");
  expect(() => chooseGemm(90, unasked, "cublas")).toThrow("STLM_CUDA_GEMM is cublas.");
});

test("the library's number is a version", () => {
  expect([111103, 120803, 130100].map(cublasVersion)).toEqual(["11.11.3", "12.8.3", "13.1.0"]);
});

test("a product is asked for with its operands swapped and with the alignment that the addresses have", () => {
  const args: GemmArgs = {
    ...{ c: 0x1000n, cType: "bf16", a: 0x2008n, b: 0x3002n, M: 3, N: 5, K: 7 },
    ...{ lda: 7, ldb: 9, ldc: 11, transposeA: false, transposeB: true, residual: 0x4010n },
  };
  expect(columnMajor(args)).toEqual({
    ...{ m: 5, n: 3, k: 7, transposeA: true, transposeB: false, lda: 9, ldb: 7, ldd: 11, resultType: "bf16" },
    alignments: [2, 8, 16, 256],
  });
});

describe("a table of measured choices", () => {
  const identity = { gpu: "test", driverVersion: 12080, cublasLt: "12.8.3", kernels: "abc" };
  const measured = (choice: string) => ({ choice, milliseconds: { [choice]: 1 } });

  test("keeps what was measured first, for every process that opens it", () => {
    const table = GemmTable.open(identity, folder);
    expect(table.get("1x1x1")).toBeUndefined();
    expect(table.add("1x1x1", measured("own:64x64/1")).choice).toBe("own:64x64/1");
    const other = GemmTable.open(identity, folder);
    expect(other.id).toBe(table.id);
    expect(other.add("1x1x1", measured("cublaslt:66")).choice).toBe("own:64x64/1");
    expect(other.used()).toBe("1x1x1: own:64x64/1");
  });

  test("has a name of its own where anything differs, and on each machine", () => {
    const ids = [
      GemmTable.open({ ...identity, cublasLt: null }, folder).id,
      GemmTable.open({ ...identity, gpu: "other" }, folder).id,
      GemmTable.open(identity, mkdtempSync(path.join(folder, "machine-"))).id,
      GemmTable.open(identity, mkdtempSync(path.join(folder, "machine-"))).id,
    ];
    expect(new Set(ids).size).toBe(4);
  });
});

describe.skipIf(missing)("the provider cublaslt on the simulated driver", () => {
  let rig: DriverRig;
  let standIn: { library: string; numProducts(): number; numAlive(): number; lastAlgorithm(): number };
  beforeAll(async () => {
    rig = await DriverRig.create();
    const library = buildStandIn();
    const native = new NativeLibrary(library);
    const bind = (name: string) => native.bind(name, "")!;
    standIn = {
      library,
      numProducts: bind("fakeNumProducts"),
      numAlive: bind("fakeNumAlive"),
      lastAlgorithm: bind("fakeLastAlgorithm"),
    };
  }, 300_000);
  beforeEach(() => {
    rig.reset();
    vi.stubEnv("STLM_CUBLASLT_LIBRARY", standIn.library);
    vi.stubEnv("XDG_CACHE_HOME", mkdtempSync(path.join(folder, "cache-")));
  });
  afterEach(() => vi.unstubAllEnvs());

  const refused: GemmProvider = {
    name: "refused",
    gemm: () => {
      throw new Error("left to the fallback");
    },
  };
  const opened = (library: ReturnType<typeof openCublasLt>): CublasLt => {
    if ("reason" in library) throw new Error(library.reason);
    return library;
  };

  describe("with a device of our own", () => {
    let device: CudaDevice;
    let library: CublasLt;
    beforeEach(() => {
      device = rig.openDevice({ graphs: false }).device;
      library = opened(openCublasLt(13000));
    });
    afterEach(() => {
      device.close();
      library.close();
    });

    /** Random numbers that bf16 holds. */
    const numbers = (length: number, seed: number) => {
      const random = new CounterRandom(seed, 98);
      const halves = new Uint16Array(length);
      toBf16(
        Float32Array.from({ length }, (_, i) => random.normal(i)),
        halves,
      );
      return fromBf16(halves);
    };

    test("computes every form of a product, in rows that may have gaps, into bf16 and f32", () => {
      const form = fc.record({
        ...{ M: fc.integer({ min: 1, max: 9 }), N: fc.integer({ min: 1, max: 9 }), K: fc.integer({ min: 1, max: 12 }) },
        ...{ transposeA: fc.boolean(), transposeB: fc.boolean(), isReal: fc.boolean() },
        added: fc.constantFrom("nothing", "accumulate", "residual", "itself"),
        ...{ gap: fc.nat(3), offset: fc.nat(3), alpha: fc.constantFrom(undefined, 0.5) },
      });
      const provider = new CublasLtGemm(library, refused);
      fc.assert(
        fc.property(form, ({ M, N, K, transposeA, transposeB, isReal, added, gap, offset, alpha }) => {
          const cType = isReal ? "f32" : "bf16";
          const rows = { a: transposeA ? K : M, b: transposeB ? N : K, c: M };
          const ld = { a: (transposeA ? M : K) + gap, b: (transposeB ? K : N) + gap, c: N + gap };
          const make = (which: "a" | "b" | "c", seed: number) => {
            const dtype = which === "c" ? cType : "bf16";
            const buffer = device.allocate(dtype, offset + rows[which] * ld[which]);
            const values = numbers(buffer.length, seed);
            device.write(buffer, values);
            const address = buffer.address + BigInt(offset * (dtype === "f32" ? 4 : 2));
            return { buffer, values: values.subarray(offset), address };
          };
          const [a, b, c, r] = [make("a", 1), make("b", 2), make("c", 3), make("c", 4)];
          const residual = added === "residual" ? r : added === "itself" ? c : undefined;
          provider.gemm(device.launcher, {
            ...{ c: c.address, cType, a: a.address, b: b.address, M, N, K },
            ...{ lda: ld.a, ldb: ld.b, ldc: ld.c, transposeA, transposeB },
            ...(alpha === undefined ? {} : { alpha }),
            accumulate: added === "accumulate",
            residual: residual?.address,
          });
          const result = device.read(c.buffer).subarray(offset);
          for (let m = 0; m < M; m++) {
            for (let n = 0; n < N; n++) {
              let sum = 0;
              for (let k = 0; k < K; k++) {
                sum +=
                  a.values[transposeA ? k * ld.a + m : m * ld.a + k]! *
                  b.values[transposeB ? n * ld.b + k : k * ld.b + n]!;
              }
              const before = added === "nothing" ? 0 : (added === "residual" ? r : c).values[m * ld.c + n]!;
              const expected = (alpha ?? 1) * sum + before;
              const tolerance = (isReal ? 1e-5 : 2 ** -8) * Math.max(1, Math.abs(expected));
              expect(Math.abs(result[m * ld.c + n]! - expected)).toBeLessThanOrEqual(tolerance);
            }
          }
          // Numbers between the rows are nobody's.
          for (let m = 0; m + 1 < M; m++) {
            for (let n = N; n < ld.c; n++) expect(result[m * ld.c + n]).toBe(c.values[m * ld.c + n]);
          }
          for (const { buffer } of [a, b, c, r]) device.free(buffer);
        }),
        { numRuns: 60 },
      );
    });

    test("leaves rows that would spoil the alignment of a transposed operand to our kernels", () => {
      const left: GemmArgs[] = [];
      const provider = new CublasLtGemm(library, { name: "rest", gemm: (_, args) => left.push(args) });
      const [a, b, c] = [device.allocate("bf16", 64), device.allocate("bf16", 16), device.allocate("f32", 52)];
      device.write(a, new Float32Array(64).fill(1));
      device.write(b, new Float32Array(16).fill(2));
      provider.gemm(device.launcher, {
        ...{ c: c.address, cType: "f32", a: a.address, b: b.address, M: 13, N: 4, K: 4 },
        ...{ lda: 16, ldb: 4, ldc: 4, transposeA: true, transposeB: false, accumulate: true },
      });
      const result = [...device.read(c)];
      expect(result).toEqual(result.map((_, i) => (i < 8 * 4 ? 8 : 0)));
      const [rest] = left;
      expect([left.length, rest?.M, rest?.a, rest?.c]).toEqual([1, 5, a.address + 16n, c.address + 128n]);
    });

    test("asks for a shape's algorithms once, and leaves to our kernels what the library cannot or should not do", () => {
      const provider = new CublasLtGemm(library, refused);
      const memory = device.allocate("bf16", 4096).address;
      const args = (more: Partial<GemmArgs>): GemmArgs => ({
        ...{ c: memory, cType: "bf16", a: memory + 2048n, b: memory + 4096n, M: 4, N: 4, K: 4 },
        ...{ lda: 4, ldb: 4, ldc: 4, transposeA: false, transposeB: false },
        ...more,
      });
      expect(provider.plan(device.launcher, args({}))).toBe(provider.plan(device.launcher, args({})));
      for (const other of [{ bias: memory }, { K: 13, lda: 13 }, { M: 0 }, { accumulate: true, residual: memory }]) {
        expect(() => provider.gemm(device.launcher, args(other))).toThrow("left to the fallback");
      }
      const plan = provider.plan(device.launcher, args({}))!;
      expect([plan.algorithms, plan.algorithmId(1), plan.workspaceBytes(0)]).toEqual([2, "61.1.1.1.1.1.1.-.-", 0]);
      provider.run(device.launcher, args({}), plan, 1);
      expect(standIn.lastAlgorithm()).toBe(1);
      expect(provider.plan(device.launcher, args({ K: 11, lda: 11 }))?.algorithms).toBe(1);
    });

    test("is repeated by a recording on the memory that the recording was given", () => {
      const provider = new CublasLtGemm(library, refused);
      const [x, y] = [device.allocate("bf16", 16), device.allocate("f32", 16)];
      device.write(
        x,
        Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 2 : 0)),
      );
      const square = { M: 4, N: 4, K: 4, lda: 4, ldb: 4, ldc: 4, transposeA: false, transposeB: false };
      const recording = device.record(() => {
        const between = device.allocate("bf16", 16);
        provider.gemm(device.launcher, { ...square, c: between.address, cType: "bf16", a: x.address, b: x.address });
        const sum = { ...square, c: y.address, cType: "f32" as const, a: between.address, b: x.address };
        provider.gemm(device.launcher, { ...sum, accumulate: true });
        device.free(between);
      });
      expect(device.read(y)).toEqual(new Float32Array(16));
      recording.replay();
      recording.replay();
      expect([...device.read(y)].filter((value) => value !== 0)).toEqual([16, 16, 16, 16]);
    });

    test("gives back all that it made of the library", () => {
      const provider = new CublasLtGemm(library, refused);
      const memory = device.allocate("bf16", 64).address;
      const args = { M: 4, N: 4, K: 4, lda: 4, ldb: 4, ldc: 4, transposeA: false, transposeB: false };
      provider.gemm(device.launcher, { ...args, c: memory, cType: "bf16", a: memory, b: memory });
      const alive = standIn.numAlive();
      const second = opened(openCublasLt(13000));
      expect(standIn.numAlive()).toBe(alive + 1);
      second.close();
      expect(standIn.numAlive()).toBe(alive);
    });
  });

  test("the library is used by name, and its version is in the class and in the description", async () => {
    vi.stubEnv("STLM_CUDA_GEMM", "cublaslt");
    const backend = await createCudaBackend({ graphs: false });
    expect(backend.info.determinismClass).toBe("cuda-bf16-sm_80x4-cublaslt-12.8.3");
    expect(backend.info.description).toContain("matrix products cublaslt, cuBLASLt 12.8.3");
    expect(cudaDeterminismClass()).toBe(backend.info.determinismClass);
    const before = standIn.numProducts();
    const [a, c] = [backend.allocate("bf16", 64), backend.allocate("f32", 64)];
    backend.write(
      a,
      Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 3 : 0)),
    );
    backend.kernels.matmul({ c, a, b: a, M: 8, N: 8, K: 8, transposeB: true });
    expect(standIn.numProducts()).toBe(before + 1);
    expect([...backend.read(c)].filter((value) => value !== 0)).toEqual(new Array(8).fill(9));
    backend.close();
  });

  test.each([
    ["own", "gemm_nn_64x64 16x8x24"],
    ["cublaslt", "cublasLtMatmul_nn 16x8x24"],
  ] as const)("times of products by %s are told by size", async (gemm, line) => {
    const profile = new KernelTimes();
    const backend = await createCudaBackend({ gemm, profile });
    const [a, b, c] = [backend.allocate("bf16", 384), backend.allocate("bf16", 192), backend.allocate("f32", 128)];
    profile.begin();
    backend.kernels.matmul({ c, a, b, M: 16, N: 8, K: 24 });
    backend.kernels.matmul({ c, a, b, M: 8, N: 8, K: 24 });
    expect(profile.end().map(({ kernel }) => kernel)).toEqual(
      expect.arrayContaining([line, line.replace("16x8", "8x8")]),
    );
    backend.close();
  });

  test("a GPU of Hopper's generation takes the library by itself", async () => {
    rig.setDevice(1, 13000, 90);
    const backend = await createCudaBackend({ graphs: false });
    expect(backend.info.determinismClass).toBe("cuda-bf16-sm_90x4-cublaslt-12.8.3");
    backend.close();
    vi.stubEnv("STLM_CUBLASLT_LIBRARY", "none");
    const alone = await createCudaBackend({ graphs: false });
    expect(alone.info.determinismClass).toBe("cuda-bf16-sm_90x4-own");
    alone.close();
  });

  test("where our kernels multiply the library has no handle on the GPU", async () => {
    rig.setDevice(1, 13000, 90);
    const alive = standIn.numAlive();
    const ours = await createCudaBackend({ graphs: false, gemm: "own" });
    expect(standIn.numAlive()).toBe(alive);
    ours.close();
    const theirs = await createCudaBackend({ graphs: false });
    expect(standIn.numAlive()).toBe(alive + 1);
    theirs.close();
    vi.stubEnv("STLM_CUDA_GEMM", "tuned");
    vi.stubEnv("STLM_CUBLASLT_LIBRARY", "none");
    const alone = await createCudaBackend({ graphs: false });
    expect(alone.measures?.()).toMatchObject({ gemm: "tuned" });
    alone.close();
  });

  test("a library that is found and does not start is an error, for the class names it", async () => {
    rig.setDevice(1, 13000, 90);
    const refuseHandles = new NativeLibrary(standIn.library).bind("fakeRefuseHandles", "i")!;
    refuseHandles(1);
    await expect(createCudaBackend({ graphs: false })).rejects.toMatchObject({
      code: "NO_CUBLASLT",
      message: expect.stringContaining("cublasLtCreate returned 1"),
    });
    const detail = expect.stringContaining("cublasLtCreate returned 1");
    expect(await describeCuda()).toContainEqual(
      expect.objectContaining({ what: "matrix products", ok: false, detail }),
    );
    refuseHandles(0);
    (await createCudaBackend({ graphs: false })).close();
  });

  test("the autotuner measures each shape once, also in a recording, keeps the choice and reports it", async () => {
    vi.stubEnv("STLM_CUDA_GEMM", "tuned");
    const planned = cudaDeterminismClass();
    const multiply = async () => {
      const backend = await createCudaBackend({ graphs: false });
      expect(backend.info.determinismClass).toBe(planned);
      const [a, c] = [backend.allocate("bf16", 256), backend.allocate("f32", 256)];
      backend.write(
        a,
        Float32Array.from({ length: 256 }, (_, i) => (i % 17 === 0 ? 2 : 0)),
      );
      const call = { c, a, b: a, M: 16, N: 16, K: 16, accumulate: true };
      const recording = backend.record!(() => backend.kernels.matmul(call));
      recording.replay();
      backend.kernels.matmul(call);
      expect([...backend.read(c)].filter((value) => value !== 0)).toEqual(new Array(16).fill(8));
      const choices = backend.measures!()["gemm_algorithms"];
      backend.close();
      return choices;
    };
    const first = await multiply();
    expect(first).toMatch(/^16x16x16 nn f32 ld 16 16 16 accumulated: (own:64x64|own:128x|cublaslt:6[01]\.)/);
    const timed = rig.count("cuEventElapsedTime");
    expect(timed).toBeGreaterThan(0);
    expect(await multiply()).toBe(first);
    expect(rig.count("cuEventElapsedTime")).toBe(timed);
    expect(planned).toMatch(/^cuda-bf16-sm_80x4-tuned-[0-9a-f]{8}$/);
  });

  test("the autotuner measures without the rows that would spoil the alignment, and leaves those to our kernels", () => {
    const { device } = rig.openDevice({ modules: shippedModules(), graphs: false });
    const library = opened(openCublasLt(13000));
    const identity = { gpu: "test", driverVersion: 13000, cublasLt: library.version, kernels: "rows" };
    const table = GemmTable.open(identity, folder);
    const [a, b, c] = [device.allocate("bf16", 64), device.allocate("bf16", 16), device.allocate("f32", 52)];
    device.write(
      a,
      Float32Array.from({ length: 64 }, (_, i) => i % 16),
    );
    device.write(b, new Float32Array(16).fill(2));
    const product = { M: 13, N: 4, K: 4, lda: 16, ldb: 4, ldc: 4, transposeA: true, transposeB: false };
    const args: GemmArgs = { ...product, c: c.address, cType: "f32", a: a.address, b: b.address };
    for (const choices of [new CublasLtGemm(library, refused), undefined]) {
      new TunedGemm(choices, table, device.bench()).gemm(device.launcher, args);
      expect([...device.read(c)]).toEqual(Array.from({ length: 52 }, (_, i) => 8 * Math.floor(i / 4)));
    }
    expect(table.used()).toMatch(/^13x4x4 tn f32 ld 16 4 4: own:\S+; 8x4x4 tn f32 ld 16 4 4: \S+$/);
    library.close();
    device.close();
  });
});
