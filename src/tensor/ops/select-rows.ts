// Chosen rows of a matrix, in any order and as often as wanted: the embedding kernel with activations for a table.

import type { Tensor } from "../tensor.ts";

/** x (..., C) and `rows` (...) i32, counted over all axes of x but the last, give (..., C) of the shape of `rows`. Throws the kernel's RangeError for a row that x lacks. */
export function selectRows(x: Tensor, rows: Tensor): Tensor {
  const { tape, rows: V, width: C } = x;
  const sizes = { ids: rows.buffer, N: rows.length, T: 1, C, V };
  const y = tape.output([...rows.shape, C]);
  tape.kernels.embedding({ y: y.buffer, table: x.buffer, ...sizes });

  tape.record(y, (dy) => {
    if (!x.requiresGradient) return;
    const { buffer: dTable, accumulate } = tape.gradientOf(x);
    if (!accumulate) tape.kernels.fill({ y: dTable, value: 0, length: x.length });
    tape.kernels.embeddingGradient({ dTable, dy, ...sizes });
  });
  return y;
}
