// A matrix product on the host over a simulated device's memory: tests of what is built upon products do not rest on those of the device.

import type { GemmArgs, GemmProvider } from "../../../src/backend/cuda/launch/gemm.ts";
import { fromBf16, type SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

export function hostGemm(device: SimulatorLauncher): GemmProvider {
  const read = (address: bigint, dtype: "bf16" | "f32", length: number) => {
    const values = device.download({ address, dtype, length });
    return values instanceof Uint16Array ? fromBf16(values) : values;
  };
  return {
    name: "host",
    gemm(_, { c, cType, a, b, M, N, K, lda, ldb, ldc, transposeA, transposeB, accumulate = false }: GemmArgs) {
      const left = read(a, "bf16", transposeA ? (K - 1) * lda + M : (M - 1) * lda + K);
      const right = read(b, "bf16", transposeB ? (N - 1) * ldb + K : (K - 1) * ldb + N);
      const out = read(c, cType, (M - 1) * ldc + N) as Float32Array;
      for (let m = 0; m < M; m++) {
        for (let n = 0; n < N; n++) {
          let sum = accumulate ? out[m * ldc + n]! : 0;
          for (let k = 0; k < K; k++) {
            sum += left[transposeA ? k * lda + m : m * lda + k]! * right[transposeB ? n * ldb + k : k * ldb + n]!;
          }
          out[m * ldc + n] = sum;
        }
      }
      device.write({ address: c, dtype: cType, length: out.length }, cType === "bf16" ? toBf16(out) : out);
    },
  };
}
