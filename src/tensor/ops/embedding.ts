// Rows of a table by token id, with a row per position added where there is one.

import { ShapeError } from "../shape.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/**
 * ids (B, T) i32, table (V, C), positions (>= firstPosition + T, C) give (B, T, C). Throws the kernel's RangeError for an id outside the
 * table. A firstPosition above 0 is for generation and has no gradient.
 */
export function embedding(ids: Tensor, table: Parameter, positions?: Parameter, firstPosition = 0): Tensor {
  const { tape, length: N, width: T } = ids;
  const [V, C] = table.shape as [number, number];
  if (positions && (positions.shape[0]! < firstPosition + T || positions.shape[1] !== C)) {
    throw new ShapeError("embedding", ["ids with table", [T, C]], ["positions", positions.shape], "positions or width");
  }
  const y = tape.output([...ids.shape, C]);
  tape.kernels.embedding({
    y: y.buffer,
    table: table.value,
    ids: ids.buffer,
    positions: positions?.value,
    firstPosition,
    N,
    T,
    C,
    V,
  });

  tape.record(y, (dy) => {
    const dTable = table.gradient;
    if (!dTable) return;
    tape.kernels.embeddingGradient({ dTable, dPositions: positions?.gradient, dy, ids: ids.buffer, N, T, C, V });
  });
  return y;
}
