// What the launch functions add to the kernels: numbers read on the device, bf16 copies of parameters, conversions, and messages for
// wrong arguments.

import { beforeAll, describe, expect, test } from "vitest";
import { launchGelu } from "../../../src/backend/cuda/launch/activations.ts";
import { launchAdamW } from "../../../src/backend/cuda/launch/adamw.ts";
import { launchDropout } from "../../../src/backend/cuda/launch/dropout.ts";
import { launchAdd, launchCopy, launchFill, launchScale } from "../../../src/backend/cuda/launch/elementwise.ts";
import { launchEmbedding, launchEmbeddingGradient } from "../../../src/backend/cuda/launch/embedding.ts";
import { type GemmProvider, ownGemm } from "../../../src/backend/cuda/launch/gemm.ts";
import { launchHeadLoss } from "../../../src/backend/cuda/launch/head-loss.ts";
import { launchClipScale, launchSum } from "../../../src/backend/cuda/launch/reductions.ts";
import type { CudaBuffer } from "../../../src/backend/cuda/launcher.ts";
import type { DropoutKey } from "../../../src/backend/kernels.ts";
import { openDevices } from "../devices.ts";
import { type KernelCase, runCase } from "../kernel-cases.ts";
import { launchCase } from "./kernel-harness.ts";
import { driverUnavailable, fromBf16, SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

const unavailable = driverUnavailable();

describe.skipIf(unavailable)(`CUDA launch functions${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let device: SimulatorLauncher;
  beforeAll(async () => {
    device = await SimulatorLauncher.open();
  }, 300_000);
  const read = (buffer: CudaBuffer) => {
    const values = device.download(buffer);
    return [...(values instanceof Uint16Array ? fromBf16(values) : values)];
  };
  const f32 = (...values: number[]) => device.upload(Float32Array.from(values));
  const i32 = (...values: number[]) => device.upload(Int32Array.from(values));
  const bf16 = (...values: number[]) => device.upload(toBf16(Float32Array.from(values)));
  const withCopy = (...values: number[]) => {
    const copy = bf16(...values);
    return { parameter: { ...f32(...values), copy: copy.address }, copy };
  };

  test("dropout drops exactly the elements that every other device drops", async () => {
    const length = 1003;
    const x = new Float32Array(length).fill(1);
    const dropout = { probability: 0.1, seed: 2 ** 32 - 5, step: 70_000, microBatch: 19, site: 4095 };
    const kernelCase: KernelCase = {
      kernel: "dropout",
      buffers: { y: x.slice(), x },
      outputs: ["y"],
      scalars: { length, dropout },
    };
    const mask = (values: ArrayLike<number>) => Array.from(values, (value) => (value === 0 ? 0 : 1)).join("");
    const single = mask(launchCase(device, kernelCase, "f32")["y"]!);
    expect(single).toContain("0");
    expect(mask(launchCase(device, kernelCase, "bf16")["y"]!)).toBe(single);
    for (const { name, backend } of await openDevices()) {
      expect(mask(runCase(backend, kernelCase)["y"]!), name).toBe(single);
      backend.close();
    }
  });

  test("dropout reads probability, step and micro-batch from the device when it runs", () => {
    const length = 200;
    const x = device.upload(new Float32Array(length).fill(1));
    const drop = (dropout: DropoutKey) => {
      const y = device.allocate("f32", length);
      launchDropout(device, { y, x, length, dropout });
      return read(y);
    };
    const [steps, batches, reals] = [i32(0, 12), i32(7), f32(0.25)];
    const there = drop({
      probability: { buffer: reals, index: 0 },
      seed: 5,
      step: { buffer: steps, index: 1 },
      microBatch: { buffer: batches, index: 0 },
      site: 3,
    });
    expect(there).toEqual(drop({ probability: 0.25, seed: 5, step: 12, microBatch: 7, site: 3 }));
    expect(there).not.toEqual(drop({ probability: 0.25, seed: 5, step: 12, microBatch: 6, site: 3 }));
    expect(() => drop({ probability: { buffer: steps, index: 0 }, seed: 5, step: 1, microBatch: 1, site: 1 })).toThrow(
      /dropout\.probability: needs f32, got i32/,
    );
  });

  test("a dropped element counts as zero even where it is not finite", () => {
    const x = f32(...new Array<number>(64).fill(Number.NaN));
    launchDropout(device, {
      y: x,
      x,
      length: 64,
      dropout: { probability: 0.5, seed: 1, step: 1, microBatch: 0, site: 1 },
    });
    const values = read(x);
    expect(values.some(Number.isNaN)).toBe(true);
    expect(values.some((value) => value === 0)).toBe(true);
    expect(values.every((value) => Number.isNaN(value) || value === 0)).toBe(true);
  });

  test("AdamW reads its numbers from the device, refreshes the bf16 copy, and does nothing where the scale is NaN", () => {
    const settings = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
    const update = (scalars: Pick<Parameters<typeof launchAdamW>[1], "lr" | "step" | "gradientScale">) => {
      const { parameter, copy } = withCopy(1, -2, 3, 0.5, 8);
      const [g, m, v] = [f32(1, 2, -3, 4, 0), f32(0.1, 0, 0, 0, 0), f32(0.1, 0, 0, 0.2, 0)];
      const tensors = [{ p: parameter, g, m, v, length: 5, weightDecay: 0.1 }];
      launchAdamW(device, { tensors, ...settings, ...scalars });
      return [parameter, m, v, copy].map(read);
    };
    const held = update({
      lr: { buffer: f32(0, 0, 0.01), index: 2 },
      step: { buffer: i32(9, 3), index: 1 },
      gradientScale: { buffer: f32(0.5), index: 0 },
    });
    expect(held).toEqual(update({ lr: 0.01, step: 3, gradientScale: 0.5 }));
    expect(held[3]).toEqual([...fromBf16(toBf16(Float32Array.from(held[0]!)))]);
    expect(held[0]).not.toEqual([1, -2, 3, 0.5, 8]);
    const [parameters, means, , copies] = update({ lr: 0.01, step: 3, gradientScale: Number.NaN });
    expect([parameters, copies]).toEqual([
      [1, -2, 3, 0.5, 8],
      [1, -2, 3, 0.5, 8],
    ]);
    expect(means![0]).toBeCloseTo(0.1, 6);
  });

  test("a sum goes to the place that the device names", () => {
    const out = f32(1, 2, 3);
    launchSum(device, { out, index: { buffer: i32(5, 2), index: 1 }, x: f32(3, 4), length: 2, squared: true });
    expect(read(out)).toEqual([1, 2, 25]);
    launchSum(device, { out, index: 0, x: f32(), length: 0 });
    expect(read(out)).toEqual([0, 2, 25]);
  });

  test("clipScale halts where the loss exceeds a bound that it reads from the device, and stays halted", () => {
    const out = f32(0, 0, 0, 0);
    const call = { out, numLosses: 1, numSquares: 1, numTokens: 2, clip: 1, maxLoss: { buffer: f32(4), index: 0 } };
    launchClipScale(device, { ...call, sums: f32(6, 16) });
    expect(read(out).map((x) => Math.round(x * 1e4) / 1e4)).toEqual([3, 4, 0.25, 0]);
    launchClipScale(device, { ...call, sums: f32(10, 16) });
    expect(read(out)).toEqual([5, 4, Number.NaN, 1]);
    launchClipScale(device, { ...call, sums: f32(6, 16) });
    expect(read(out)).toEqual([3, 4, Number.NaN, 1]);
  });

  test("whatever writes a parameter writes its bf16 copy", () => {
    const { parameter, copy } = withCopy(1, 2, 3);
    launchFill(device, { y: parameter, value: 0.1, length: 2 });
    expect(read(copy)[0]).toBeCloseTo(0.1, 3);
    expect(read(copy)[2]).toBe(3);
    launchCopy(device, { y: parameter, x: f32(4, 5, 6), length: 3 });
    expect(read(copy)).toEqual([4, 5, 6]);
    launchScale(device, { y: parameter, x: parameter, factor: 2, length: 3 });
    expect(read(copy)).toEqual([8, 10, 12]);
    launchAdd(device, { y: parameter, a: parameter, b: f32(1, 1, 1), length: 3 });
    expect(read(copy)).toEqual([9, 11, 13]);
  });

  test("a copy converts between float and bf16, and moves integers", () => {
    const [half, single, integers] = [device.allocate("bf16", 9), device.allocate("f32", 9), device.allocate("i32", 2)];
    const values = [1, 1.00390625, -3, 0.1, 5, 6, 7, 8, 1e30];
    launchCopy(device, { y: half, x: f32(...values), length: 9 });
    launchCopy(device, { y: single, x: half, length: 9 });
    expect(read(single)).toEqual([...fromBf16(toBf16(Float32Array.from(values)))]);
    launchCopy(device, { y: integers, x: i32(-7, 9), length: 2 });
    expect(read(integers)).toEqual([-7, 9]);
    launchFill(device, { y: integers, value: -1, length: 1 });
    expect(read(integers)).toEqual([-1, 9]);
    expect(() => launchCopy(device, { y: integers, x: half, length: 2 })).toThrow(/copy: from bf16 to i32/);
  });

  test("an id outside the vocabulary gives a row of NaNs and no gradient", () => {
    const [N, C, V] = [4, 8, 3];
    const ids = i32(0, -1, 3, 2);
    const y = device.allocate("f32", N * C);
    const table = device.upload(new Float32Array(V * C).fill(2));
    launchEmbedding(device, { y, table, ids, N, T: N, C, V });
    expect(read(y).map(Number.isNaN)).toEqual(Array.from({ length: N * C }, (_, i) => i >= C && i < 3 * C));
    const dTable = device.upload(new Float32Array(V * C));
    launchEmbeddingGradient(device, { dTable, dy: device.upload(new Float32Array(N * C).fill(1)), ids, N, T: N, C, V });
    expect(read(dTable)).toEqual(Array.from({ length: V * C }, (_, i) => (i >= C && i < 2 * C ? 0 : 1)));
    device.endOperation();
  });

  test("a target of -1 costs nothing and pulls no gradient, even from NaNs; one outside the vocabulary is NaN", () => {
    const [N, C, V] = [3, 4, 5];
    const x = bf16(...Array.from({ length: N * C }, (_, i) => (i < C ? Number.NaN : i / 10)));
    const { parameter: w } = withCopy(...Array.from({ length: V * C }, (_, i) => i / 7));
    const [losses, dx, dw] = [f32(9, 9, 9), device.allocate("bf16", N * C), device.upload(new Float32Array(V * C))];
    const call = { losses, x, w, targets: i32(-1, V, 2), N, C, V };
    launchHeadLoss(device, ownGemm, { ...call, dx, dw });
    expect(read(losses).map((loss) => (loss > 0 ? "positive" : loss))).toEqual([0, Number.NaN, "positive"]);
    expect(read(dx).map(Number.isNaN)).toEqual(Array.from({ length: N * C }, (_, i) => i >= C && i < 2 * C));
    launchHeadLoss(device, ownGemm, { ...call, targets: i32(-1, -1, -1) });
    expect(read(losses)).toEqual([0, 0, 0]);
    expect(() => launchHeadLoss(device, ownGemm, { ...call, dx })).toThrow(/needs both dx and dw, or neither/);
    expect(() => launchHeadLoss(device, ownGemm, { ...call, w: f32(...new Array<number>(20).fill(1)) })).toThrow(
      /headLoss\.w: the parameter has no bf16 copy/,
    );
    device.endOperation();
  });

  test("the head's products go over whole packets of words where zeros follow the weights, with the same results", () => {
    const [N, C, V] = [5, 8, 13];
    const values = (length: number, seed: number) =>
      toBf16(Float32Array.from({ length }, (_, i) => Math.sin(seed + 3 * i)));
    const x = device.upload(values(N * C, 1));
    const padded = new Uint16Array(16 * C);
    padded.set(values(V * C, 2));
    const copies = [device.upload(padded.slice(0, V * C)), device.upload(padded)];
    const results = copies.map((copy, i) => {
      const asked: number[][] = [];
      const provider: GemmProvider = {
        name: "watched",
        gemm: (to, args) => {
          asked.push([args.M, args.N, args.K]);
          ownGemm.gemm(to, args);
        },
      };
      const w = { ...device.upload(new Float32Array(V * C)), copy: copy.address, copySlack: i * 3 * C };
      const [losses, dx, dw] = [
        f32(0, 0, 0, 0, 0),
        device.allocate("bf16", N * C),
        device.upload(new Float32Array(V * C)),
      ];
      launchHeadLoss(device, provider, { losses, x, w, targets: i32(0, 12, -1, 5, 7), N, C, V, dx, dw });
      const words = i === 0 ? V : 16;
      expect(asked).toEqual([
        [N, words, C],
        [N, C, words],
        [V, C, N],
      ]);
      return [losses, dx, dw].map(read);
    });
    expect(results[1]).toEqual(results[0]);
    device.endOperation();
  });

  test("a buffer that is too short, of the wrong type or of another device is refused before anything is queued", () => {
    const [y, x, ids] = [device.allocate("f32", 7), device.allocate("f32", 8), device.allocate("i32", 8)];
    const before = device.launched.length;
    expect(() => launchGelu(device, { y, x, length: 8 })).toThrow(/gelu\.y: needs 8 elements, the buffer holds 7/);
    expect(() => launchGelu(device, { y: x, x: ids, length: 8 })).toThrow(/gelu\.x: needs f32, got i32/);
    expect(() => launchGelu(device, { y: ids, x: ids, length: 8 })).toThrow(/gelu\.y: needs f32 or bf16, got i32/);
    expect(() => launchGelu(device, { y: { dtype: "f32", length: 8 }, x, length: 8 })).toThrow(
      /gelu\.y: not a buffer of this device/,
    );
    expect(() => launchGelu(device, { y, x, length: -1 })).toThrow(RangeError);
    launchGelu(device, { y, x, length: 0 });
    expect(device.launched.length).toBe(before);
  });
});
