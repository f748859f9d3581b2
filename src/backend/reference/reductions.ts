// Sums over rows and over whole buffers.

import { integerScalar, reals } from "../host-memory.ts";
import type { ColumnSumArgs, SumArgs, SumSquaresArgs } from "../kernels.ts";

export function columnSum({ N, C, ...args }: ColumnSumArgs): void {
  const db = reals(args.db, C, "columnSum.db");
  const dy = reals(args.dy, N * C, "columnSum.dy");
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let n = 0; n < N; n++) sum += dy[n * C + c]!;
    db[c]! += sum;
  }
}

export function sum({ length, squared = false, ...args }: SumArgs): void {
  const index = integerScalar(args.index, "sum.index");
  const out = reals(args.out, index + 1, "sum.out");
  const x = reals(args.x, length, "sum.x");
  let total = 0;
  for (let i = 0; i < length; i++) total += squared ? x[i]! * x[i]! : x[i]!;
  out[index] = total;
}

export function sumSquares({ out, first, xs }: SumSquaresArgs): void {
  for (const [i, x] of xs.entries()) sum({ out, index: first + i, x, length: x.length, squared: true });
}
