// Plants faults in the kernels, one at a time, and demands that the comparison with the reference notices each: a suite that passes
// with a missing barrier would prove nothing.

import { describe, expect, test } from "vitest";
import { readKernelFile } from "../../../src/backend/cuda/kernel-files.ts";
import { buildSimulator } from "../../../src/backend/cuda/simulator/build.ts";
import { CounterRandom, PURPOSE } from "../../../src/util/philox.ts";
import { drawCase, type KernelCase } from "../kernel-cases.ts";
import { ATTENTION_FAULTS, type Fault, GEMM_FAULTS, NORM_FAULTS } from "./faults.ts";
import { type GemmCase, gemmError, runGemm, sumOfSplits } from "./gemm-cases.ts";
import { compareCase, rounded } from "./kernel-harness.ts";
import { MODES, SimulatorLauncher, simulatorUnavailable } from "./simulator-launcher.ts";

const unavailable = simulatorUnavailable();

/** What the product must get right: every edge, splits, both kinds of loading; sums longer than the pipeline. */
const PRODUCTS: readonly GemmCase[] = [
  { M: 70, N: 77, K: 205, transposeB: true, tile: { shape: "64x64", splits: 1 } },
  { M: 70, N: 77, K: 205, transposeA: true, cType: "f32", accumulate: true, tile: { shape: "64x64", splits: 2 } },
];

function holdProducts(device: SimulatorLauncher): void {
  for (const shape of PRODUCTS) {
    let first: Float32Array | undefined;
    for (const mode of MODES) {
      device.setMode(mode);
      const result = runGemm(device, shape);
      if (first) expect(result).toEqual(first);
      else expect(gemmError(shape, result)).toBeLessThan(1);
      first ??= result;
    }
  }
  const split: GemmCase = { M: 9, N: 16, K: 320, cType: "f32", transposeB: true, tile: { shape: "64x64", splits: 5 } };
  expect(runGemm(device, split)).toEqual(sumOfSplits(device, split));
}

function holdAttention(device: SimulatorLauncher): void {
  compareCase(device, attentionCase(), "bf16", 1e-2);
}

/** Four tiles of keys, the last one incomplete. */
function attentionCase(): KernelCase {
  const [B, T, H, Hkv, D] = [1, 200, 1, 1, 32];
  const random = new CounterRandom(5, PURPOSE.sample);
  const qkv = rounded(Float32Array.from({ length: B * T * (H + 2 * Hkv) * D }, (_, i) => 2 * random.normal(i)));
  const outputs = { y: new Float32Array(B * T * H * D), logSumExp: new Float32Array(B * H * T) };
  const scalars = { B, T, H, Hkv, D, scale: 1 / Math.sqrt(D) };
  return { kernel: "attention", buffers: { ...outputs, qkv }, outputs: ["y", "logSumExp"], scalars };
}

function holdNorm(device: SimulatorLauncher): void {
  for (const seed of [1, 2, 3]) compareCase(device, drawCase("rmsNormGradient", seed), "f32", 1e-5);
}

interface Suite {
  readonly kernels: readonly string[];
  readonly faults: readonly Fault[];
  readonly hold: (device: SimulatorLauncher) => void;
}

const SUITES: Readonly<Record<string, Suite>> = {
  "the matrix product": { kernels: ["gemm.cu"], faults: GEMM_FAULTS, hold: holdProducts },
  attention: { kernels: ["attention.cu"], faults: ATTENTION_FAULTS, hold: holdAttention },
  "the norm's gradient": { kernels: ["rms-norm.cu", "reductions.cu"], faults: NORM_FAULTS, hold: holdNorm },
};

/** A library of these kernels only, compiled without optimisation: a fault costs one short compilation. */
async function openWith(kernels: readonly string[], fault?: Fault): Promise<SimulatorLauncher> {
  const texts = Object.fromEntries(
    [...new Set([...kernels, ...(fault ? [fault.source] : [])])].map((name) => [name, reduced(name)]),
  );
  if (fault) {
    const text = texts[fault.source]!;
    expect(text.split(fault.find).length - 1, `the text to replace in ${fault.source}: ${fault.find}`).toBe(1);
    texts[fault.source] = text.replace(fault.find, fault.replace);
  }
  return new SimulatorLauncher(await buildSimulator({ kernels, sources: texts, optimisation: 0 }));
}

/** Of the products only the instances that the cases above use. */
function reduced(name: string): string {
  const text = readKernelFile(name);
  if (name === "gemm.cu") return text.replace(/^GEMM\((?!gemm_(nt|tn)_64x64|gemm_tn_any).*\n/gm, "");
  return name === "attention.cu" ? text.replace(/^ATTENTION\((?!32).*\n/gm, "") : text;
}

describe.skipIf(unavailable)(`planted faults${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  describe.each(Object.entries(SUITES))("in %s", (_, { kernels, faults, hold }) => {
    test("none: the same comparison passes", async () => {
      hold(await openWith(kernels));
    }, 120_000);

    test.each(faults)(
      "$what is noticed",
      async (fault) => {
        const device = await openWith(kernels, fault);
        expect(() => hold(device)).toThrow();
      },
      120_000,
    );
  });
});
