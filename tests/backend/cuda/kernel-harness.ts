// Runs the cases of ../kernel-cases.ts through the cuda device's launch functions on the simulator, activations in float or in bf16,
// and compares them with the reference device.

import { expect } from "vitest";
import type { DeviceBuffer } from "../../../src/backend/backend.ts";
import {
  launchGelu,
  launchGeluGradient,
  launchSwiglu,
  launchSwigluGradient,
} from "../../../src/backend/cuda/launch/activations.ts";
import { launchAdamW } from "../../../src/backend/cuda/launch/adamw.ts";
import { launchAttention, launchAttentionGradient } from "../../../src/backend/cuda/launch/attention.ts";
import { launchDropout } from "../../../src/backend/cuda/launch/dropout.ts";
import {
  launchAdd,
  launchClear,
  launchCopy,
  launchFill,
  launchScale,
} from "../../../src/backend/cuda/launch/elementwise.ts";
import { launchEmbedding, launchEmbeddingGradient } from "../../../src/backend/cuda/launch/embedding.ts";
import { ownGemm } from "../../../src/backend/cuda/launch/gemm.ts";
import { launchHeadLoss } from "../../../src/backend/cuda/launch/head-loss.ts";
import { launchCutWindows, launchIncrement } from "../../../src/backend/cuda/launch/micro-batch.ts";
import {
  launchLayerNorm,
  launchLayerNormGradient,
  launchRmsNorm,
  launchRmsNormGradient,
} from "../../../src/backend/cuda/launch/norms.ts";
import {
  launchClipScale,
  launchColumnSum,
  launchSum,
  launchSumSquares,
} from "../../../src/backend/cuda/launch/reductions.ts";
import { launchRope } from "../../../src/backend/cuda/launch/rope.ts";
import type { CudaBuffer } from "../../../src/backend/cuda/launcher.ts";
import type { Kernels } from "../../../src/backend/kernels.ts";
import { createReferenceBackend } from "../../../src/backend/reference/index.ts";
import { describeCase, type KernelCase, runCase, type Values } from "../kernel-cases.ts";
import { fromBf16, MODES, type SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

export type ElementType = "f32" | "bf16";
/** Every kernel but the matrix product, which has tests of its own. */
export type LaunchedKernel = Exclude<keyof Kernels, "matmul">;

/** The launch function of each kernel; the types of a table of kernels cannot say that a case was drawn for its kernel. */
const LAUNCHES: Readonly<Record<LaunchedKernel, (device: SimulatorLauncher, args: never) => void>> = {
  embedding: launchEmbedding,
  embeddingGradient: launchEmbeddingGradient,
  rmsNorm: launchRmsNorm,
  rmsNormGradient: launchRmsNormGradient,
  layerNorm: launchLayerNorm,
  layerNormGradient: launchLayerNormGradient,
  rope: launchRope,
  attention: launchAttention,
  attentionGradient: launchAttentionGradient,
  swiglu: launchSwiglu,
  swigluGradient: launchSwigluGradient,
  gelu: launchGelu,
  geluGradient: launchGeluGradient,
  // Three chunks and more where there are more than 128 rows.
  headLoss: (device, args) => launchHeadLoss(device, ownGemm, args, 1),
  dropout: launchDropout,
  add: launchAdd,
  scale: launchScale,
  fill: launchFill,
  copy: launchCopy,
  columnSum: launchColumnSum,
  sum: launchSum,
  cutWindows: launchCutWindows,
  increment: launchIncrement,
  sumSquares: launchSumSquares,
  clipScale: launchClipScale,
  adamW: launchAdamW,
  clear: launchClear,
};

/** The fields that may be bf16, by kernel. */
const ACTIVATIONS: Readonly<Partial<Record<LaunchedKernel, readonly string[]>>> = {
  embedding: ["y"],
  embeddingGradient: ["dy"],
  rmsNorm: ["y", "x"],
  rmsNormGradient: ["dx", "dy", "x"],
  layerNorm: ["y", "x"],
  layerNormGradient: ["dx", "dy", "x"],
  rope: ["x"],
  attention: ["y", "qkv"],
  attentionGradient: ["dqkv", "dy", "y", "qkv"],
  swiglu: ["y", "x"],
  swigluGradient: ["dx", "dy", "x"],
  gelu: ["y", "x"],
  geluGradient: ["dx", "dy", "x"],
  headLoss: ["x", "dx"],
  dropout: ["y", "x", "residual"],
  add: ["y", "a", "b"],
  scale: ["y", "x"],
  fill: ["y"],
  copy: ["y", "x"],
  columnSum: ["dy"],
  sum: ["x"],
};

const reference = createReferenceBackend();

export const rounded = (values: Float32Array) => fromBf16(toBf16(values));

/** The case with the inputs that the kernel will see: what is bf16 on the device is rounded, with the head's bf16 copy. */
export function roundedCase(drawn: KernelCase, type: ElementType): KernelCase {
  if (type === "f32") return drawn;
  const fields = [
    ...(ACTIVATIONS[drawn.kernel as LaunchedKernel] ?? []),
    ...(drawn.kernel === "headLoss" ? ["w"] : []),
  ];
  const buffers = Object.entries(drawn.buffers).map(([name, values]) => [
    name,
    values instanceof Float32Array && fields.includes(name) ? rounded(values) : values,
  ]);
  return { ...drawn, buffers: Object.fromEntries(buffers) as Record<string, Values> };
}

/** Launch a case and read what it wrote; bf16 as floats. */
export function launchCase(device: SimulatorLauncher, drawn: KernelCase, type: ElementType): Record<string, Values> {
  const kernel = drawn.kernel as LaunchedKernel;
  const held: Record<string, CudaBuffer> = {};
  const copies: CudaBuffer[] = [];
  for (const [name, values] of Object.entries(drawn.buffers)) {
    const isHalf = type === "bf16" && values instanceof Float32Array && (ACTIVATIONS[kernel] ?? []).includes(name);
    held[name] = device.upload(isHalf ? toBf16(values as Float32Array) : values);
    if (kernel === "headLoss" && name === "w") {
      const copy = device.upload(toBf16(values as Float32Array));
      copies.push(copy);
      held[name] = { ...held[name], copy: copy.address };
    }
  }
  const shared: Record<string, DeviceBuffer> = {};
  for (const [field, target] of Object.entries(drawn.aliases ?? {})) shared[field] = held[target]!;
  try {
    LAUNCHES[kernel](device, { ...held, ...shared, ...drawn.scalars, ...drawn.gather?.(held) } as never);
    device.endOperation();
    return Object.fromEntries(drawn.outputs.map((name) => [name, floats(device, held[name]!)]));
  } finally {
    for (const buffer of [...Object.values(held), ...copies]) device.free(buffer);
  }
}

/** The outputs of a case, which must be the same bits under every schedule and asynchronous mode. */
export function launchEveryWay(
  device: SimulatorLauncher,
  drawn: KernelCase,
  type: ElementType,
): Record<string, Values> {
  let first: Record<string, Values> | undefined;
  for (const mode of MODES) {
    device.setMode(mode);
    const outputs = launchCase(device, drawn, type);
    first ??= outputs;
    for (const [name, values] of Object.entries(outputs)) {
      const label = `${describeCase(drawn)} ${name} under ${mode.schedule}, ${mode.copies}`;
      expect(Buffer.compare(bytesOf(values), bytesOf(first[name]!)), label).toBe(0);
    }
  }
  return first!;
}

/** |actual - expected| <= tolerance times the largest expected value of the buffer; NaN where and only where NaN is expected. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  label: string,
): void {
  expect(actual.length, label).toBe(expected.length);
  const largest = Array.from(expected).reduce((max, x) => (Number.isFinite(x) ? Math.max(max, Math.abs(x)) : max), 0);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i]!, expected[i]!];
    const close = Number.isNaN(e) ? Number.isNaN(a) : a === e || Math.abs(a - e) <= tolerance * largest;
    if (!close) expect.fail(`${label}[${i}] is ${a}, the reference has ${e} (largest ${largest})`);
  }
}

/** Launches a case under every mode and holds it to the reference. */
export function compareCase(device: SimulatorLauncher, drawn: KernelCase, type: ElementType, tolerance: number): void {
  const seen = roundedCase(drawn, type);
  const expected = runCase(reference, seen);
  const actual = launchEveryWay(device, seen, type);
  for (const [name, values] of Object.entries(expected)) {
    expectClose(actual[name]!, values, tolerance, `${describeCase(drawn)} ${type} ${name}`);
  }
}

function floats(device: SimulatorLauncher, buffer: CudaBuffer): Values {
  const values = device.download(buffer);
  return values instanceof Uint16Array ? fromBf16(values) : values;
}

function bytesOf({ buffer, byteOffset, byteLength }: Values): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
