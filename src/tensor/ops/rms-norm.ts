// Root-mean-square normalisation   (Zhang & Sennrich 2019): y = w x / sqrt(mean(x^2) + eps), over the last axis.

import { ShapeError } from "../shape.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** x (..., C) and w (C) give the shape of x. */
export function rmsNorm(x: Tensor, w: Parameter, eps: number): Tensor {
  const { tape, rows: N, width: C } = x;
  if (w.length !== C) throw new ShapeError("rmsNorm", ["x", x.shape], ["w", w.shape], "the last axis");
  const y = tape.output(x.shape);
  const rstd = tape.acquire(N);
  tape.kernels.rmsNorm({ y: y.buffer, rstd, x: x.buffer, w: w.value, N, C, eps });

  tape.record(
    y,
    (dy) => {
      const { buffer: dx, accumulate } = tape.gradientOf(x);
      const dw = w.gradient ?? tape.acquire(C);
      tape.kernels.rmsNormGradient({ dx, dw, dy, x: x.buffer, w: w.value, rstd, N, C, accumulate });
      if (dw !== w.gradient) tape.release(dw);
    },
    { saved: [rstd] },
  );
  return y;
}
