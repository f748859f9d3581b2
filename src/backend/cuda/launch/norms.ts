// Launches of kernels/rms-norm.cu and layer-norm.cu. The gradients of gains and biases come in two ordered stages: each block of
// rows writes its sums, then they are added up.

import type { LayerNormArgs, LayerNormGradientArgs, RmsNormArgs, RmsNormGradientArgs } from "../../kernels.ts";
import type { Launcher } from "../launcher.ts";
import { address, elementType, f32, i32, launch, pointer } from "./arguments.ts";
import { addPartials, MOST_PARTIALS } from "./reductions.ts";

const WARPS = 8;
/** Up to here a block's shared memory leaves room for others on the same multiprocessor. */
const PREFERRED_SHARED_BYTES = 32 * 1024;
const MOST_SHARED_BYTES = 96 * 1024;

export function launchRmsNorm(launcher: Launcher, { y, rstd, x, w, N, C, eps }: RmsNormArgs): void {
  const type = elementType(y, "rmsNorm.y");
  const args = [
    address(y, type, N * C, "rmsNorm.y"),
    address(rstd, "f32", N, "rmsNorm.rstd"),
    address(x, type, N * C, "rmsNorm.x"),
    address(w, "f32", C, "rmsNorm.w"),
    i32(N),
    i32(C),
    f32(eps),
  ];
  launch(launcher, { kernel: `rms_norm_${type}`, grid: [Math.ceil(N / WARPS), 1, 1], threads: 32 * WARPS, args });
}

export function launchRmsNormGradient(launcher: Launcher, call: RmsNormGradientArgs): void {
  const { dx, dw, dy, x, w, rstd, N, C, accumulate = false } = call;
  const type = elementType(dx, "rmsNormGradient.dx");
  const { blocks, rowsPerBlock, warps, sharedBytes } = rowBlocks(N, C, "rmsNormGradient");
  const partials = launcher.workspace(blocks * C * 4);
  const gain = address(dw, "f32", C, "rmsNormGradient.dw");
  const args = [
    address(dx, type, N * C, "rmsNormGradient.dx"),
    pointer(partials),
    address(dy, type, N * C, "rmsNormGradient.dy"),
    address(x, type, N * C, "rmsNormGradient.x"),
    address(w, "f32", C, "rmsNormGradient.w"),
    address(rstd, "f32", N, "rmsNormGradient.rstd"),
    i32(N),
    i32(C),
    i32(rowsPerBlock),
    i32(Number(accumulate)),
  ];
  launch(launcher, {
    kernel: `rms_norm_gradient_${type}`,
    grid: [blocks, 1, 1],
    threads: 32 * warps,
    sharedBytes,
    args,
  });
  addPartials(launcher, { out: gain, partials, count: blocks, stride: C, C });
}

export function launchLayerNorm(launcher: Launcher, { y, mean, rstd, x, w, b, N, C, eps }: LayerNormArgs): void {
  const type = elementType(y, "layerNorm.y");
  const args = [
    address(y, type, N * C, "layerNorm.y"),
    address(mean, "f32", N, "layerNorm.mean"),
    address(rstd, "f32", N, "layerNorm.rstd"),
    address(x, type, N * C, "layerNorm.x"),
    address(w, "f32", C, "layerNorm.w"),
    address(b, "f32", C, "layerNorm.b"),
    i32(N),
    i32(C),
    f32(eps),
  ];
  launch(launcher, { kernel: `layer_norm_${type}`, grid: [Math.ceil(N / WARPS), 1, 1], threads: 32 * WARPS, args });
}

export function launchLayerNormGradient(launcher: Launcher, call: LayerNormGradientArgs): void {
  const { dx, dw, db, dy, x, w, mean, rstd, N, C, accumulate = false } = call;
  const type = elementType(dx, "layerNormGradient.dx");
  const { blocks, rowsPerBlock, warps, sharedBytes } = rowBlocks(N, 2 * C, "layerNormGradient");
  const partials = launcher.workspace(blocks * 2 * C * 4);
  const gain = address(dw, "f32", C, "layerNormGradient.dw");
  const bias = address(db, "f32", C, "layerNormGradient.db");
  const args = [
    address(dx, type, N * C, "layerNormGradient.dx"),
    pointer(partials),
    address(dy, type, N * C, "layerNormGradient.dy"),
    address(x, type, N * C, "layerNormGradient.x"),
    address(w, "f32", C, "layerNormGradient.w"),
    address(mean, "f32", N, "layerNormGradient.mean"),
    address(rstd, "f32", N, "layerNormGradient.rstd"),
    i32(N),
    i32(C),
    i32(rowsPerBlock),
    i32(Number(accumulate)),
  ];
  launch(launcher, {
    kernel: `layer_norm_gradient_${type}`,
    grid: [blocks, 1, 1],
    threads: 32 * warps,
    sharedBytes,
    args,
  });
  const sums = { partials, count: blocks, stride: 2 * C, C };
  addPartials(launcher, { ...sums, out: gain });
  if (db) addPartials(launcher, { ...sums, out: bias, partials: partials + BigInt(C * 4) });
}

/** How rows are shared out where each warp keeps `columns` sums in shared memory; decided by the sizes alone. */
function rowBlocks(N: number, columns: number, kernel: string) {
  const warpBytes = columns * 4;
  if (warpBytes > MOST_SHARED_BYTES) {
    throw new RangeError(`${kernel}: a row needs ${warpBytes} bytes of shared memory, there are ${MOST_SHARED_BYTES}`);
  }
  const warps = Math.min(WARPS, Math.max(1, Math.floor(PREFERRED_SHARED_BYTES / Math.max(warpBytes, 1))));
  const rowsPerBlock = Math.max(1, Math.ceil(N / Math.min(MOST_PARTIALS, Math.max(1, Math.ceil(N / warps)))));
  return { blocks: Math.ceil(N / rowsPerBlock), rowsPerBlock, warps, sharedBytes: warps * warpBytes };
}
