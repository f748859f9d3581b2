// The GEMM provider `cublaslt`: our row-major products in cuBLASLt's column-major terms. A row-major matrix is the transpose
// of the column-major one at the same address, so C = op(A) op(B) is computed as C^T = op(B)^T op(A)^T with the operands swapped.

import type { CublasLt, LtPlan, LtShape } from "../driver/cublaslt.ts";
import { formOf, type GemmArgs, type GemmProvider } from "../launch/gemm.ts";
import type { Launcher } from "../launcher.ts";

/** Elements of bf16 in 16 bytes: the library is fast where rows in memory are whole packets (cuBLAS documentation, Tensor Core Usage). */
const PACKET = 8;

export class CublasLtGemm implements GemmProvider {
  readonly name = "cublaslt";
  private readonly plans = new Map<string, LtPlan | undefined>();
  /** Shapes that were computed by the library's first algorithm. */
  private readonly computed = new Map<LtPlan, string>();

  constructor(
    private readonly library: CublasLt,
    /** Computes what the library is not asked for: products with a bias or without elements, and shapes it has no algorithm for. */
    private readonly fallback: GemmProvider,
  ) {}

  gemm(launcher: Launcher, args: GemmArgs): void {
    const { most, rest } = splitRows(args);
    const plan = this.plan(launcher, most);
    if (plan) {
      if (!this.computed.has(plan)) this.computed.set(plan, shapeOf(most));
      this.run(launcher, most, plan, 0);
    } else this.fallback.gemm(launcher, most);
    if (rest) this.fallback.gemm(launcher, rest);
  }

  /** What was computed so far by the library's own first choice: `1024x512x512 nt bf16 ...: 66.24...; ...`, sorted. */
  used(): string {
    const lines = [...this.computed].map(([plan, shape]) => `${shape}: cublaslt:${plan.algorithmId(0)}`);
    return lines.sort().join("; ");
  }

  /** The library's plan for a product, or undefined where the fallback has to compute it. */
  plan(launcher: Launcher, args: GemmArgs): LtPlan | undefined {
    const isEmpty = args.M === 0 || args.N === 0 || args.K === 0;
    const addsTwice = args.accumulate === true && args.residual !== undefined;
    if (!launcher.call || isEmpty || addsTwice || args.bias !== undefined) return undefined;
    const shape = columnMajor(args);
    const key = JSON.stringify(shape);
    if (!this.plans.has(key)) this.plans.set(key, this.library.plan(shape));
    return this.plans.get(key);
  }

  run(launcher: Launcher, args: GemmArgs, plan: LtPlan, algorithm: number): void {
    const added = args.accumulate ? args.c : args.residual;
    const workspaceBytes = plan.workspaceBytes(algorithm);
    const scratch = workspaceBytes > 0 ? launcher.workspace(workspaceBytes) : 0n;
    const alpha = args.alpha ?? 1;
    launcher.call?.({
      name: `cublasLtMatmul_${formOf(args)} ${args.M}x${args.N}x${args.K}`,
      addresses: [args.b, args.a, added ?? args.c, args.c, scratch],
      issue: ([a, b, c, d, workspace], stream) =>
        plan.run(algorithm, {
          a: a!,
          b: b!,
          c: c!,
          d: d!,
          alpha,
          beta: added === undefined ? 0 : 1,
          workspace: workspace!,
          stream,
        }),
    });
  }
}

/**
 * A product whose first operand is transposed, without the last rows that would make all others slow in the library, and those rows:
 * the gradient of a head of 50,257 words has one. Any other product whole.
 */
export function splitRows(args: GemmArgs): { readonly most: GemmArgs; readonly rest?: GemmArgs } {
  const odd = args.transposeA && args.lda % PACKET === 0 && args.M > PACKET ? args.M % PACKET : 0;
  if (odd === 0) return { most: args };
  const M = args.M - odd;
  const inResult = BigInt(M * args.ldc * (args.cType === "f32" ? 4 : 2));
  const residual = args.residual === undefined ? undefined : args.residual + inResult;
  const rest = { ...args, M: odd, a: args.a + BigInt(M * 2), c: args.c + inResult, residual };
  return { most: { ...args, M }, rest };
}

/** Everything that decides which algorithm is fastest: `4096x512x1536 nt bf16 ld 1536 1536 512`. */
export function shapeOf(args: GemmArgs): string {
  const added = args.accumulate ? " accumulated" : args.residual === undefined ? "" : " residual";
  const bias = args.bias === undefined ? "" : " bias";
  const { M, N, K, lda, ldb, ldc, cType } = args;
  return `${M}x${N}x${K} ${formOf(args)} ${cType} ld ${lda} ${ldb} ${ldc}${added}${bias}`;
}

/** The product as the library sees it: its A is our b, its B is our a, and its m counts our columns. */
export function columnMajor(args: GemmArgs): LtShape {
  const added = args.accumulate ? args.c : (args.residual ?? args.c);
  return {
    m: args.N,
    n: args.M,
    k: args.K,
    transposeA: args.transposeB,
    transposeB: args.transposeA,
    lda: args.ldb,
    ldb: args.lda,
    ldd: args.ldc,
    resultType: args.cType,
    alignments: [alignmentOf(args.b), alignmentOf(args.a), alignmentOf(added), alignmentOf(args.c)],
  };
}

/** The largest power of two up to 256 that divides an address; memory of a recording keeps it wherever it is put. */
function alignmentOf(address: bigint): number {
  const low = Number(address & 255n);
  return low === 0 ? 256 : low & -low;
}
