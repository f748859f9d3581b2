// y = x W^T [+ bias] [+ residual], W stored (outputs, inputs) as PyTorch and safetensors files have it.

import { ShapeError } from "../shape.ts";
import type { Parameter, Tensor } from "../tensor.ts";

export interface LinearOptions {
  readonly bias?: Parameter | undefined; // (outputs)
  readonly residual?: Tensor | undefined; // like the result
}

/** x (..., K) and w (M, K) give (..., M). */
export function linear(x: Tensor, w: Parameter, { bias, residual }: LinearOptions = {}): Tensor {
  const { tape, rows: N, width: K } = x;
  const [M, inputs] = w.shape as [number, number];
  if (inputs !== K) throw new ShapeError("linear", ["x", x.shape], ["w", w.shape], "the last axis");
  if (residual && (residual.width !== M || residual.rows !== N)) {
    throw new ShapeError("linear", ["x W^T", [N, M]], ["residual", residual.shape], "rows or columns");
  }
  const y = tape.output([...x.shape.slice(0, -1), M]);
  tape.kernels.matmul({
    c: y.buffer,
    a: x.buffer,
    b: w.value,
    M: N,
    N: M,
    K,
    transposeB: true,
    bias: bias?.value,
    residual: residual?.buffer,
  });

  tape.record(y, (dy) => {
    if (w.gradient) {
      // dW (M, K) += dy^T x
      tape.kernels.matmul({ c: w.gradient, a: dy, b: x.buffer, M, N: K, K: N, transposeA: true, accumulate: true });
    }
    if (bias?.gradient) tape.kernels.columnSum({ db: bias.gradient, dy, N, C: M });
    if (x.requiresGradient) {
      const { buffer, accumulate } = tape.gradientOf(x); // dx = dy W
      tape.kernels.matmul({ c: buffer, a: dy, b: w.value, M: N, N: K, K: M, accumulate });
    }
    if (residual) tape.passGradient(residual, dy);
  });
  return y;
}
