// Faults planted into the kernels that mutation.test.ts leaves alone: each must make a comparison with the reference fail under some
// schedule.

import { beforeAll, describe, expect, test } from "vitest";
import { readKernelFile } from "../../../src/backend/cuda/kernel-files.ts";
import { CounterRandom } from "../../../src/util/philox.ts";
import { drawCase, type KernelCase } from "../kernel-cases.ts";
import { compareCase, type LaunchedKernel } from "./kernel-harness.ts";
import { SimulatorLauncher, simulatorUnavailable } from "./simulator-launcher.ts";

const unavailable = simulatorUnavailable();

interface Mutant {
  readonly fault: string;
  /** Where: the file that is compiled, and the one that is changed where it is another. */
  readonly kernels: string;
  readonly file?: string;
  readonly from: string;
  readonly to: string;
  readonly kernel: LaunchedKernel;
  readonly sizes?: Readonly<Record<string, number>>;
}

const LONG = { B: 1, T: 256, H: 2, Hkv: 1, D: 32 };
const RAGGED = { B: 1, T: 131, H: 2, Hkv: 1, D: 32 };

const MUTANTS: readonly Mutant[] = [
  {
    fault: "two lanes swap the words of a draw",
    ...{ kernels: "attention.cu", file: "attention.cuh", kernel: "attention", sizes: LONG },
    from: "kept_bits(odd ? x0 : w[0], odd ? x1 : w[1], d)",
    to: "kept_bits(odd ? x1 : w[0], odd ? x0 : w[1], d)",
  },
  {
    fault: "queries are overwritten while keys are multiplied with them",
    ...{ kernels: "attention-gradient.cu", kernel: "attentionGradient", sizes: LONG },
    from: "multiply_add<BQ, HD>(dk, ds, queries[stage]);\n    __syncthreads();",
    to: "multiply_add<BQ, HD>(dk, ds, queries[stage]);",
  },
  {
    fault: "the transposition of a draw forgets its second step",
    ...{ kernels: "attention-gradient.cu", file: "attention.cuh", kernel: "attentionGradient", sizes: LONG },
    from: "w[k] = m & 2 ? x : w[k];",
    to: "",
  },
  {
    fault: "a group's second query head is left out",
    ...{ kernels: "attention-gradient.cu", kernel: "attentionGradient", sizes: RAGGED },
    from: "for (int i = 0; i < group * tiles; i++)",
    to: "for (int i = 0; i < tiles; i++)",
  },
  {
    fault: "the last block's rows are left out",
    ...{ kernels: "layer-norm.cu", kernel: "layerNormGradient", sizes: { N: 21, C: 40 } },
    from: "end = min(first + rows_per_block, N)",
    to: "end = min(first + rows_per_block, N - 1)",
  },
  {
    fault: "the target's logit is overwritten before it is read",
    ...{ kernels: "cross-entropy.cu", kernel: "headLoss", sizes: { N: 3, C: 8, V: 2000 } },
    from: "if (!gradient) return;\n  __syncthreads();",
    to: "if (!gradient) return;",
  },
  {
    fault: "the end of a row of logits counts as words",
    ...{ kernels: "cross-entropy.cu", kernel: "headLoss", sizes: { N: 3, C: 8, V: 257 } },
    from: "if (v + k < V) sum +=",
    to: "sum +=",
  },
  {
    fault: "rows of one word change their order",
    ...{ kernels: "embedding.cu", kernel: "embeddingGradient", sizes: { N: 600, T: 300, C: 8, V: 3 } },
    from: "const int bound = key + (run < own);",
    to: "const int bound = key + (run > own);",
  },
  {
    fault: "a word's rows after the first 32 are left out",
    ...{ kernels: "embedding.cu", kernel: "embeddingGradient", sizes: { N: 150, T: 75, C: 8, V: 2 } },
    from: "if (rows < 32) break;",
    to: "break;",
  },
  {
    fault: "cosines are read before they are there",
    ...{ kernels: "rope.cu", kernel: "rope", sizes: { N: 16, T: 8, heads: 2, D: 96, stride: 192 } },
    from: "__syncthreads();",
    to: "",
  },
  {
    fault: "sums of warps are read before they are there",
    ...{ kernels: "reductions.cu", kernel: "columnSum", sizes: { N: 70, C: 40 } },
    from: "  __syncthreads();\n  for (int k",
    to: "  for (int k",
  },
  {
    fault: "a tensor's first block works for the tensor before",
    ...{ kernels: "reductions.cu", file: "tensors.cuh", kernel: "sumSquares" },
    from: ".first_block <= blockIdx.x",
    to: ".first_block < blockIdx.x",
  },
  {
    fault: "blocks are counted over all tensors",
    ...{ kernels: "adamw.cu", kernel: "adamW" },
    from: "blockIdx.x - row.first_block",
    to: "blockIdx.x",
  },
  {
    fault: "windows are taken for as long as their targets",
    ...{ kernels: "micro-batch.cu", kernel: "cutWindows" },
    from: "* (T + 1)",
    to: "* T",
  },
];

const random = new CounterRandom(23, 99);
let drawn = 0;
const normals = (length: number) => Float32Array.from({ length }, () => random.normal(drawn++));

/** A case of the kernel with these sizes: fields in the shapes of the contract, values drawn anew. */
function sizedCase({ kernel, sizes }: Mutant): KernelCase {
  const base = drawCase(kernel, 3);
  if (!sizes) return base;
  const of = (name: string) => sizes[name] ?? 0;
  const [N, C, V] = [of("N"), of("C"), of("V")];
  const rows = of("B") * of("T");
  const width = (of("H") + 2 * of("Hkv")) * of("D");
  const statistics = of("B") * of("H") * of("T");
  const buffers = (): Record<string, Float32Array | Int32Array> => {
    switch (kernel) {
      case "attention":
        return { y: normals(rows * of("H") * of("D")), logSumExp: normals(statistics), qkv: normals(rows * width) };
      case "attentionGradient": {
        const outer = { dy: normals(rows * of("H") * of("D")), y: normals(rows * of("H") * of("D")) };
        const logSumExp = normals(statistics).map((x) => Math.abs(x) + 4);
        return { dqkv: normals(rows * width), ...outer, logSumExp, qkv: normals(rows * width) };
      }
      case "headLoss": {
        const targets = Int32Array.from({ length: N }, (_, n) => V - 1 - n);
        return {
          losses: normals(N),
          x: normals(N * C),
          w: normals(V * C),
          targets,
          dx: normals(N * C),
          dw: normals(V * C),
        };
      }
      case "embeddingGradient": {
        const ids = Int32Array.from({ length: N }, () => random.integer(drawn++, V));
        // Sums of large and small rows, whose order shows in the last bits.
        const dy = normals(N * C).map((x) => x * 10 ** random.integer(drawn++, 6));
        return { dTable: new Float32Array(V * C), dy, ids };
      }
      case "columnSum":
        return { db: normals(C), dy: normals(N * C) };
      case "rope":
        return { x: normals(N * of("stride")) };
      default: {
        const activations = { dx: normals(N * C), dy: normals(N * C), x: normals(N * C), mean: normals(N) };
        return { ...activations, dw: normals(C), db: normals(C), w: normals(C), rstd: normals(N).map(Math.abs) };
      }
    }
  };
  const dropout = { probability: 0.4, seed: 3, step: 1, microBatch: 0, site: 2 };
  const extra: Record<string, object> = {
    attention: { scale: 0.2, ...(of("T") % 4 === 0 ? { dropout } : {}) },
    attentionGradient: { scale: 0.2, ...(of("T") % 4 === 0 ? { dropout } : {}) },
    headLoss: { gradientScale: 1 },
    rope: { base: 10_000 },
  };
  const held = buffers();
  const outputs = base.outputs.filter((name) => name in held);
  const written = kernel === "headLoss" ? ["losses", "dx", "dw"] : outputs;
  return { kernel, buffers: held, outputs: written, scalars: { ...sizes, ...extra[kernel] } };
}

describe.skipIf(unavailable)(`CUDA kernels with faults${unavailable ? ` (skipped: ${unavailable})` : ""}`, () => {
  let sound: SimulatorLauncher;
  beforeAll(async () => {
    sound = await SimulatorLauncher.open();
  }, 300_000);

  test.each(MUTANTS)("$kernels: $fault", async (mutant) => {
    const { kernels, file = kernels, from, to, kernel } = mutant;
    const source = readKernelFile(file);
    expect(source.split(from), "the text to be changed occurs once").toHaveLength(2);
    const device = await SimulatorLauncher.open({
      kernels: [...new Set([kernels, "reductions.cu", ...(kernel === "headLoss" ? ["gemm.cu"] : [])])],
      optimisation: 0,
      sources: { [file]: source.replace(from, to) },
    });
    const tolerance = kernel === "embeddingGradient" ? 0 : 1e-2;
    const type =
      kernel === "embeddingGradient" || kernel.endsWith("NormGradient") || kernel === "columnSum" ? "f32" : "bf16";
    const drawnCase = sizedCase(mutant);
    compareCase(sound, drawnCase, type, tolerance);
    expect(() => compareCase(device, drawnCase, type, tolerance)).toThrow();
  });
});
