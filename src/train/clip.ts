// Clipping by the global norm   (Pascanu, Mikolov & Bengio 2013, section 3.2).

import type { Backend, DeviceBuffer } from "../backend/backend.ts";

/** Euclidean norm of all gradients together. `scratch` has at least one f32 per gradient. */
export function globalNorm(backend: Backend, gradients: readonly DeviceBuffer[], scratch: DeviceBuffer): number {
  for (const [index, x] of gradients.entries()) {
    backend.kernels.sum({ out: scratch, index, x, length: x.length, squared: true });
  }
  let sum = 0;
  for (const square of backend.read(scratch, 0, gradients.length)) sum += square;
  return Math.sqrt(sum);
}

/** What gradients are multiplied by so that their norm is at most `clip`; the small constant is PyTorch's. */
export function clipScale(norm: number, clip: number): number {
  return Math.min(1, clip / (norm + 1e-6));
}
