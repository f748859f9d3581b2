// The GEMM provider `tuned`: for each shape the fastest of our tiles and the library's algorithms, by the GPU's own clock.

import type { LtPlan } from "../driver/cublaslt.ts";
import { type GemmArgs, type GemmProvider, gemmCandidates, ownGemm } from "../launch/gemm.ts";
import type { Launcher } from "../launcher.ts";
import { type CublasLtGemm, shapeOf, splitRows } from "./cublaslt.ts";
import type { GemmTable } from "./table.ts";

const MOST_CANDIDATES = 8;

export interface TuningBench {
  /** Queues at once, whatever is recorded. */
  readonly launcher: Launcher;
  /** Memory for the length of `use`. */
  scratch<T>(bytes: readonly number[], use: (addresses: readonly bigint[]) => T): T;
  /** Milliseconds of `work` on the GPU: a median, without the time that its calls take. `work` is run many times. */
  time(work: () => void): number;
}

interface Candidate {
  readonly name: string;
  run(launcher: Launcher, args: GemmArgs): void;
}

export class TunedGemm implements GemmProvider {
  readonly name = "tuned";

  constructor(
    private readonly library: CublasLtGemm | undefined,
    private readonly table: GemmTable,
    private readonly bench: TuningBench,
  ) {}

  gemm(launcher: Launcher, args: GemmArgs): void {
    if (args.M === 0 || args.N === 0) return;
    const { most, rest } = this.library ? splitRows(args) : { most: args };
    this.fastest(launcher, most);
    if (rest) ownGemm.gemm(launcher, rest);
  }

  private fastest(launcher: Launcher, args: GemmArgs): void {
    const candidates = this.candidates(launcher, args);
    const shape = shapeOf(args);
    const { choice } = this.table.get(shape) ?? this.measure(shape, args, candidates);
    const chosen = candidates.find((candidate) => candidate.name === choice) ?? candidates[0]!;
    chosen.run(launcher, args);
  }

  private candidates(launcher: Launcher, args: GemmArgs): Candidate[] {
    const plan = this.library?.plan(launcher, args);
    return [...this.tiles(launcher, args), ...(plan === undefined ? [] : this.algorithms(plan))];
  }

  private tiles(launcher: Launcher, args: GemmArgs): Candidate[] {
    const tiles = gemmCandidates(args, launcher.multiprocessors).slice(0, MOST_CANDIDATES);
    return tiles.map((tile) => ({
      name: `own:${tile.shape}/${tile.splits}`,
      run: (to, call) => ownGemm.gemm(to, { ...call, tile }),
    }));
  }

  private algorithms(plan: LtPlan): Candidate[] {
    return Array.from({ length: Math.min(plan.algorithms, MOST_CANDIDATES) }, (_, index) => ({
      name: `cublaslt:${plan.algorithmId(index)}`,
      run: (to: Launcher, call: GemmArgs) => this.library!.run(to, call, plan, index),
    }));
  }

  private measure(shape: string, args: GemmArgs, candidates: readonly Candidate[]) {
    const elementBytes = args.cType === "f32" ? 4 : 2;
    // A bias is read as well: any N floats will do.
    const rows = { a: args.transposeA ? args.K : args.M, b: args.transposeB ? args.N : args.K };
    const sizes = [rows.a * args.lda * 2, rows.b * args.ldb * 2, args.M * args.ldc * elementBytes, args.N * 4];
    return this.bench.scratch(sizes, ([a, b, c, bias]) => {
      const { accumulate, residual } = args;
      const added = accumulate || residual === undefined ? undefined : c!;
      const call = { ...args, a: a!, b: b!, c: c!, residual: added, bias: args.bias === undefined ? undefined : bias! };
      const milliseconds: Record<string, number> = {};
      for (const { name, run } of candidates)
        milliseconds[name] = this.bench.time(() => run(this.bench.launcher, call));
      const [choice] = Object.entries(milliseconds).reduce((best, entry) => (entry[1] < best[1] ? entry : best));
      return this.table.add(shape, { choice, milliseconds });
    });
  }
}
