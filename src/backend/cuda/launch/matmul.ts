// The contract's matmul on the cuda device: which memory its operands have in bf16, and a provider that multiplies.

import type { MatmulArgs } from "../../kernels.ts";
import type { CudaBuffer, Launcher } from "../launcher.ts";
import type { GemmProvider } from "./gemm.ts";

/**
 * c, bf16 or f32, from bf16 operands with f32 sums; of f32 operands (parameters) the bf16 copy is read. `bias` is f32, `residual`
 * has the dtype of c. Throws a RangeError for an f32 operand that has no copy.
 */
export function launchMatmul(launcher: Launcher, provider: GemmProvider, args: MatmulArgs): void {
  const { M, N, K, transposeA = false, transposeB = false } = args;
  const c = args.c as CudaBuffer;
  const residual = args.residual as CudaBuffer | undefined;
  if (residual && residual.dtype !== c.dtype) {
    throw new RangeError(`matmul: the residual is ${residual.dtype}, the result ${c.dtype}; they must agree`);
  }
  if (c.dtype === "i32") throw new RangeError("matmul: the result is i32; it must be bf16 or f32");
  provider.gemm(launcher, {
    c: c.address,
    cType: c.dtype,
    a: operand(args.a as CudaBuffer, "a"),
    b: operand(args.b as CudaBuffer, "b"),
    M,
    N,
    K,
    lda: transposeA ? M : K,
    ldb: transposeB ? K : N,
    ldc: N,
    transposeA,
    transposeB,
    accumulate: args.accumulate ?? false,
    bias: (args.bias as CudaBuffer | undefined)?.address,
    residual: residual?.address,
  });
}

function operand(buffer: CudaBuffer, name: string): bigint {
  if (buffer.dtype === "bf16") return buffer.address;
  if (buffer.dtype === "f32" && buffer.copy !== undefined) return buffer.copy;
  throw new RangeError(
    `matmul: operand ${name} is ${buffer.dtype} without a bf16 copy; the cuda device multiplies bf16`,
  );
}
