// Output projection and cross-entropy by chunks of rows: the logits of a chunk are made by a matrix product in bf16, turned into their
// gradient in place (kernels/cross-entropy.cu), and used up by two more products before the next chunk.

import type { HeadLossArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { checked, f32, i32, launch, pointer } from "./arguments.ts";
import { copyOf } from "./elementwise.ts";
import type { GemmProvider } from "./gemm.ts";

/**
 * Logits of a chunk. Each chunk reads and writes all of dw (103 MB for 50,257 words of 512), so chunks should be large: half a
 * gigabyte is 5,341 rows of 50,257 words, two are 21,362. Decided by the number of multiprocessors, because chunks decide in which
 * order dw is added up: GPUs with a hundred have 24 GB and more.
 */
const chunkBytesOn = ({ multiprocessors }: Launcher) => (multiprocessors >= 100 ? 2 ** 31 : 2 ** 29);
const ROW_MULTIPLE = 128;

/** Targets are on the device: one outside -1..V-1 gives a loss, and a row of gradients, of NaN. `chunkBytes` bounds the logits in memory. */
export function launchHeadLoss(
  launcher: Launcher,
  provider: GemmProvider,
  call: HeadLossArgs,
  chunkBytes = chunkBytesOn(launcher),
): void {
  const { N, C, V, gradientScale = 1 } = call;
  const losses = checked(call.losses, "f32", N, "headLoss.losses").address;
  const x = checked(call.x, "bf16", N * C, "headLoss.x").address;
  const parameter = checked(call.w, "f32", V * C, "headLoss.w");
  const w = copyOf(parameter, "headLoss.w");
  const targets = checked(call.targets, "i32", N, "headLoss.targets").address;
  if ((call.dx === undefined) !== (call.dw === undefined))
    throw new TypeError("headLoss: needs both dx and dw, or neither");
  const dx = call.dx && checked(call.dx, "bf16", N * C, "headLoss.dx").address;
  const dw = call.dw && checked(call.dw, "f32", V * C, "headLoss.dw").address;

  // Rows begin on 16 bytes.
  const stride = Math.ceil(V / 8) * 8;
  // Libraries want whole packets of 16 bytes along a row, and fall back to slower kernels for 50,257 words. So the products go over
  // the padding too where zeros follow w: its logits are no part of the softmax, and their gradient is zero.
  const columns = (stride - V) * C <= (parameter.copySlack ?? 0) ? stride : V;
  const chunk = rowsPerChunk(N, stride * 2, chunkBytes);
  const logits = launcher.workspace(Math.min(chunk, N) * stride * 2);
  for (let first = 0; first < N; first += chunk) {
    const rows = Math.min(chunk, N - first);
    const xRows = x + BigInt(first * C * 2);
    provider.gemm(launcher, {
      ...{ c: logits, cType: "bf16", a: xRows, b: w },
      ...{ M: rows, N: columns, K: C, lda: C, ldb: C, ldc: stride, transposeA: false, transposeB: true },
    });
    launch(launcher, {
      kernel: "cross_entropy",
      grid: [rows, 1, 1],
      threads: V > 4096 ? 768 : 128,
      args: [
        pointer(logits),
        pointer(losses + BigInt(first * 4)),
        pointer(targets + BigInt(first * 4)),
        i32(V),
        i32(stride),
        f32(gradientScale),
        i32(Number(dx !== undefined)),
      ],
    });
    if (dx === undefined || dw === undefined) continue;
    provider.gemm(launcher, {
      ...{ c: dx + BigInt(first * C * 2), cType: "bf16", a: logits, b: w },
      ...{ M: rows, N: C, K: columns, lda: stride, ldb: C, ldc: C, transposeA: false, transposeB: false },
    });
    provider.gemm(launcher, {
      ...{ c: dw, cType: "f32", a: logits, b: xRows, accumulate: true },
      ...{ M: V, N: C, K: rows, lda: stride, ldb: C, ldc: C, transposeA: true, transposeB: false },
    });
  }
}

/** Chunks of equal length as far as it goes, whole tiles of a matrix product. */
function rowsPerChunk(N: number, rowBytes: number, chunkBytes: number): number {
  const chunks = Math.max(1, Math.ceil((N * rowBytes) / chunkBytes));
  return Math.ceil(N / chunks / ROW_MULTIPLE) * ROW_MULTIPLE;
}
