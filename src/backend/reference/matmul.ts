// Matrix product with its epilogues. Gradients are matmuls again: dx = dy W, dW = dy^T x.

import { optionalReals, reals } from "../host-memory.ts";
import type { MatmulArgs } from "../kernels.ts";

export function matmul(args: MatmulArgs): void {
  const { M, N, K, transposeA = false, transposeB = false, accumulate = false } = args;
  const c = reals(args.c, M * N, "matmul.c");
  const a = reals(args.a, M * K, "matmul.a");
  const b = reals(args.b, K * N, "matmul.b");
  const bias = optionalReals(args.bias, N, "matmul.bias");
  const residual = optionalReals(args.residual, M * N, "matmul.residual");
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = accumulate ? c[m * N + n]! : 0;
      for (let k = 0; k < K; k++) {
        sum += (transposeA ? a[k * M + m]! : a[m * K + k]!) * (transposeB ? b[n * K + k]! : b[k * N + n]!);
      }
      if (bias) sum += bias[n]!;
      if (residual) sum += residual[m * N + n]!;
      c[m * N + n] = sum;
    }
  }
}
