// Clipping by the global norm   (Pascanu, Mikolov & Bengio 2013, section 3.2).

import type { Backend, DeviceBuffer } from "../backend/backend.ts";

/** Euclidean norm of all gradients together. `scratch` has at least one f32 per gradient. */
export function globalNorm(backend: Backend, gradients: readonly DeviceBuffer[], scratch: DeviceBuffer): number {
  backend.kernels.sumSquares({ out: scratch, first: 0, xs: gradients });
  return Math.sqrt(total(backend.read(scratch, 0, gradients.length)));
}

/** Added up in float64 in order, as the kernel `clipScale` does it. */
export function total(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}

/** What gradients are multiplied by so that their norm is at most `clip`; the small constant is PyTorch's. */
export function clipScale(norm: number, clip: number): number {
  return Math.min(1, clip / (norm + 1e-6));
}
