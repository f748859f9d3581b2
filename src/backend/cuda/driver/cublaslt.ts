// Matrix products by cuBLASLt, where the user's machine has it (cuBLAS documentation, section 3): the operations behind
// `GemmProvider`, in the library's column-major terms, with one algorithm per shape that is chosen once.

import { UserError } from "../../../util/errors.ts";
import { HostBlock, type NativeFunction, type NativeLibrary, type NativeNumber } from "./api.ts";
import { openLibrary } from "./locate.ts";

/** Arguments as in api.ts; `l` is int64. */
const SIGNATURES = {
  cublasLtCreate: "p",
  cublasLtDestroy: "p",
  cublasLtMatmulDescCreate: "pii",
  cublasLtMatmulDescDestroy: "p",
  cublasLtMatmulDescSetAttribute: "pipp",
  cublasLtMatrixLayoutCreate: "pippl",
  cublasLtMatrixLayoutDestroy: "p",
  cublasLtMatmulPreferenceCreate: "p",
  cublasLtMatmulPreferenceDestroy: "p",
  cublasLtMatmulPreferenceSetAttribute: "pipp",
  cublasLtMatmulAlgoGetHeuristic: "pppppppipp",
  cublasLtMatmulAlgoConfigGetAttribute: "pippp",
  cublasLtMatmul: "pppppppppppppppp",
} as const;

type Name = keyof typeof SIGNATURES;

// Values of the enumerations in cublasLt.h and library_types.h.
const COMPUTE_32F = 68;
const REAL_32F = 0;
const REAL_16BF = 14;
const TRANSPOSE = 1;
const DESC = { transA: 3, transB: 4 } as const;
const PREFERENCE = {
  workspaceBytes: 1,
  reductionSchemes: 3,
  alignmentA: 5,
  alignmentB: 6,
  alignmentC: 7,
  alignmentD: 8,
};
/**
 * Partial sums of a split product go to the workspace and are added in a fixed order (CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
 * the schemes that add up in the result as blocks arrive are left out.
 */
const REDUCTION_IN_WORKSPACE = 2;

/** sizeof(cublasLtMatmulHeuristicResult_t): the algorithm, the bytes of its workspace, and a status that says whether it can be used. */
const RESULT_BYTES = 96;
const ALGORITHM_BYTES = 64;
const RESULT_STATE = 72;
const MOST_ALGORITHMS = 16;
/**
 * Sizes of the attributes of an algorithm's configuration, in the order of their numbers: id, tile, split of k, reduction scheme,
 * swizzling, custom option, stages, inner shape, cluster shape. Older libraries lack the last ones.
 */
const CONFIGURATION_BYTES = [4, 4, 4, 4, 4, 4, 4, 2, 2];
export const CUBLASLT_WORKSPACE_BYTES = 32 << 20;

/** A product in column-major terms: D (m, n) = alpha op(A) op(B) + beta C, where op(A) is (m, k) and op(B) is (k, n). */
export interface LtShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly lda: number;
  readonly ldb: number;
  /** Of C and D. */
  readonly ldd: number;
  readonly resultType: "bf16" | "f32";
  /** Least common alignment of each matrix, bytes. */
  readonly alignments: readonly [a: number, b: number, c: number, d: number];
}

/** A shape whose algorithms are known. Descriptors live until the library is closed. */
export interface LtPlan {
  readonly shape: LtShape;
  /** How many algorithms the library offers, its own favourite first. */
  readonly algorithms: number;
  /** Workspace of an algorithm, bytes. */
  workspaceBytes(algorithm: number): number;
  /** What the algorithm is made of, `66.20.1.0.0.0.35.0.2`; stable within a version of the library. */
  algorithmId(algorithm: number): string;
  /** Queues the product. `c` is read only where beta is not 0; all are device addresses. */
  run(algorithm: number, call: LtCall): void;
}

export interface LtCall {
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
  readonly d: bigint;
  readonly alpha: number;
  readonly beta: number;
  readonly workspace: bigint;
  readonly stream: bigint;
}

export interface CublasLt {
  /** The file it was loaded from. */
  readonly file: string;
  /** `13.1.0`. */
  readonly version: string;
  /** Undefined where the library has no algorithm for the shape under these rules. */
  plan(shape: LtShape): LtPlan | undefined;
  close(): void;
}

/** The library's version from its own number: 120803 is 12.8.3. */
export function cublasVersion(number: number): string {
  return `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}.${number % 100}`;
}

/** Found and loaded, without a handle: planning asks for the version only. */
export function findCublasLt(
  driverVersion: number,
): { readonly library: NativeLibrary; readonly file: string; readonly version: string } | { readonly reason: string } {
  const opened = openLibrary("cublasLt", Math.floor(driverVersion / 1000));
  if (!opened.library) return { reason: opened.reason };
  const { library, file } = opened;
  const getVersion = library.bind("cublasLtGetVersion", "", "p");
  if (!getVersion) return { reason: `${file} exports no cublasLtGetVersion` };
  return { library, file, version: cublasVersion(Number(getVersion())) };
}

/** The library with a handle on the current context, or the reason why there is none. */
export function openCublasLt(driverVersion: number): CublasLt | { readonly reason: string } {
  const found = findCublasLt(driverVersion);
  if ("reason" in found) return found;
  const functions = {} as Record<Name, NativeFunction>;
  for (const [name, types] of Object.entries(SIGNATURES)) {
    const bound = found.library.bind(name, types);
    if (!bound) return { reason: `${found.file} exports no ${name}` };
    functions[name as Name] = bound;
  }
  const out = new HostBlock(512);
  const status = functions.cublasLtCreate(out.address);
  if (status !== 0) return { reason: `${found.file}: cublasLtCreate returned ${status}` };
  return new LoadedCublasLt(found.file, found.version, functions, out.view.getBigUint64(0, true));
}

class LoadedCublasLt implements CublasLt {
  private readonly out = new HostBlock(512);
  private readonly results = new HostBlock(MOST_ALGORITHMS * RESULT_BYTES);
  private readonly created: [destroy: Name, handle: bigint][] = [];

  constructor(
    readonly file: string,
    readonly version: string,
    private readonly functions: Readonly<Record<Name, NativeFunction>>,
    private readonly handle: bigint,
  ) {}

  plan(shape: LtShape): LtPlan | undefined {
    const { m, n, k, transposeA, transposeB } = shape;
    const description = this.make("cublasLtMatmulDescCreate", "cublasLtMatmulDescDestroy", COMPUTE_32F, REAL_32F);
    if (transposeA) this.set("cublasLtMatmulDescSetAttribute", description, DESC.transA, TRANSPOSE);
    if (transposeB) this.set("cublasLtMatmulDescSetAttribute", description, DESC.transB, TRANSPOSE);
    const a = transposeA ? this.layout(REAL_16BF, k, m, shape.lda) : this.layout(REAL_16BF, m, k, shape.lda);
    const b = transposeB ? this.layout(REAL_16BF, n, k, shape.ldb) : this.layout(REAL_16BF, k, n, shape.ldb);
    const d = this.layout(shape.resultType === "bf16" ? REAL_16BF : REAL_32F, m, n, shape.ldd);
    const count = this.choose(shape, description, a, b, d);
    if (count === 0) return undefined;
    // The results' memory is used again by the next shape: this one keeps its own copy.
    const algorithms = new HostBlock(count * RESULT_BYTES);
    const bytes = count * RESULT_BYTES;
    new Uint8Array(algorithms.view.buffer).set(new Uint8Array(this.results.view.buffer, 0, bytes));
    const factors = new HostBlock(64);
    const { functions, handle } = this;
    return {
      shape,
      algorithms: count,
      workspaceBytes: (index) => Number(algorithms.view.getBigUint64(index * RESULT_BYTES + ALGORITHM_BYTES, true)),
      algorithmId: (index) => this.describe(algorithms.address + BigInt(index * RESULT_BYTES)),
      run: (index, call) => {
        factors.view.setFloat32(0, call.alpha, true);
        factors.view.setFloat32(4, call.beta, true);
        const workspaceBytes = algorithms.view.getBigUint64(index * RESULT_BYTES + ALGORITHM_BYTES, true);
        const algorithm = algorithms.address + BigInt(index * RESULT_BYTES);
        const [alpha, beta] = [factors.address, factors.address + 4n];
        const operands = [alpha, call.a, a, call.b, b, beta, call.c, d, call.d, d];
        const scratch = [algorithm, call.workspace, workspaceBytes, call.stream];
        const status = functions.cublasLtMatmul(handle, description, ...operands, ...scratch);
        if (status !== 0) throw refused("cublasLtMatmul", status, shape);
      },
    };
  }

  close(): void {
    for (const [destroy, handle] of this.created.splice(0)) this.functions[destroy](handle);
    this.functions.cublasLtDestroy(this.handle);
  }

  /**
   * Asks the library for algorithms under our rules; they lie in `results` afterwards. Never while a stream is captured: in that of
   * CUDA 13.3 the question then fails, whichever stream it is.
   */
  private choose(shape: LtShape, description: bigint, a: bigint, b: bigint, d: bigint): number {
    const preference = this.make("cublasLtMatmulPreferenceCreate", "cublasLtMatmulPreferenceDestroy");
    const set = "cublasLtMatmulPreferenceSetAttribute" as const;
    this.set(set, preference, PREFERENCE.workspaceBytes, CUBLASLT_WORKSPACE_BYTES, 8);
    this.set(set, preference, PREFERENCE.reductionSchemes, REDUCTION_IN_WORKSPACE);
    const { alignmentA, alignmentB, alignmentC, alignmentD } = PREFERENCE;
    for (const [i, attribute] of [alignmentA, alignmentB, alignmentC, alignmentD].entries()) {
      this.set(set, preference, attribute, shape.alignments[i]!);
    }
    const { results, out } = this;
    const query = [description, a, b, d, d, preference];
    const status = this.functions.cublasLtMatmulAlgoGetHeuristic(
      this.handle,
      ...query,
      MOST_ALGORITHMS,
      results.address,
      out.address,
    );
    const count = status === 0 ? out.view.getInt32(0, true) : 0;
    const states = Array.from({ length: count }, (_, i) =>
      results.view.getInt32(i * RESULT_BYTES + RESULT_STATE, true),
    );
    const unusable = states.findIndex((state) => state !== 0);
    return unusable < 0 ? count : unusable;
  }

  /** The algorithm's configuration as the library numbers it. */
  private describe(algorithm: bigint): string {
    const { out } = this;
    const fields = CONFIGURATION_BYTES.map((bytes, attribute) => {
      out.view.setBigUint64(0, 0n, true);
      const args = [algorithm, attribute, out.address, bytes, out.address + 8n];
      const status = this.functions.cublasLtMatmulAlgoConfigGetAttribute(...args);
      return status === 0 ? out.view.getUint32(0, true) : "-";
    });
    return fields.join(".");
  }

  private layout(type: number, rows: number, columns: number, leading: number): bigint {
    return this.make("cublasLtMatrixLayoutCreate", "cublasLtMatrixLayoutDestroy", type, rows, columns, leading);
  }

  private make(create: Name, destroy: Name, ...args: NativeNumber[]): bigint {
    const status = this.functions[create](this.out.address, ...args);
    if (status !== 0) throw refused(create, status);
    const handle = this.out.view.getBigUint64(0, true);
    this.created.push([destroy, handle]);
    return handle;
  }

  private set(name: Name, target: bigint, attribute: number, value: number, bytes: 4 | 8 = 4): void {
    this.out.view.setBigUint64(0, BigInt(value), true);
    const status = this.functions[name](target, attribute, this.out.address, bytes);
    if (status !== 0) throw refused(name, status);
  }
}

function refused(call: string, status: number, shape?: LtShape): UserError {
  const which = shape ? ` of ${shape.m} x ${shape.n} x ${shape.k}` : "";
  return new UserError(`cuBLASLt refused ${call}${which} with status ${status}.`, {
    code: "CUBLASLT",
    hint: "Set STLM_CUDA_GEMM=own to use the product's own kernels instead.",
    exitCode: 1,
  });
}
