// The reference device: every kernel in plain TypeScript with double-precision sums, written to be read. It is the
// oracle that the tests compare other devices with, and the fallback where no native code can be built.

import type { Backend } from "../backend.ts";
import { HostMemory } from "../host-memory.ts";
import type { Kernels } from "../kernels.ts";
import { adamW } from "./adamw.ts";
import { attention, attentionGradient } from "./attention.ts";
import { clipScale } from "./clip-scale.ts";
import { dropout } from "./dropout.ts";
import { add, clear, copy, fill, scale } from "./elementwise.ts";
import { embedding, embeddingGradient } from "./embedding.ts";
import { gelu, geluGradient } from "./gelu.ts";
import { headLoss } from "./head-loss.ts";
import { layerNorm, layerNormGradient } from "./layer-norm.ts";
import { matmul } from "./matmul.ts";
import { cutWindows, increment } from "./micro-batch.ts";
import { columnSum, sum, sumSquares } from "./reductions.ts";
import { rmsNorm, rmsNormGradient } from "./rms-norm.ts";
import { rope } from "./rope.ts";
import { swiglu, swigluGradient } from "./swiglu.ts";

export const referenceKernels: Kernels = {
  matmul,
  embedding,
  embeddingGradient,
  rmsNorm,
  rmsNormGradient,
  layerNorm,
  layerNormGradient,
  rope,
  attention,
  attentionGradient,
  swiglu,
  swigluGradient,
  gelu,
  geluGradient,
  headLoss,
  dropout,
  add,
  scale,
  fill,
  copy,
  columnSum,
  sum,
  cutWindows,
  increment,
  sumSquares,
  clipScale,
  adamW,
  clear,
};

export function createReferenceBackend(): Backend {
  const memory = new HostMemory("reference");
  return {
    info: { name: "reference", determinismClass: "reference", description: "reference (plain TypeScript, one thread)" },
    kernels: referenceKernels,
    precision: "f32",
    activations: "f32",
    allocate: (dtype, length) => memory.allocate(dtype, length),
    free: (buffer) => memory.free(buffer),
    write: (buffer, values, offset) => memory.write(buffer, values, offset),
    read: (buffer, offset, length) => memory.read(buffer, offset, length),
    readLater: async (buffer, offset, length) => memory.read(buffer, offset, length),
    memory: () => memory.usage(),
    close: () => undefined,
  };
}
