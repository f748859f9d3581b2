// Gaussian error linear unit   (Hendrycks & Gimpel 2016), with the error function.

import type { Tensor } from "../tensor.ts";

/** Elementwise: the shape of x. */
export function gelu(x: Tensor): Tensor {
  const { tape, length } = x;
  const y = tape.output(x.shape);
  tape.kernels.gelu({ y: y.buffer, x: x.buffer, length });

  tape.record(y, (dy) => {
    tape.writeGradient(x, (dx) => tape.kernels.geluGradient({ dx, dy, x: x.buffer, length }));
  });
  return y;
}
