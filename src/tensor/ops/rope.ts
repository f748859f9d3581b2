// Rotary positions   (Su et al. 2021): queries and keys are turned by an angle that grows with their position.

import { ShapeError } from "../shape.ts";
import { Tensor } from "../tensor.ts";

export interface RopeOptions {
  /** Heads to turn, from the left of each row: queries and keys, not values. */
  readonly heads: number;
  readonly headDim: number;
  readonly base: number;
  /** Of the first row of each sequence. Default 0. */
  readonly firstPosition?: number | undefined;
}

/** qkv (B, T, width) is changed in place and must not be used again; the result has its memory. */
export function rope(qkv: Tensor, { heads, headDim: D, base, firstPosition = 0 }: RopeOptions): Tensor {
  const { tape, rows: N, width: stride } = qkv;
  if (heads * D > stride) throw new ShapeError("rope", ["qkv", qkv.shape], ["heads", [heads, D]], "the last axis");
  const T = qkv.shape[qkv.shape.length - 2]!;
  tape.kernels.rope({ x: qkv.buffer, N, T, heads, D, stride, base, firstPosition });
  const y = new Tensor(tape, qkv.buffer, qkv.shape, qkv.requiresGradient);

  tape.record(
    y,
    (dy) => {
      tape.kernels.rope({ x: dy, N, T, heads, D, stride, base, firstPosition, inverse: true });
      tape.passGradient(qkv, dy);
    },
    { inPlace: true },
  );
  return y;
}
