// Layer normalisation   (Ba, Kiros & Hinton 2016): y = w (x - mean) / sqrt(var + eps) [+ b], over the last axis.

import { ShapeError } from "../shape.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** x (..., C), w (C) and b (C) give the shape of x. */
export function layerNorm(x: Tensor, w: Parameter, b: Parameter | undefined, eps: number): Tensor {
  const { tape, rows: N, width: C } = x;
  if (w.length !== C) throw new ShapeError("layerNorm", ["x", x.shape], ["w", w.shape], "the last axis");
  const y = tape.output(x.shape);
  const mean = tape.acquire(N);
  const rstd = tape.acquire(N);
  tape.kernels.layerNorm({ y: y.buffer, mean, rstd, x: x.buffer, w: w.value, b: b?.value, N, C, eps });

  tape.record(
    y,
    (dy) => {
      const { buffer: dx, accumulate } = tape.gradientOf(x);
      const dw = w.gradient ?? tape.acquire(C);
      tape.kernels.layerNormGradient({
        dx,
        dw,
        db: b?.gradient,
        dy,
        x: x.buffer,
        w: w.value,
        mean,
        rstd,
        N,
        C,
        accumulate,
      });
      if (dw !== w.gradient) tape.release(dw);
    },
    { saved: [mean, rstd] },
  );
  return y;
}
