// Launches of kernels/embedding.cu. Ids are on the device: one outside the vocabulary gives a row of NaNs, and no gradient.

import type { EmbeddingArgs, EmbeddingGradientArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, elementType, i32, launch, pointer } from "./arguments.ts";

const WARPS = 8;
/** Rows that are sorted by one block. */
const RUN = 512;

export function launchEmbedding(launcher: Launcher, call: EmbeddingArgs): void {
  const { y, table, ids, positions, firstPosition = 0, N, T, C, V } = call;
  const type = elementType(y, "embedding.y");
  const tableType = table.dtype === "bf16" && type === "bf16" ? "bf16" : "f32"; // rows of activations, or of a parameter
  launch(launcher, {
    kernel: tableType === "bf16" ? "embedding_rows_bf16" : `embedding_${type}`,
    grid: [Math.ceil(N / WARPS), 1, 1],
    threads: 32 * WARPS,
    args: [
      address(y, type, N * C, "embedding.y"),
      address(table, tableType, V * C, "embedding.table"),
      address(ids, "i32", N, "embedding.ids"),
      address(positions, "f32", (firstPosition + Math.min(N, T)) * C, "embedding.positions"),
      i32(firstPosition),
      i32(N),
      i32(T),
      i32(C),
      i32(V),
    ],
  });
}

export function launchEmbeddingGradient(launcher: Launcher, call: EmbeddingGradientArgs): void {
  const { dTable, dPositions, dy, ids, N, T, C, V } = call;
  const type = elementType(dy, "embeddingGradient.dy");
  const gradient = address(dy, type, N * C, "embeddingGradient.dy");
  const words = address(ids, "i32", N, "embeddingGradient.ids");
  const table = address(dTable, "f32", V * C, "embeddingGradient.dTable");
  const positions = address(dPositions, "f32", Math.min(N, T) * C, "embeddingGradient.dPositions");
  const [order, keys, rows] = [0, 1, 2].map(() => pointer(launcher.workspace(N * 4)));
  launch(launcher, {
    kernel: "embedding_runs",
    grid: [Math.ceil(N / RUN), 1, 1],
    threads: RUN,
    args: [keys!, rows!, words, i32(N), i32(V)],
  });
  launch(launcher, {
    kernel: "embedding_order",
    grid: [Math.ceil(N / 64), 1, 1],
    threads: 256,
    args: [order!, keys!, rows!, i32(N)],
  });
  const packet = type === "bf16" ? 8 : 4;
  const columns = C % packet === 0 ? 32 * packet : 32;
  launch(launcher, {
    kernel: `embedding_gradient_${type}`,
    grid: [Math.ceil(N / WARPS), Math.ceil(C / columns), 1],
    threads: 32 * WARPS,
    args: [table, gradient, words, order!, i32(N), i32(C), i32(V)],
  });
  if (!dPositions) return;
  launch(launcher, {
    kernel: `positions_gradient_${type}`,
    grid: [Math.min(N, T), Math.ceil(C / 128), 1],
    threads: 128,
    args: [positions, gradient, i32(N), i32(T), i32(C)],
  });
}
