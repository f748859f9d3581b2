// Faults that are easy to make in a kernel and hard to see on a GPU, as replacements in the sources. Each must be noticed by the
// comparison with the reference under all schedules; the mutation test plants them one at a time.

export interface Fault {
  readonly what: string;
  /** The source that is changed; the kernel file that is compiled is this or includes it. */
  readonly source: string;
  readonly find: string;
  readonly replace: string;
}

export const GEMM_FAULTS: readonly Fault[] = [
  {
    what: "no barrier after the wait in the loop",
    source: "gemm.cu",
    find: "__syncthreads();  // now every thread's copies",
    replace: "// now every thread's copies",
  },
  {
    what: "a wait that leaves the next step's group pending",
    source: "gemm.cu",
    find: "    cp_async_wait<GEMM_STAGES - 2>();\n    __syncthreads();  // now",
    replace: "    cp_async_wait<GEMM_STAGES - 1>();\n    __syncthreads();  // now",
  },
  {
    what: "no barrier before the first fragments",
    source: "gemm.cu",
    find: "__syncthreads();\n  load_fragments(0, 0, 0);",
    replace: "load_fragments(0, 0, 0);",
  },
  {
    what: "a first wait that leaves the first group pending",
    source: "gemm.cu",
    find: "cp_async_wait<GEMM_STAGES - 2>();\n  __syncthreads();",
    replace: "cp_async_wait<GEMM_STAGES - 1>();\n  __syncthreads();",
  },
  {
    what: "no group for steps beyond the last",
    source: "gemm.cu",
    find: "    }\n    cp_async_commit();",
    replace: "      cp_async_commit();\n    }",
  },
  {
    what: "a stage filled while it is still read",
    source: "gemm.cu",
    find: "step % GEMM_STAGES * stage_bytes;\n    if (step < steps)",
    replace: "(step + 1) % 2 * stage_bytes;\n    if (step < steps)",
  },
  {
    what: "the second half of a step multiplied with the first half's fragments",
    source: "gemm.cu",
    find: "multiply(1);",
    replace: "multiply(0);",
  },
  {
    what: "the last incomplete step left out",
    source: "gemm.cu",
    find: "(k_end - k_begin + GEMM_K - 1) / GEMM_K",
    replace: "(k_end - k_begin) / GEMM_K",
  },
  {
    what: "no warp barrier before the slab is read",
    source: "gemm.cu",
    find: "    __syncwarp();\n#pragma unroll 1",
    replace: "#pragma unroll 1",
  },
  {
    what: "no warp barrier before the slab is overwritten",
    source: "gemm.cu",
    find: "__syncwarp();  // before the next",
    replace: "// before the next",
  },
  {
    what: "splits added in the opposite order",
    source: "gemm.cu",
    find: "for (int split = 0; split < splits; split++)",
    replace: "for (int split = splits - 1; split >= 0; split--)",
  },
  {
    what: "tiles computed twice, others never",
    source: "gemm.cu",
    find: "{top + within % height, within / height}",
    replace: "{top + within % height, within % columns}",
  },
  {
    what: "ldmatrix rows in the order of the other operand",
    source: "gemm-operand.cuh",
    find: "IS_A == K_CONTIGUOUS",
    replace: "IS_A != K_CONTIGUOUS",
  },
  {
    what: "ldmatrix rows off by one",
    source: "gemm-operand.cuh",
    find: "lane & 15",
    replace: "(lane + 1) & 15",
  },
  {
    what: "one element too many at the end of k along a row",
    source: "gemm-operand.cuh",
    find: "origin, k_end - column)",
    replace: "origin, k_end - column + 1)",
  },
  {
    what: "one row too many at the end of k down the rows",
    source: "gemm-operand.cuh",
    find: "k + row < k_end",
    replace: "k + row <= k_end",
  },
  {
    what: "a row of the result too many",
    source: "gemm-epilogue.cuh",
    find: "row >= M",
    replace: "row > M",
  },
  {
    what: "a column of the result too many",
    source: "gemm-epilogue.cuh",
    find: "const int count = N - column;",
    replace: "const int count = N - column + 1;",
  },
];

export const ATTENTION_FAULTS: readonly Fault[] = [
  {
    what: "no barrier before a tile of keys is overwritten",
    source: "attention.cu",
    find: "multiply_add<BK, HD>(sum, s, values[i & 1]);\n    __syncthreads();",
    replace: "multiply_add<BK, HD>(sum, s, values[i & 1]);",
  },
  {
    what: "no barrier after a tile has arrived",
    source: "attention.cu",
    find: "cp_async_wait<1>();\n    __syncthreads();",
    replace: "cp_async_wait<1>();",
  },
  {
    what: "a wait that leaves the tile pending",
    source: "attention.cu",
    find: "cp_async_wait<1>();",
    replace: "cp_async_wait<2>();",
  },
  {
    what: "a causal mask that is off by one",
    source: "attention.cu",
    find: "(e & 1) > row + g + 8 * (e >> 1)",
    replace: "(e & 1) >= row + g + 8 * (e >> 1)",
  },
];

export const NORM_FAULTS: readonly Fault[] = [
  {
    what: "no barrier before the warps' sums are added up",
    source: "rms-norm.cu",
    find: "  __syncthreads();\n  for (int c = threadIdx.x; c < C;",
    replace: "  for (int c = threadIdx.x; c < C;",
  },
  {
    what: "no barrier before partial sums are added up",
    source: "reductions.cu",
    find: "sums[group][lane] = sum;\n  __syncthreads();",
    replace: "sums[group][lane] = sum;",
  },
];
