// Output projection and cross-entropy in one: whole logits never exist, and the gradient is computed in the same pass.

import { ShapeError } from "../shape.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/**
 * x (..., C), w (V, C) and targets (...) i32 give one loss a row in nats, of the shape of `targets`; a target of -1
 * gives 0. On a recording tape this is where backward starts: x gets the gradient of gradientScale * sum(losses).
 */
export function headLoss(x: Tensor, w: Parameter, targets: Tensor, gradientScale = 1): Tensor {
  const { tape, rows: N, width: C } = x;
  const [V, width] = w.shape as [number, number];
  if (width !== C) throw new ShapeError("headLoss", ["x", x.shape], ["w", w.shape], "the last axis");
  if (targets.length !== N) throw new ShapeError("headLoss", ["x", x.shape], ["targets", targets.shape], "rows");
  const losses = tape.output(targets.shape, "f32");
  const args = { losses: losses.buffer, x: x.buffer, w: w.value, targets: targets.buffer, N, C, V };
  if (!tape.gradients) {
    tape.kernels.headLoss(args);
    return losses;
  }
  const dw = w.gradient ?? tape.acquire(w.length); // a frozen head still passes its gradient on
  tape.writeGradient(x, (dx) => tape.kernels.headLoss({ ...args, dx, dw, gradientScale }));
  if (dw !== w.gradient) tape.release(dw);
  return losses;
}
