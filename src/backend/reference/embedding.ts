// Rows of a table by id, with learned or fixed positions added.

import { integers, optionalReals, reals } from "../host-memory.ts";
import type { EmbeddingArgs, EmbeddingGradientArgs } from "../kernels.ts";

export function embedding(args: EmbeddingArgs): void {
  const { N, T, C, V, firstPosition = 0 } = args;
  const y = reals(args.y, N * C, "embedding.y");
  const table = reals(args.table, V * C, "embedding.table");
  const positions = optionalReals(args.positions, (firstPosition + Math.min(N, T)) * C, "embedding.positions");
  const ids = integers(args.ids, N, "embedding.ids");
  for (let n = 0; n < N; n++) checkId(ids[n]!, n, V, "embedding");
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      y[n * C + c] = table[ids[n]! * C + c]! + (positions ? positions[(firstPosition + (n % T)) * C + c]! : 0);
    }
  }
}

export function embeddingGradient(args: EmbeddingGradientArgs): void {
  const { N, T, C, V } = args;
  const dTable = reals(args.dTable, V * C, "embeddingGradient.dTable");
  const dPositions = optionalReals(args.dPositions, Math.min(N, T) * C, "embeddingGradient.dPositions");
  const dy = reals(args.dy, N * C, "embeddingGradient.dy");
  const ids = integers(args.ids, N, "embeddingGradient.ids");
  for (let n = 0; n < N; n++) checkId(ids[n]!, n, V, "embeddingGradient");
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      dTable[ids[n]! * C + c]! += dy[n * C + c]!;
      if (dPositions) dPositions[(n % T) * C + c]! += dy[n * C + c]!;
    }
  }
}

/** Throws a RangeError that names the place and the id. */
export function checkId(id: number, n: number, V: number, kernel: string): void {
  if (id < 0 || id >= V) throw new RangeError(`${kernel}: id ${id} at row ${n} is outside the vocabulary 0..${V - 1}`);
}
