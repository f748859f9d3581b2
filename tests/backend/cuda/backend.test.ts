// The whole device on the simulated driver: the contract of a Backend, and a model that is trained by recorded steps.

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Backend } from "../../../src/backend/backend.ts";
import { createCpuBackend } from "../../../src/backend/cpu/index.ts";
import { cudaDeterminismClass } from "../../../src/backend/cuda/class.ts";
import { Driver } from "../../../src/backend/cuda/driver/driver.ts";
import { type CudaOptions, createCudaBackend } from "../../../src/backend/cuda/index.ts";
import { addressesOf, Issuer } from "../../../src/backend/cuda/operation.ts";
import { KernelTimes } from "../../../src/backend/cuda/profile.ts";
import { deviceClassOf, openBackend, resolveDevice } from "../../../src/backend/index.ts";
import { Transformer } from "../../../src/models/transformer.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import { DriverRig, driverUnavailable, isSimulated } from "./driver-rig.ts";

const missing = driverUnavailable();
if (missing) console.error(`The cuda device is not tested: ${missing}`);

const VOCABULARY = 64;
const ids = Int32Array.from({ length: 4000 }, (_, i) => (i * 7 + (i >> 3)) % 60);
const text = { tokens: ids.length, readWindow: (start: number, length: number) => ids.slice(start, start + length) };

/** Micro-batches of two sequences. */
function trainerOn(backend: Backend, { sequences = 3, contextWindow = 32, numLayers = 2 } = {}) {
  const model = new Transformer({
    ...{ vocabSize: VOCABULARY, contextWindow, hiddenDim: 64, numLayers, numHeads: 2, numKvHeads: 1 },
    ...{ ffn: "swiglu", ffnDim: 96, positions: "rope", norm: "rms", tied: true, bias: false, init: "default" },
    dropout: 0.1,
  });
  model.allocate(backend, { seed: 1, gradients: true });
  const trainer = new Trainer(backend, model, text, {
    ...{ steps: 20, batchTokens: sequences * contextWindow, microBatch: 2, contextWindow, seed: 1 },
    ...{ learningRate: 1e-2, minLearningRate: 1e-3, warmupSteps: 2, schedule: "cosine", weightDecay: 0.1 },
    ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 },
  });
  return { model, trainer };
}

/** Losses and gradient norms of a few steps, queued ahead of their results, and the weights after them. */
async function trainBriefly(backend: Backend, steps = 4) {
  const { model, trainer } = trainerOn(backend);
  const results = await Promise.all(Array.from({ length: steps }, () => trainer.queueStep()));
  const weights = model.parameters().map(([, parameter]) => backend.read(parameter.value));
  backend.close();
  return { losses: results.map(({ loss }) => loss), norms: results.map(({ gradientNorm }) => gradientNorm), weights };
}

describe.skipIf(missing)("the cuda device", () => {
  let rig: DriverRig;
  let open: (options?: CudaOptions) => Promise<Backend>;
  let backend: Backend | undefined;
  beforeAll(async () => {
    rig = await DriverRig.create();
    open = async (options = {}) => {
      backend = await createCudaBackend(options);
      return backend;
    };
  }, 300_000);
  beforeEach(() => rig.reset());
  afterEach(() => {
    backend?.close();
    backend = undefined;
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  test.skipIf(!isSimulated)("says what it is: precision, class, and where the matrix products come from", async () => {
    const { info, precision, activations, measures } = await open();
    expect([precision, activations]).toEqual(["bf16", "bf16"]);
    expect(info.determinismClass).toBe("cuda-bf16-sm_80x4-own");
    expect(info.description).toBe("cuda (CUDA simulator, sm_80, 1.07 GB, CUDA 13.0, own matrix products)");
    expect(measures?.()).toEqual({
      gpu: "CUDA simulator",
      gemm: "own",
      kernels: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  test("the class that planning puts into keys is that of the device when it is open", async () => {
    expect(cudaDeterminismClass()).toBe((await open()).info.determinismClass);
    expect(deviceClassOf("auto", "bf16")).toBe(cudaDeterminismClass());
    expect(deviceClassOf("cuda")).toBe(cudaDeterminismClass());
  });

  test("auto means cuda for bf16 and the cpu for f32, and f32 on cuda is refused", async () => {
    expect(resolveDevice("auto", "bf16")).toBe("cuda");
    expect(["cpu", "reference"]).toContain(resolveDevice("auto", "f32"));
    expect(["cpu", "reference"]).toContain(resolveDevice("auto"));
    backend = await openBackend("auto", { precision: "bf16" });
    expect(backend.info.name).toBe("cuda");
    await expect(openBackend("cuda", { precision: "f32" })).rejects.toThrow("computes in bf16 only");
  });

  test("a provider that is unknown or absent is an error that says what can be named", async () => {
    vi.stubEnv("STLM_CUDA_GEMM", "cublas");
    await expect(open()).rejects.toMatchObject({
      code: "UNKNOWN_GEMM",
      hint: "It can be own, cublaslt, tuned, or left out.",
    });
    vi.stubEnv("STLM_CUDA_GEMM", "cublaslt");
    await expect(open()).rejects.toMatchObject({ code: "NO_CUBLASLT" });
    vi.stubEnv("STLM_CUDA_GEMM", "own");
    expect((await open()).info.name).toBe("cuda");
  });

  test("a product reads a parameter as it is now: after a write, another kernel, and an update", async () => {
    const { kernels, ...device } = await open();
    const matrix = (values: number[]) => {
      const buffer = device.allocate("f32", values.length);
      device.write(buffer, Float32Array.from(values));
      return buffer;
    };
    const w = matrix([1, 2, 3, 4]);
    const x = device.allocate("bf16", 2);
    device.write(x, Float32Array.of(1, 10));
    const y = device.allocate("f32", 2);
    const product = () => {
      kernels.matmul({ c: y, a: x, b: w, M: 1, N: 2, K: 2 });
      return [...device.read(y)];
    };
    expect(product()).toEqual([31, 42]);
    device.write(w, Float32Array.of(5), 1);
    expect(product()).toEqual([31, 45]);
    kernels.scale({ y: w, x: w, factor: 2, length: 4 });
    expect(product()).toEqual([62, 90]);
    kernels.columnSum({ db: w, dy: matrix([1, 1, 1, 1]), N: 1, C: 4 });
    expect(product()).toEqual([73, 101]);
    const [g, m, v] = [matrix([1, 1, 1, 1]), matrix([0, 0, 0, 0]), matrix([0, 0, 0, 0])];
    const rates = { lr: 1, beta1: 0.9, beta2: 0.9, eps: 0, step: 1, gradientScale: 1 };
    kernels.adamW({ tensors: [{ p: w, g, m, v, length: 4, weightDecay: 0 }], ...rates });
    expect(product()).toEqual([62, 90]);
  });

  test("trains as the cpu device does, to the precision of bf16", { timeout: 120_000 }, async () => {
    const expected = await trainBriefly(await createCpuBackend());
    const actual = await trainBriefly(await open());
    for (const [i, loss] of expected.losses.entries()) {
      expect(Math.abs(actual.losses[i]! - loss) / loss).toBeLessThan(0.01);
      expect(Math.abs(actual.norms[i]! - expected.norms[i]!) / expected.norms[i]!).toBeLessThan(0.05);
    }
  });

  test("gives the same bits from graphs and from calls, in any order of threads, and queued as late as can be", {
    timeout: 120_000,
  }, async () => {
    const first = await trainBriefly(await open(), 2);
    rig.reset();
    rig.setSchedule(2, 1, 7);
    expect(await trainBriefly(await open({ graphs: false }), 2)).toEqual(first);
    rig.reset();
    rig.setSchedule(1);
    rig.defer();
    expect(await trainBriefly(await open(), 2)).toEqual(first);
  });

  test("the update of all parameters is five kernels, and a micro-batch takes its windows and is counted by two", async () => {
    const profile = new KernelTimes();
    const { model, trainer } = trainerOn(await open({ profile }));
    expect(model.parameters().length).toBeGreaterThan(10);
    await trainer.queueStep();
    profile.begin();
    await trainer.queueStep();
    const launches = Object.fromEntries(profile.end().map(({ kernel, launches: count }) => [kernel, count]));
    const update = { sum_squares: 1, sum_squares_finish: 1, clip_scale: 1, adamw: 1, clear: 1 };
    expect(launches).toMatchObject({ ...update, cut_windows: 2, increment: 2, sum_f32: 2 });
    expect(Object.keys(launches).filter((kernel) => /^(fill|cast|copy|sum_finish)/.test(kernel))).toEqual([]);
  });

  test("every address that a step queues is memory of the device, also in tables, which no simulator looks into", async () => {
    const make = vi.spyOn(Driver.prototype, "make");
    const issue = vi.spyOn(Issuer.prototype, "add");
    const { trainer } = trainerOn(await open({ graphs: false }), { contextWindow: 8, numLayers: 1 });
    for (let step = 0; step < 2; step++) await trainer.queueStep();
    const segments = make.mock.calls.flatMap(([name, bytes], i) =>
      name === "cuMemAlloc_v2" ? [{ start: make.mock.results[i]!.value as bigint, bytes: BigInt(bytes!) }] : [],
    );
    const isOurs = (address: bigint) =>
      segments.some(({ start, bytes }) => address >= start && address < start + bytes);
    const stray = issue.mock.calls
      .flatMap(([operation]) => addressesOf(operation).map((address) => ({ operation, address })))
      .filter(({ address }) => address !== 0n && !isOurs(address));
    expect(stray).toEqual([]);
    const withTables = issue.mock.calls.flatMap(([operation]) =>
      operation.kind === "launch" && operation.launch.args.some(({ type }) => type === "table")
        ? [operation.launch.kernel]
        : [],
    );
    expect([...new Set(withTables)].sort()).toEqual(["adamw", "clear", "sum_squares", "sum_squares_finish"]);
  });

  test.skipIf(!isSimulated)("a recorded step is a call for each micro-batch and thirteen more", async () => {
    const callsOfAStep = async (microBatches: number) => {
      rig.reset();
      const { trainer } = trainerOn(await open(), { sequences: 2 * microBatches, contextWindow: 8, numLayers: 1 });
      for (let step = 0; step < 3; step++) await trainer.queueStep();
      const names = ["", "cuGraphLaunch", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuLaunchKernel"];
      const before = names.map((name) => rig.count(name));
      await trainer.queueStep();
      const [all, graphs, up, down, launches] = names.map((name, i) => rig.count(name) - before[i]!);
      backend?.close();
      return { all, graphs, up, down, launches };
    };
    // Up go windows, integers and reals, down the sums; each copy has an event, which is asked about once.
    const copies = { up: 3, down: 1, launches: 0 };
    expect(await callsOfAStep(2)).toEqual({ all: 15, graphs: 3, ...copies });
    expect(await callsOfAStep(20)).toEqual({ all: 33, graphs: 21, ...copies });
  });
});
