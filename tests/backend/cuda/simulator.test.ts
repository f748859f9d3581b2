// The simulator itself: it runs what is right alike in every order, and it sees what a correct kernel never does.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildSimulator, kernelDeclarations } from "../../../src/backend/cuda/simulator/build.ts";
import { MODES, SimulatorLauncher, simulatorUnavailable } from "./simulator-launcher.ts";

const unavailable = simulatorUnavailable();
const INPUT = Float32Array.from({ length: 128 }, (_, i) => i + 1);

describe.skipIf(unavailable)(`the CUDA simulator${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let library: string;
  let device: SimulatorLauncher;
  beforeAll(async () => {
    const source = readFileSync(path.join(import.meta.dirname, "faulty-kernels.cu"), "utf8");
    library = await buildSimulator({
      kernels: ["faulty-kernels.cu"],
      sources: { "faulty-kernels.cu": source },
      optimisation: 1,
    });
  });
  beforeEach(() => {
    device = new SimulatorLauncher(library);
  });

  function run(kernel: string, { threads = 128, sharedBytes = 0 } = {}): Float32Array {
    const x = device.upload(INPUT);
    const y = device.allocate("f32", 128);
    const args = [y, x].map(({ address }) => ({ type: "pointer" as const, value: address }));
    device.launch({ kernel, grid: [1, 1, 1], threads, sharedBytes, args });
    const result = device.download(y) as Float32Array;
    device.free(y);
    device.free(x);
    return result;
  }

  test.each(MODES)("gives a correct kernel's result in the order $schedule with copies $copies", (mode) => {
    device.setMode(mode);
    expect(run("reverse")).toEqual(INPUT.toReversed());
    const sums = run("half_warp_sums", { threads: 32 });
    expect(sums[0]).toBe(2 * 136 + 0xaa);
    expect(sums[31]).toBe(392 + 0xaa);
  });

  test("shows a missing barrier as a difference from the correct result in some order", () => {
    const results = MODES.map((mode) => {
      device.setMode(mode);
      return run("missing_barrier");
    });
    expect(results.some((result) => !result.every((value, i) => value === 128 - i))).toBe(true);
  });

  test("gives NaN for shared memory that was never written, and for a copy read before it was waited for", () => {
    expect(run("unset_shared")[0]).toBe(1);
    expect(run("unset_shared")[64]).toBeNaN();
    expect(run("early_read_of_copy")[0]).toBeNaN();
    device.setMode({ schedule: "ascending", copies: "immediate" });
    expect(run("early_read_of_copy")[0]).toBe(1);
  });

  test.each([
    [
      "copies_at_the_end",
      /719: copies_at_the_end: a thread ends before it waited for its cp.async copies \(block 0,0,0/,
    ],
    ["misaligned_copy", /716: .*no multiple of 16/],
    ["misaligned_load", /716: .*an access of 16 bytes/],
    ["diverged_masks", /719: .*different collectives, or with different masks/],
    ["missing_lane", /719: .*(has ended|a lane ends while)/],
    ["barrier_in_a_branch", /719: .*deadlock: lanes wait in a warp collective/],
    ["null_pointer", /700: .*not mapped.*thread 7,/],
    ["write_beyond", /700: write_beyond: a write outside of an allocation of 512 bytes/],
    ["division_by_zero", /719: .*divided by zero.*thread 0,/],
    ["endless_recursion", /719: .*stack overflowed/],
  ])("stops %s", (kernel, message) => {
    expect(() => run(kernel)).toThrow(message);
    expect(() => device.allocate("f32", 1)).toThrow(/returned 7/); // sticky, as on a GPU
  });

  test("stops a write beyond the dynamic shared memory, and a launch with more than the kernel may have", () => {
    expect(() => run("write_beyond_shared", { sharedBytes: 16 * 1024 })).toThrow(/700: .*beyond its 16384 bytes/);
    device = new SimulatorLauncher(library);
    expect(() => run("write_beyond_shared", { sharedBytes: 100 * 1024 })).toThrow(/cuFuncSetAttribute returned 1/);
    expect(() => run("reverse", { threads: 256 })).toThrow(/cuLaunchKernel returned 701/);
  });

  test("compiles and registers every kernel of the device", async () => {
    const all = await SimulatorLauncher.open();
    expect(all.kernelNames()).toContain("gemm_nn_128x128");
  }, 300_000);

  test("quotes the compiler where it refuses a kernel", async () => {
    const sources = {
      "broken.cu": '#include "prelude.cuh"\nextern "C" __global__ void broken(float* y) { y[0] = z; }\n',
    };
    await expect(buildSimulator({ kernels: ["broken.cu"], sources })).rejects.toMatchObject({
      code: "SIMULATOR",
      hint: expect.stringContaining("broken.cu:2"),
    });
  });
});

test("kernels are found by their declarations, with and without bounds", () => {
  const text = `extern "C" __global__ void plain(int n) {}
    extern "C" __global__ void __launch_bounds__((128 / 64) * (2) * 32, 2)
    bounded(float* y) {}`;
  expect(kernelDeclarations(text)).toEqual([
    { name: "plain", bounds: undefined },
    { name: "bounded", bounds: "(128 / 64) * (2) * 32, 2" },
  ]);
});
