// Dropout   (Srivastava et al. 2014), inverted: kept values are divided by 1 - p. With the residual sum where there is one.

import { requireSameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { add } from "./add.ts";

/** [residual +] dropout(x). Without gradients or at probability 0 nothing is dropped. */
export function dropout(x: Tensor, probability: number, residual?: Tensor): Tensor {
  const { tape, length } = x;
  if (residual) requireSameShape("dropout", ["x", x.shape], ["residual", residual.shape]);
  const key = tape.nextDropout(probability);
  if (!key) return residual ? add(residual, x) : x;
  const y = tape.output(x.shape);
  tape.kernels.dropout({ y: y.buffer, x: x.buffer, residual: residual?.buffer, length, dropout: key });

  tape.record(y, (dy) => {
    const { buffer: dx, accumulate } = tape.gradientOf(x);
    tape.kernels.dropout({ y: dx, x: dy, residual: accumulate ? dx : undefined, length, dropout: key });
    if (residual) tape.passGradient(residual, dy);
  });
  return y;
}
