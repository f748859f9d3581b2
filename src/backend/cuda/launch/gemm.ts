// Matrix products on the device's own kernels (kernels/gemm.cu): which tile, how many splits of K, and the launches for it.

import type { KernelArgument, Launcher } from "../launcher.ts";

/** c = alpha op(a) op(b) [+ bias] [+ residual], or c += where `accumulate`; addresses on the device, all matrices row-major. */
export interface GemmArgs {
  readonly c: bigint; // (M, N)
  readonly cType: "bf16" | "f32";
  readonly a: bigint; // bf16 (M, K), or (K, M) where transposeA
  readonly b: bigint; // bf16 (K, N), or (N, K) where transposeB
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Elements from row to row of each matrix as it lies in memory. Multiples of 8 are fast. */
  readonly lda: number;
  readonly ldb: number;
  readonly ldc: number; // of residual too
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly alpha?: number; // 1
  readonly accumulate?: boolean;
  readonly bias?: bigint | undefined; // f32 (N)
  readonly residual?: bigint | undefined; // (M, N) of cType; may be c
  /** How the own kernels compute it, instead of their choice: for the autotuner. Other providers pass over it. */
  readonly tile?: GemmTile | undefined;
}

export interface GemmProvider {
  readonly name: string;
  gemm(launcher: Launcher, args: GemmArgs): void;
}

/** A tile of c per block (`any`: the kernels for unaligned operands) and the number of parts of K that are summed apart. */
export interface GemmTile {
  readonly shape: "128x128" | "128x64" | "64x64" | "any";
  readonly splits: number;
}

interface TileShape {
  readonly rows: number;
  readonly columns: number;
  /** Share of the tensor cores' rate that a full multiprocessor reaches: smaller tiles load more per product. An estimate. */
  readonly rate: number;
  /** Blocks that fit on a multiprocessor, by registers. */
  readonly resident: number;
}

const SHAPES: Readonly<Record<GemmTile["shape"], TileShape>> = {
  "128x128": { rows: 128, columns: 128, rate: 1, resident: 2 },
  "128x64": { rows: 128, columns: 64, rate: 0.85, resident: 3 },
  "64x64": { rows: 64, columns: 64, rate: 0.65, resident: 4 },
  any: { rows: 64, columns: 64, rate: 0.15, resident: 4 },
};
const ALIGNED_SHAPES = ["128x128", "128x64", "64x64"] as const;

const STAGES = 3;
const STEP = 32; // of K: GEMM_K in kernels/gemm-operand.cuh
const THREADS = 128;
const MAX_SPLITS = 64;
/** A split of fewer steps is mostly filling and draining its pipeline. */
const LEAST_STEPS_PER_SPLIT = 8;
const MAX_GRID_Y = 65_535;

// As in kernels/gemm-epilogue.cuh.
const FLAG_F32 = 1;
const FLAG_ACCUMULATE = 2;
const FLAG_WIDE = 4;

export const ownGemm: GemmProvider = { name: "own", gemm: launchGemm };

function launchGemm(launcher: Launcher, args: GemmArgs): void {
  const { M, N, K } = args;
  if (M === 0 || N === 0) return;
  const { shape, splits } = args.tile ?? chooseTile(args, launcher.multiprocessors);
  const { rows, columns } = SHAPES[shape];
  // Splits begin at multiples of STEP, which keeps them aligned; none is empty.
  const perSplit = Math.max(1, Math.ceil(Math.ceil(K / STEP) / splits)) * STEP;
  const parts = Math.max(1, Math.ceil(K / perSplit));
  const kernel = `gemm_${formOf(args)}_${shape}`;
  const ldp = Math.ceil(N / 8) * 8;
  const workspace = parts > 1 ? launcher.workspace(parts * M * ldp * 4) : undefined;
  launcher.launch({
    kernel,
    label: `${kernel} ${M}x${N}x${K}`,
    grid: [Math.ceil(M / rows) * Math.ceil(N / columns), 1, parts],
    threads: THREADS,
    sharedBytes: STAGES * STEP * (rows + columns) * 2,
    args: [
      pointer(args.a),
      pointer(args.b),
      pointer(workspace ?? args.c),
      pointer(workspace === undefined ? args.bias : 0n),
      pointer(workspace === undefined ? args.residual : 0n),
      i32(M),
      i32(N),
      i32(K),
      i32(args.lda),
      i32(args.ldb),
      i32(workspace === undefined ? args.ldc : ldp),
      i32(perSplit),
      { type: "f32", value: workspace === undefined ? (args.alpha ?? 1) : 1 },
      i32(workspace === undefined ? epilogueFlags(args) : FLAG_F32 | FLAG_WIDE),
    ],
  });
  if (workspace === undefined) return;
  launcher.launch({
    kernel: "gemm_split_sum",
    label: `gemm_split_sum ${M}x${N}x${K}`,
    grid: [Math.ceil(N / 8 / THREADS), Math.min(M, MAX_GRID_Y), 1],
    threads: THREADS,
    args: [
      pointer(workspace),
      i32(parts),
      i32(ldp),
      pointer(args.c),
      pointer(args.bias),
      pointer(args.residual),
      i32(M),
      i32(N),
      i32(args.ldc),
      { type: "f32", value: args.alpha ?? 1 },
      i32(epilogueFlags(args)),
    ],
  });
}

/** Which operands are transposed, as BLAS spells it: `nt` where b is. */
export function formOf({ transposeA, transposeB }: GemmArgs): string {
  return `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
}

/** The tiles and splits that may be worth measuring for a product, the estimated best first. */
export function gemmCandidates(args: GemmArgs, multiprocessors: number): GemmTile[] {
  const shapes = hasAlignedKernels(args) ? ALIGNED_SHAPES : (["any"] as const);
  const candidates = shapes.flatMap((shape) => splitCounts(args.K).map((splits) => ({ shape, splits })));
  const cost = new Map(candidates.map((tile) => [tile, estimatedCost(args, tile, multiprocessors)]));
  return candidates.sort((x, y) => cost.get(x)! - cost.get(y)!);
}

/** What the own kernels use where nothing was measured; a function of the shape and the number of multiprocessors only. */
export function chooseTile(args: GemmArgs, multiprocessors: number): GemmTile {
  return gemmCandidates(args, multiprocessors)[0]!;
}

/** Numbers of parts that K can be cut into, some way apart; two of them are never the same launch. */
function splitCounts(K: number): number[] {
  const steps = Math.ceil(K / STEP);
  const most = Math.min(MAX_SPLITS, Math.floor(steps / LEAST_STEPS_PER_SPLIT));
  const counts = new Set([1]);
  for (let splits = 2; splits <= most; splits += Math.max(1, Math.floor(splits / 4))) {
    counts.add(Math.ceil(steps / Math.ceil(steps / splits)));
  }
  return [...counts];
}

/**
 * In products of 64 x 64 x 32 on one multiprocessor (about 0.1 us). A block takes its steps and some more to fill the pipeline
 * and to store; blocks run in waves, and a multiprocessor with few blocks cannot hide its waiting. Splits cost the traffic of
 * the workspace and a second launch. The constants are estimates; the autotuner measures instead.
 */
function estimatedCost({ M, N, K }: GemmArgs, { shape, splits }: GemmTile, multiprocessors: number): number {
  const { rows, columns, rate, resident } = SHAPES[shape];
  const steps = Math.ceil(K / STEP / splits) + 8;
  const perMultiprocessor = Math.ceil((Math.ceil(M / rows) * Math.ceil(N / columns) * splits) / multiprocessors);
  const busy = Math.min(perMultiprocessor, resident) / resident;
  const products = (perMultiprocessor * steps * rows * columns) / (64 * 64) / (rate * (0.5 + 0.5 * busy));
  const workspaceBytes = splits > 1 ? M * N * 4 * (splits * 2 + 1) : 0;
  const BYTES_PER_UNIT = 200_000; // 2 TB/s
  const LAUNCH = 25;
  return products + workspaceBytes / BYTES_PER_UNIT + (splits > 1 ? LAUNCH : 0);
}

/** cp.async moves 16 bytes: both operands and the rows in them must begin at multiples of that. */
function hasAlignedKernels({ a, b, lda, ldb, transposeA, transposeB }: GemmArgs): boolean {
  const isAligned = (address: bigint, ld: number) => address % 16n === 0n && ld % 8 === 0;
  return isAligned(a, lda) && isAligned(b, ldb) && !(transposeA && transposeB);
}

function epilogueFlags({ c, cType, ldc, accumulate, bias, residual }: GemmArgs): number {
  const addresses = [c, bias ?? 0n, residual ?? 0n];
  const isWide = ldc % 8 === 0 && addresses.every((address) => address % 16n === 0n);
  return (cType === "f32" ? FLAG_F32 : 0) | (accumulate ? FLAG_ACCUMULATE : 0) | (isWide ? FLAG_WIDE : 0);
}

function pointer(value: bigint | undefined): KernelArgument {
  return { type: "pointer", value: value ?? 0n };
}

function i32(value: number): KernelArgument {
  return { type: "i32", value };
}
