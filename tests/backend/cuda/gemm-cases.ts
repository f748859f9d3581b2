// Random matrix products for tests: operands, the launch, and how far the result is from sums in double precision.

import { type GemmTile, ownGemm } from "../../../src/backend/cuda/launch/gemm.ts";
import { CounterRandom, PURPOSE } from "../../../src/util/philox.ts";
import { fromBf16, type SimulatorLauncher, toBf16 } from "./simulator-launcher.ts";

export interface GemmCase {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly cType?: "bf16" | "f32"; // bf16
  readonly alpha?: number;
  readonly bias?: boolean;
  readonly residual?: boolean;
  readonly accumulate?: boolean;
  readonly tile?: GemmTile;
  /** Only k from the first to before the second, a multiple of 32 the first. */
  readonly range?: readonly [number, number];
  /** Elements from row to row: no more than a row has, the next but one multiple of 8, or three more than a row. */
  readonly rows?: "dense" | "aligned" | "odd"; // aligned
  /** Elements of every matrix before its first one, NaN in memory. */
  readonly offset?: number;
}

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array; // dense
}

interface Operands {
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: Matrix; // what it holds before
  readonly residual: Matrix;
  readonly bias: Float32Array;
}

/** The product as the device computes it: dense (M, N). */
export function runGemm(device: SimulatorLauncher, shape: GemmCase): Float32Array {
  const { M, N, K, transposeA = false, transposeB = false, cType = "bf16", offset = 0 } = shape;
  const { a, b, c, residual, bias } = operandsOf(shape);
  const ldc = leading(N, shape.rows);
  const place = (matrix: Matrix, dtype: "bf16" | "f32") => {
    const buffer = device.upload(laidOut(matrix, dtype, leading(matrix.columns, shape.rows), offset));
    return { buffer, address: buffer.address + BigInt(offset * (dtype === "bf16" ? 2 : 4)) };
  };
  const placed = { a: place(a, "bf16"), b: place(b, "bf16"), c: place(c, cType), residual: place(residual, cType) };
  const biasBuffer = device.upload(bias);
  const [first, end] = shape.range ?? [0, K];
  const skipped = (along: boolean, matrix: Matrix) =>
    BigInt(first * 2 * (along ? 1 : leading(matrix.columns, shape.rows)));
  ownGemm.gemm(device, {
    c: placed.c.address,
    cType,
    a: placed.a.address + skipped(!transposeA, a),
    b: placed.b.address + skipped(transposeB, b),
    M,
    N,
    K: end - first,
    lda: leading(a.columns, shape.rows),
    ldb: leading(b.columns, shape.rows),
    ldc,
    transposeA,
    transposeB,
    alpha: shape.alpha ?? 1,
    accumulate: shape.accumulate ?? false,
    bias: shape.bias ? biasBuffer.address : undefined,
    residual: shape.residual ? placed.residual.address : undefined,
    tile: shape.tile,
  });
  device.endOperation();
  const bits = device.download(placed.c.buffer);
  const padded = bits instanceof Uint16Array ? fromBf16(bits) : Float32Array.from(bits);
  for (const { buffer } of Object.values(placed)) device.free(buffer);
  device.free(biasBuffer);
  padded.forEach((value, at) => {
    const isPadding = at < offset || (at - offset) % ldc >= N;
    if (isPadding && !Number.isNaN(value)) throw new Error(`the product wrote outside of the matrix, at element ${at}`);
  });
  const result = new Float32Array(M * N);
  for (let i = 0; i < M; i++) result.set(padded.subarray(offset + i * ldc, offset + i * ldc + N), i * N);
  return result;
}

/** What a product with several splits must be, bit by bit: each split computed apart, and added in order in f32. */
export function sumOfSplits(device: SimulatorLauncher, shape: GemmCase): Float32Array {
  const { K, tile } = shape;
  const perSplit = Math.ceil(K / 32 / tile!.splits) * 32;
  let total: Float32Array | undefined;
  for (let first = 0; first < K; first += perSplit) {
    const range: [number, number] = [first, Math.min(first + perSplit, K)];
    const part = runGemm(device, { ...shape, tile: { ...tile!, splits: 1 }, range });
    total = total ? total.map((sum, i) => sum + part[i]!) : part;
  }
  return total!;
}

/**
 * The largest difference from the product in double precision, in units of what is allowed: half a unit in the last place of
 * the result, and rounding errors of f32 sums. Infinity for a NaN.
 */
export function gemmError(shape: GemmCase, result: Float32Array): number {
  const { M, N, K, transposeA = false, transposeB = false, cType = "bf16", alpha = 1 } = shape;
  const { a, b, c, residual, bias } = operandsOf(shape);
  let worst = 0;
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      let sum = 0;
      let magnitude = 0;
      for (let k = 0; k < K; k++) {
        const x = transposeA ? a.values[k * M + i]! : a.values[i * K + k]!;
        const y = transposeB ? b.values[j * K + k]! : b.values[k * N + j]!;
        sum += x * y;
        magnitude += Math.abs(x * y);
      }
      const at = i * N + j;
      const terms = [
        shape.bias ? bias[j]! : 0,
        shape.residual ? residual.values[at]! : 0,
        shape.accumulate ? c.values[at]! : 0,
      ];
      const exact = alpha * sum + terms.reduce((total, term) => total + term, 0);
      magnitude = Math.abs(alpha) * magnitude + terms.reduce((total, term) => total + Math.abs(term), 0);
      const allowed = magnitude * 2 ** -19 + Math.abs(exact) * (cType === "bf16" ? 2 ** -8 : 2 ** -23) + 1e-30;
      const error = Math.abs(result[at]! - exact) / allowed;
      if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
    }
  }
  return worst;
}

function operandsOf({ M, N, K, transposeA, transposeB, cType = "bf16" }: GemmCase): Operands {
  const random = new CounterRandom(M * 1_000_003 + N * 1_009 + K, PURPOSE.sample);
  let drawn = 0;
  const matrix = (rows: number, columns: number, rounded: boolean): Matrix => {
    const values = Float32Array.from({ length: rows * columns }, () => random.uniform(drawn++) * 2 - 1);
    return { rows, columns, values: rounded ? fromBf16(toBf16(values)) : values };
  };
  return {
    a: transposeA ? matrix(K, M, true) : matrix(M, K, true),
    b: transposeB ? matrix(N, K, true) : matrix(K, N, true),
    c: matrix(M, N, cType === "bf16"),
    residual: matrix(M, N, cType === "bf16"),
    bias: matrix(1, N, false).values,
  };
}

function leading(columns: number, rows: GemmCase["rows"] = "aligned"): number {
  return { dense: columns, aligned: Math.ceil(columns / 8) * 8 + 8, odd: columns + 3 }[rows];
}

/** Memory with NaNs before the first element and between the rows, which must reach no result. */
function laidOut({ rows, columns, values }: Matrix, dtype: "bf16" | "f32", ld: number, offset: number) {
  const padded = new Float32Array(offset + rows * ld).fill(Number.NaN);
  for (let i = 0; i < rows; i++) padded.set(values.subarray(i * columns, (i + 1) * columns), offset + i * ld);
  return dtype === "bf16" ? toBf16(padded) : padded;
}
