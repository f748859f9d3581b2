// Plants faults in the kernels of matrix products, one at a time, that are easy to make and hard to see on a GPU, and demands that the
// comparison with the reference notices each: a suite that passes with a missing barrier would prove nothing.

import { describe, expect, test } from "vitest";
import { readKernelFile } from "../../../src/backend/cuda/kernel-files.ts";
import { type GemmCase, gemmError, runGemm, sumOfSplits } from "./gemm-cases.ts";
import { MODES, SimulatorLauncher, simulatorUnavailable } from "./simulator-launcher.ts";

const unavailable = simulatorUnavailable();

interface Fault {
  readonly what: string;
  /** The source that is changed: gemm.cu or what it includes. */
  readonly source: string;
  readonly find: string;
  readonly replace: string;
}

const FAULTS: readonly Fault[] = [
  {
    what: "no barrier after the wait in the loop",
    source: "gemm.cu",
    find: "__syncthreads();  // now every thread's copies",
    replace: "// now every thread's copies",
  },
  {
    what: "a wait that leaves the next step's group pending",
    source: "gemm.cu",
    find: "    cp_async_wait<GEMM_STAGES - 2>();\n    __syncthreads();  // now",
    replace: "    cp_async_wait<GEMM_STAGES - 1>();\n    __syncthreads();  // now",
  },
  {
    what: "no barrier before the first fragments",
    source: "gemm.cu",
    find: "__syncthreads();\n  load_fragments(0, 0, 0);",
    replace: "load_fragments(0, 0, 0);",
  },
  {
    what: "a first wait that leaves the first group pending",
    source: "gemm.cu",
    find: "cp_async_wait<GEMM_STAGES - 2>();\n  __syncthreads();",
    replace: "cp_async_wait<GEMM_STAGES - 1>();\n  __syncthreads();",
  },
  {
    what: "no group for steps beyond the last",
    source: "gemm.cu",
    find: "    }\n    cp_async_commit();",
    replace: "      cp_async_commit();\n    }",
  },
  {
    what: "a stage filled while it is still read",
    source: "gemm.cu",
    find: "step % GEMM_STAGES * stage_bytes;\n    if (step < steps)",
    replace: "(step + 1) % 2 * stage_bytes;\n    if (step < steps)",
  },
  {
    what: "the second half of a step multiplied with the first half's fragments",
    source: "gemm.cu",
    find: "multiply(1);",
    replace: "multiply(0);",
  },
  {
    what: "the last incomplete step left out",
    source: "gemm.cu",
    find: "(k_end - k_begin + GEMM_K - 1) / GEMM_K",
    replace: "(k_end - k_begin) / GEMM_K",
  },
  {
    what: "no warp barrier before the slab is read",
    source: "gemm.cu",
    find: "    __syncwarp();\n#pragma unroll 1",
    replace: "#pragma unroll 1",
  },
  {
    what: "no warp barrier before the slab is overwritten",
    source: "gemm.cu",
    find: "__syncwarp();  // before the next",
    replace: "// before the next",
  },
  {
    what: "splits added in the opposite order",
    source: "gemm.cu",
    find: "for (int split = 0; split < splits; split++)",
    replace: "for (int split = splits - 1; split >= 0; split--)",
  },
  {
    what: "tiles computed twice, others never",
    source: "gemm.cu",
    find: "{top + within % height, within / height}",
    replace: "{top + within % height, within % columns}",
  },
  {
    what: "ldmatrix rows in the order of the other operand",
    source: "gemm-operand.cuh",
    find: "IS_A == K_CONTIGUOUS",
    replace: "IS_A != K_CONTIGUOUS",
  },
  {
    what: "ldmatrix rows off by one",
    source: "gemm-operand.cuh",
    find: "lane & 15",
    replace: "(lane + 1) & 15",
  },
  {
    what: "chunks of a row where they are in memory, so that ldmatrix meets bank conflicts",
    source: "gemm-operand.cuh",
    find: "(chunk ^ turn)",
    replace: "chunk",
  },
  {
    what: "one element too many at the end of k along a row",
    source: "gemm-operand.cuh",
    find: "origin, k_end - column)",
    replace: "origin, k_end - column + 1)",
  },
  {
    what: "one row too many at the end of k down the rows",
    source: "gemm-operand.cuh",
    find: "k + row < k_end",
    replace: "k + row <= k_end",
  },
  {
    what: "a row of the result too many",
    source: "gemm-epilogue.cuh",
    find: "row >= M",
    replace: "row > M",
  },
  {
    what: "a column of the result too many",
    source: "gemm-epilogue.cuh",
    find: "const int count = N - column;",
    replace: "const int count = N - column + 1;",
  },
];

/** Every edge, splits, both operands both ways; sums longer than the pipeline. */
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
  expect(device.bankConflicts()).toBe(0);
}

/** The kernels that the cases use, compiled without optimisation: a fault costs one short compilation. */
async function openWith(fault?: Fault): Promise<SimulatorLauncher> {
  const instances = readKernelFile("gemm.cu").replace(/^GEMM\((?!gemm_(nt|tn)_64x64).*\n/gm, "");
  const sources: Record<string, string> = { "gemm.cu": instances };
  if (fault) {
    const text = sources[fault.source] ?? readKernelFile(fault.source);
    expect(text.split(fault.find).length - 1, `the text to replace in ${fault.source}: ${fault.find}`).toBe(1);
    sources[fault.source] = text.replace(fault.find, fault.replace);
  }
  return SimulatorLauncher.open({ kernels: ["gemm.cu"], sources, optimisation: 0 });
}

describe.skipIf(unavailable)(`products with faults${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  test("none: the same comparison passes", async () => {
    holdProducts(await openWith());
  }, 120_000);

  test.each(FAULTS)(
    "$what",
    async (fault) => {
      const device = await openWith(fault);
      expect(() => holdProducts(device)).toThrow();
    },
    120_000,
  );
});
