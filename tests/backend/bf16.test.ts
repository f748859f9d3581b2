// bf16 on the cpu device: products of operands rounded to bfloat16, against sums in double precision; one set of bits per
// class of instruction sets, for any number of threads; AMX on simulated tile registers; and a training run beside f32.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test, vi } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { compileLibrary, compilerOnPath, usableIsas } from "../../src/backend/cpu/build.ts";
import { createCpuBackend, openLibrary } from "../../src/backend/cpu/index.ts";
import { bindLibrary } from "../../src/backend/cpu/native.ts";
import { deviceClassOf, openBackend } from "../../src/backend/index.ts";
import { createReferenceBackend } from "../../src/backend/reference/index.ts";
import { presets } from "../../src/models/presets.ts";
import { Transformer } from "../../src/models/transformer.ts";
import { tokenArray } from "../../src/train/token-array.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { CounterRandom } from "../../src/util/philox.ts";
import { openCpuVariants, testIsas } from "./devices.ts";
import { describeCase, drawCase, type KernelCase, runCase } from "./kernel-cases.ts";

const PRODUCTS = ["matmul", "attention", "attentionGradient", "headLoss"] as const;
/** How far eight bits may lead from float32: three times the largest of 1,500 draws of each product. */
const NEAR = { matmul: 0.016, attention: 0.03, attentionGradient: 0.1, headLoss: 0.025 } as const;
const THREADS = [1, 2, 3];
const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const folder = mkdtempSync(path.join(os.tmpdir(), "stlm-bf16-"));
const reference = createReferenceBackend();

const best = usableIsas("bf16")[0]!;
const hardware = best === "avx512bf16" || best === "amx" ? await openCpuVariants(["avx512bf16"], THREADS, "bf16") : [];
const emulated = await openCpuVariants(testIsas(), THREADS, "bf16");
const simulated = hardware.length > 0 ? await simulateAmx() : [];
const classes = [
  { name: "avx512bf16", devices: hardware },
  { name: "emulated", devices: emulated },
  { name: "amx, simulated", devices: simulated },
].filter(({ devices }) => devices.length > 0);
afterAll(() => {
  for (const { backend } of [...hardware, ...emulated, ...simulated]) backend.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The code for AMX, compiled onto tile registers in plain C. */
async function simulateAmx() {
  const target = path.join(folder, "cpu-amx-simulated.so");
  const header = path.join(import.meta.dirname, "amx-simulated.h");
  await compileLibrary(compilerOnPath()!, "avx512bf16", target, ["-DSTLM_AMX_SIMULATED", "-include", header]);
  const library = await bindLibrary({ path: target, isa: "amx", source: "compiled" }, "bf16");
  return THREADS.map((threads) => ({ name: `cpu amx x ${threads}`, backend: openLibrary(library!, threads, "bf16") }));
}

/** To the nearest bfloat16, ties to even. */
function rounded(values: ArrayLike<number>): Float32Array {
  const out = Float32Array.from(values);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) & 0xffff0000;
  return out;
}

/** The largest difference, in units of the largest expected value or 1. */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [largest, worst] = [1, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
  }
  return worst / largest;
}

/** op(a) op(b) [+ bias] [+ residual] [+ c] of rounded operands, in double precision. */
function exactProduct({ buffers, scalars, aliases = {} }: KernelCase): Float64Array {
  const { M, N, K, transposeA, transposeB, accumulate } = scalars as Record<string, number>;
  const [a, b] = [rounded(buffers["a"]!), rounded(buffers["b"]!)];
  const residual = aliases["residual"] === "c" ? buffers["c"] : buffers["residual"];
  return Float64Array.from({ length: M! * N! }, (_, at) => {
    const [i, j] = [Math.floor(at / N!), at % N!];
    let sum = (accumulate ? buffers["c"]![at]! : 0) + (buffers["bias"]?.[j] ?? 0) + (residual?.[at] ?? 0);
    for (let k = 0; k < K!; k++)
      sum += a[transposeA ? k * M! + i : i * K! + k]! * b[transposeB ? j * K! + k : k * N! + j]!;
    return sum;
  });
}

function product(M: number, N: number, K: number, form: number): KernelCase {
  const random = new CounterRandom(7, 11);
  let index = 0;
  const reals = (length: number) => Float32Array.from({ length }, () => random.normal(index++));
  const flags = { transposeA: (form & 1) > 0, transposeB: (form & 2) > 0, accumulate: (form & 4) > 0 };
  const buffers = { c: reals(M * N), a: reals(M * K), b: reals(K * N) };
  return { kernel: "matmul", buffers, outputs: ["c"], scalars: { M, N, K, ...flags } };
}

const bytesOf = (outputs: Record<string, Float32Array | Int32Array>) =>
  Object.entries(outputs).map(([name, values]) => [name, Buffer.from(values.buffer).toString("base64")]);

describe.each(classes)("bf16, $name", ({ devices }) => {
  const { backend } = devices[0]!;

  test("a product of random shape is that of the rounded operands, summed in float32", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drawn = drawCase("matmul", seed);
        expect(distance(runCase(backend, drawn)["c"]!, exactProduct(drawn)), describeCase(drawn)).toBeLessThan(2e-5);
      }),
      { numRuns: 20 },
    );
  });

  test("a long product is too, across blocks of k, in every form", () => {
    for (const form of [0, 1, 2, 7]) {
      const drawn = product(17, 35, 2051, form);
      expect(distance(runCase(backend, drawn)["c"]!, exactProduct(drawn)), `form ${form}`).toBeLessThan(2e-5);
    }
  });

  test("losses are those of the rounded inputs and weights", () => {
    const [N, C, V] = [37, 19, 261];
    const { a: x, b: w } = product(N, V, C, 0).buffers;
    const targets = Int32Array.from({ length: N }, (_, n) => (n * 97) % V);
    const head: KernelCase = {
      kernel: "headLoss",
      buffers: { losses: new Float32Array(N), x: x!, w: w!, targets },
      outputs: ["losses"],
      scalars: { N, C, V },
    };
    const exact = { ...head, buffers: { ...head.buffers, x: rounded(x!), w: rounded(w!) } };
    expect(distance(runCase(backend, head)["losses"]!, runCase(reference, exact)["losses"]!)).toBeLessThan(1e-5);
  });

  test.each(PRODUCTS)("%s is as near to float32 as eight bits allow", (kernel) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drawn = drawCase(kernel, seed);
        const [actual, expected] = [runCase(backend, drawn), runCase(reference, drawn)];
        for (const [name, values] of Object.entries(expected)) {
          expect(distance(actual[name]!, values), `${describeCase(drawn)} ${name}`).toBeLessThan(NEAR[kernel]);
        }
      }),
      { numRuns: 12 },
    );
  });

  test.each(PRODUCTS)("%s has the same bits on every member of the class and number of threads", (kernel) => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const drawn = drawCase(kernel, seed);
        const [first, ...rest] = devices.map((device) => bytesOf(runCase(device.backend, drawn)));
        rest.forEach((bytes, i) => {
          expect(bytes, `${devices[i + 1]!.name} differs from ${devices[0]!.name}: ${describeCase(drawn)}`).toEqual(
            first,
          );
        });
      }),
      { numRuns: 6 },
    );
    if (kernel !== "matmul") return;
    const [first, ...rest] = devices.map((device) => bytesOf(runCase(device.backend, product(61, 75, 1030, 4))));
    for (const bytes of rest) expect(bytes).toEqual(first);
  });

  test("NaN and infinities stay what they are, also where only the lower bits of a NaN say so", () => {
    const nan = new Float32Array(new Uint32Array([0x7f800001]).buffer)[0]!;
    for (const [x, expected] of [
      [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
      [3.4e38, Number.POSITIVE_INFINITY],
      [nan, Number.NaN],
    ] as const) {
      const buffers = { c: new Float32Array(1), a: Float32Array.of(1, x, 1), b: Float32Array.of(1, 1, 1) };
      const drawn: KernelCase = { kernel: "matmul", buffers, outputs: ["c"], scalars: { M: 1, N: 1, K: 3 } };
      expect([...runCase(backend, drawn)["c"]!]).toEqual([expected]);
    }
  });
});

describe.skipIf(classes.length === 0)("bf16", () => {
  test("the class in stage keys is that of the instruction set, and f32 keeps its own", async () => {
    expect(deviceClassOf("cpu", "bf16")).toMatch(/^cpu-bf16-(amx|avx512bf16|emulated)$/);
    expect(deviceClassOf("cpu")).toBe("cpu-f32");
    for (const { name, devices } of classes) {
      const wanted = `cpu-bf16-${name.replace(", simulated", "")}`;
      expect(new Set(devices.map(({ backend }) => backend.info.determinismClass))).toEqual(new Set([wanted]));
    }
    vi.stubEnv("STLM_CPU_ISA", "portable");
    expect(deviceClassOf("cpu", "bf16")).toBe("cpu-bf16-emulated");
    vi.unstubAllEnvs();
    await expect(openBackend("reference", { precision: "bf16" })).rejects.toThrow("computes in f32 only");
  });

  test("200 steps of training end within one per cent of the loss in f32", { timeout: 120_000 }, async () => {
    const half = await createCpuBackend({ precision: "bf16", threads: 2 });
    const full = await createCpuBackend({ threads: 2 });
    const [a, b] = [lossAfterTraining(half), lossAfterTraining(full)];
    expect(b).toBeLessThan(2);
    expect(Math.abs(a - b) / b).toBeLessThan(0.01);
  });
});

/** The mean loss of the last 20 of 200 steps on text of a small grammar; closes the device. */
function lossAfterTraining(backend: Backend): number {
  const V = 64;
  const random = new CounterRandom(3, 5);
  // Each id is followed by one of four, so that the loss can fall to log 4.
  const ids = new Int32Array(40_000);
  for (let i = 1; i < ids.length; i++) ids[i] = (ids[i - 1]! * 5 + 1 + 7 * random.integer(i, 4)) % V;
  const shape = {
    vocabSize: V,
    hiddenDim: 48,
    numLayers: 2,
    numHeads: 3,
    numKvHeads: 1,
    ffnDim: 96,
    contextWindow: 32,
  };
  const model = new Transformer({ ...presets.nano.config, ...shape, dropout: 0 });
  model.allocate(backend, { seed: 1, gradients: true });
  const trainer = new Trainer(backend, model, tokenArray(ids), {
    ...{ steps: 200, batchTokens: 512, contextWindow: 32, microBatch: 16, seed: 1 },
    ...{ learningRate: 5e-3, minLearningRate: 5e-4, warmupSteps: 20, schedule: "cosine", clip: 1 },
    ...{ beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
  });
  const losses = Array.from({ length: 200 }, () => trainer.runStep().loss);
  backend.close();
  return losses.slice(-20).reduce((sum, loss) => sum + loss, 0) / 20;
}
