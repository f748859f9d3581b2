// Runs kernels on a simulator that was built with AddressSanitizer (argument 1): products of every form and edge, and random cases of
// the other kernels, where the library has them. The sanitizer ends the process at the first access outside of an allocation.

import { drawCase, KERNEL_NAMES } from "../../kernel-cases.ts";
import { type GemmCase, runGemm } from "../gemm-cases.ts";
import { launchCase } from "../kernel-harness.ts";
import { SimulatorLauncher } from "../simulator-launcher.ts";

const device = new SimulatorLauncher(process.argv[2]!);
/** These have no variant for float activations. */
const BF16_ONLY: readonly string[] = ["attention", "attentionGradient", "headLoss"];

const PRODUCTS: readonly GemmCase[] = [
  { M: 70, N: 77, K: 75, rows: "dense", tile: { shape: "any", splits: 1 } },
  { M: 72, N: 80, K: 104, rows: "dense", tile: { shape: "64x64", splits: 1 }, bias: true, residual: true },
  { M: 130, N: 72, K: 99, rows: "dense", tile: { shape: "any", splits: 2 }, cType: "f32", accumulate: true },
];
for (const shape of PRODUCTS) {
  for (const transposeA of [false, true]) runGemm(device, { ...shape, transposeA, transposeB: !transposeA });
}
if (device.kernelNames().includes("attention_32")) {
  for (const kernel of KERNEL_NAMES.filter((name) => name !== "matmul")) {
    launchCase(device, drawCase(kernel, 1), "bf16");
    if (!BF16_ONLY.includes(kernel)) launchCase(device, drawCase(kernel, 2), "f32");
  }
}
console.log("clean");
