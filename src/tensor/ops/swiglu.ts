// The gated activation of SwiGLU   (Shazeer 2020): silu(gate) * value.

import type { Tensor } from "../tensor.ts";

/** x (..., 2 F), gate then value, gives (..., F). */
export function swiglu(x: Tensor): Tensor {
  const { tape, rows: N } = x;
  if (x.width % 2 !== 0) throw new RangeError(`swiglu: the last axis has ${x.width} elements, which is odd`);
  const F = x.width / 2;
  const y = tape.output([...x.shape.slice(0, -1), F]);
  tape.kernels.swiglu({ y: y.buffer, x: x.buffer, N, F });

  tape.record(y, (dy) => {
    tape.writeGradient(x, (dx) => tape.kernels.swigluGradient({ dx, dy, x: x.buffer, N, F }));
  });
  return y;
}
