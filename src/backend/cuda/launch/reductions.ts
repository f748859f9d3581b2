// Launches of kernels/reductions.cu: sums over rows and over whole buffers, and what they decide about a step.

import type { ClipScaleArgs, ColumnSumArgs, SumArgs, SumSquaresArgs } from "../../kernels.ts";
import type { KernelArgument, Launcher } from "../launcher.ts";
import {
  address,
  checked,
  elementType,
  f32,
  i32,
  integerScalar,
  launch,
  pointer,
  realScalar,
  u32,
} from "./arguments.ts";
import { tablesOf } from "./tables.ts";

/** Into so many parts sums are cut at most, so that adding up the parts stays cheap. */
export const MOST_PARTIALS = 256;
const ROWS_PER_BLOCK = 32;
const SUM_ELEMENTS_PER_BLOCK = 8192;
const MOST_SUM_BLOCKS = 1024;
const TENSORS_AT_ONCE = 128;

export function launchColumnSum(launcher: Launcher, { db, dy, N, C }: ColumnSumArgs): void {
  const type = elementType(dy, "columnSum.dy");
  const rowsPerBlock = Math.max(ROWS_PER_BLOCK, Math.ceil(N / MOST_PARTIALS));
  const blocks = Math.ceil(N / rowsPerBlock);
  const slab = 32 * (type === "bf16" ? 8 : 4);
  const out = address(db, "f32", C, "columnSum.db");
  const partials = launcher.workspace(blocks * C * 4);
  launch(launcher, {
    kernel: `column_sum_${type}`,
    grid: [Math.ceil(C / slab), blocks, 1],
    threads: 256,
    args: [pointer(partials), address(dy, type, N * C, "columnSum.dy"), i32(N), i32(C), i32(rowsPerBlock)],
  });
  addPartials(launcher, { out, partials, count: blocks, stride: C, C });
}

interface Partials {
  /** f32 (C), added to. */
  readonly out: KernelArgument;
  /** f32 (count, stride), of which the first C columns are added up. */
  readonly partials: bigint;
  readonly count: number;
  readonly stride: number;
  readonly C: number;
}

export function addPartials(launcher: Launcher, { out, partials, count, stride, C }: Partials): void {
  if (count === 0) return;
  launch(launcher, {
    kernel: "add_partials",
    grid: [Math.ceil(C / 32), 1, 1],
    // About eight loads a thread, which are all on their way at once.
    threads: 32 * Math.min(32, Math.ceil(count / 8)),
    args: [out, pointer(partials), i32(count), i32(stride), i32(C)],
  });
}

function sumBlocks(length: number): number {
  return Math.max(1, Math.min(Math.ceil(length / SUM_ELEMENTS_PER_BLOCK), MOST_SUM_BLOCKS));
}

export function launchSum(launcher: Launcher, { out, index, x, length, squared = false }: SumArgs): void {
  const type = elementType(x, "sum.x");
  const blocks = sumBlocks(length);
  const partials = pointer(blocks > 1 ? launcher.workspace(blocks * 8) : 0n);
  const target = address(out, "f32", typeof index === "number" ? index + 1 : 1, "sum.out");
  const place = integerScalar(index, "sum.index");
  const source = [address(x, type, length, "sum.x"), u32(length, "sum.length"), i32(Number(squared))];
  launch(launcher, {
    kernel: `sum_${type}`,
    grid: [blocks, 1, 1],
    threads: 256,
    args: [partials, target, ...place, ...source],
  });
  if (blocks === 1) return;
  const args = [target, ...place, partials, i32(blocks)];
  launch(launcher, { kernel: "sum_finish", grid: [1, 1, 1], threads: 256, args });
}

/** The bits of `sum` for each tensor: as many blocks, which share the work in the same way. */
export function launchSumSquares(launcher: Launcher, { out, first, xs }: SumSquaresArgs): void {
  const sums = checked(out, "f32", first + xs.length, "sumSquares.out");
  const rows = xs.map((x) => {
    const { address: start } = checked(x, "f32", x.length, "sumSquares.x");
    return { pointers: [start], length: x.length, blocks: sumBlocks(x.length) };
  });
  for (const { argument, count, blocks, first: place } of tablesOf(rows, TENSORS_AT_ONCE)) {
    const partials = pointer(launcher.workspace(blocks * 8));
    launch(launcher, {
      kernel: "sum_squares",
      grid: [blocks, 1, 1],
      threads: 256,
      args: [partials, i32(count), argument],
    });
    launch(launcher, {
      kernel: "sum_squares_finish",
      grid: [count, 1, 1],
      threads: 256,
      args: [pointer(sums.address + BigInt(4 * (first + place))), partials, argument],
    });
  }
}

export function launchClipScale(launcher: Launcher, call: ClipScaleArgs): void {
  const { out, sums, numLosses, numSquares, numTokens, clip, maxLoss } = call;
  const args = [
    address(out, "f32", 4, "clipScale.out"),
    address(sums, "f32", numLosses + numSquares, "clipScale.sums"),
    i32(numLosses),
    i32(numSquares),
    f32(numTokens),
    f32(clip),
    ...realScalar(maxLoss, "clipScale.maxLoss"),
  ];
  launch(launcher, { kernel: "clip_scale", grid: [1, 1, 1], threads: 1, args });
}
