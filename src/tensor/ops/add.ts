// The sum of two tensors of one shape.

import { requireSameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** a + b. */
export function add(a: Tensor, b: Tensor): Tensor {
  requireSameShape("add", ["a", a.shape], ["b", b.shape]);
  const { tape, length } = a;
  const y = tape.output(a.shape);
  tape.kernels.add({ y: y.buffer, a: a.buffer, b: b.buffer, length });

  tape.record(y, (dy) => {
    tape.passGradient(a, dy);
    tape.passGradient(b, dy);
  });
  return y;
}
