// c = alpha op(a) op(b) [+ bias] [+ residual] [+ c]: bf16 operands, f32 sums on tensor cores, c bf16 or f32 (launch/gemm.ts chooses).
// a: (M, K), or (K, M) where transposed; b: (K, N), or (N, K) where transposed; rows of lda, ldb, ldc elements.
// A block computes BM x BN of c with warps of WM x WN, over a pipeline of three stages of GEMM_K filled by cp.async. Grid: tiles of c,
// by splits of K. With several splits each writes its sums to a part of an f32 workspace, and gemm_split_sum adds them up in order.
#include "gemm-epilogue.cuh"
#include "gemm-operand.cuh"

constexpr int GEMM_STAGES = 3;
/** So many rows of tiles are worked on together, so that their operands stay in the L2 cache. */
constexpr int GEMM_GROUP = 8;

struct TileIndex {
  int m, n;
};

/** Tiles in bands of GEMM_GROUP rows, down each column of a band first. */
__device__ __forceinline__ TileIndex tile_of_block(int rows, int columns) {
  const int band = GEMM_GROUP * columns, top = blockIdx.x / band * GEMM_GROUP, within = blockIdx.x % band;
  const int height = min(rows - top, GEMM_GROUP);
  return {top + within % height, within / height};
}

template <int BM, int BN, int WM, int WN, bool TA, bool TB, bool ALIGNED>
__device__ __forceinline__ void gemm(const bf16* a, const bf16* b, Epilogue epilogue, int K, int lda, int ldb, int k_per_split) {
  constexpr int threads = (BM / WM) * (BN / WN) * 32, MI = WM / 16, NI = WN / 8;
  typedef Operand<BM, true, !TA, ALIGNED, threads> A;
  typedef Operand<BN, false, TB, ALIGNED, threads> B;
  constexpr int stage_bytes = A::Tile::bytes + B::Tile::bytes;
  DYN_SMEM(shared);

  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const TileIndex tile = tile_of_block((epilogue.M + BM - 1) / BM, (epilogue.N + BN - 1) / BN);
  const int m0 = tile.m * BM, n0 = tile.n * BN, warp_m = warp / (BN / WN) * WM, warp_n = warp % (BN / WN) * WN;
  const A operand_a(a, lda, m0, epilogue.M);
  const B operand_b(b, ldb, n0, epilogue.N);
  const int k_begin = blockIdx.z * k_per_split, k_end = min(k_begin + k_per_split, K);
  const int steps = (k_end - k_begin + GEMM_K - 1) / GEMM_K;

  // Step t lies in stage t % GEMM_STAGES. A group is committed for every step, also beyond the last, so that counting works.
  const auto fetch = [&](int step) {
    unsigned char* stage = shared + step % GEMM_STAGES * stage_bytes;
    if (step < steps) {
      operand_a.fetch(stage, k_begin + step * GEMM_K, k_end);
      operand_b.fetch(stage + A::Tile::bytes, k_begin + step * GEMM_K, k_end);
    }
    cp_async_commit();
  };
  // Fragments of 16 of k, twice: one set is loaded while the other is multiplied.
  u32 fragments_a[2][MI][4], fragments_b[2][NI / 2][4];
  const auto load_fragments = [&](int set, int step, int k) {
    const unsigned char* stage = shared + step % GEMM_STAGES * stage_bytes;
#pragma unroll
    for (int i = 0; i < MI; i++) A::fragment(fragments_a[set][i], stage, warp_m + i * 16, k);
#pragma unroll
    for (int j = 0; j < NI / 2; j++) B::fragment(fragments_b[set][j], stage + A::Tile::bytes, warp_n + j * 16, k);
  };

  float sums[MI][NI][4] = {};
  const auto multiply = [&](int set) {
#pragma unroll
    for (int i = 0; i < MI; i++) {
#pragma unroll
      for (int j = 0; j < NI; j++) {
        const u32(&pair)[4] = fragments_b[set][j / 2];
        mma_bf16(sums[i][j], fragments_a[set][i], pair[j % 2 * 2], pair[j % 2 * 2 + 1]);
      }
    }
  };

#pragma unroll
  for (int step = 0; step < GEMM_STAGES - 1; step++) fetch(step);
  cp_async_wait<GEMM_STAGES - 2>();
  __syncthreads();
  load_fragments(0, 0, 0);
  for (int step = 0; step < steps; step++) {
    load_fragments(1, step, 16);
    // Into the stage of the step before, which all warps have read: its last fragments were loaded before the barrier below.
    fetch(step + GEMM_STAGES - 1);
    multiply(0);
    cp_async_wait<GEMM_STAGES - 2>();
    __syncthreads();  // now every thread's copies for the next step have arrived
    load_fragments(0, step + 1, 0);
    multiply(1);
  }

  // Sums go through shared memory, 16 rows of a warp at a time, so that a thread holds 8 neighbours and stores them at once. All
  // copies have arrived, since the groups beyond the last step are empty; other warps may still load fragments of that step, which
  // nobody uses, and which would be a race if only in name.
  __syncthreads();
  constexpr int pitch = WN + 8;  // floats; the rows of a fragment then start 8 banks apart
  float* slab = (float*)shared + warp * 16 * pitch;
  if (gridDim.z > 1) epilogue.c = (float*)epilogue.c + (size_t)blockIdx.z * epilogue.M * epilogue.ldc;
#pragma unroll
  for (int i = 0; i < MI; i++) {
#pragma unroll
    for (int j = 0; j < NI; j++) {
      float* at = slab + (lane >> 2) * pitch + j * 8 + (lane & 3) * 2;
      store8(at, make_uint2(__float_as_uint(sums[i][j][0]), __float_as_uint(sums[i][j][1])));
      store8(at + 8 * pitch, make_uint2(__float_as_uint(sums[i][j][2]), __float_as_uint(sums[i][j][3])));
    }
    __syncwarp();
#pragma unroll 1  // or this code, already there MI times, would be most of the kernel
    for (int item = lane; item < 16 * WN / 8; item += 32) {
      const int row = item / (WN / 8), column = item % (WN / 8) * 8;
      const uint4 first = load16(slab + row * pitch + column), second = load16(slab + row * pitch + column + 4);
      float v[8] = {__uint_as_float(first.x),  __uint_as_float(first.y),  __uint_as_float(first.z),  __uint_as_float(first.w),
                    __uint_as_float(second.x), __uint_as_float(second.y), __uint_as_float(second.z), __uint_as_float(second.w)};
      epilogue.finish(v, m0 + warp_m + i * 16 + row, n0 + warp_n + column);
    }
    __syncwarp();  // before the next 16 rows overwrite the slab
  }
}

// RESIDENT blocks share a multiprocessor's registers: without it the compiler may take fewer than fit, and spill.
#define GEMM(name, BM, BN, WM, WN, RESIDENT, TA, TB, ALIGNED)                                                                    \
  extern "C" __global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, RESIDENT)                                             \
      name(const bf16* a, const bf16* b, void* c, const float* bias, const void* residual, int M, int N, int K, int lda, int ldb, \
           int ldc, int k_per_split, float alpha, int flags) {                                                                   \
    const Epilogue epilogue = {c, bias, residual, M, N, ldc, alpha, flags};                                                      \
    gemm<BM, BN, WM, WN, TA, TB, ALIGNED>(a, b, epilogue, K, lda, ldb, k_per_split);                                             \
  }

// Names: n or t for each operand as it is or transposed, then the tile.
GEMM(gemm_nn_128x128, 128, 128, 64, 64, 2, false, false, true)
GEMM(gemm_nt_128x128, 128, 128, 64, 64, 2, false, true, true)
GEMM(gemm_tn_128x128, 128, 128, 64, 64, 2, true, false, true)
GEMM(gemm_nn_128x64, 128, 64, 64, 32, 3, false, false, true)
GEMM(gemm_nt_128x64, 128, 64, 64, 32, 3, false, true, true)
GEMM(gemm_tn_128x64, 128, 64, 64, 32, 3, true, false, true)
GEMM(gemm_nn_64x64, 64, 64, 32, 32, 4, false, false, true)
GEMM(gemm_nt_64x64, 64, 64, 32, 32, 4, false, true, true)
GEMM(gemm_tn_64x64, 64, 64, 32, 32, 4, true, false, true)
// For any address and leading dimension, element by element; the only ones where both operands are transposed, which no model needs.
GEMM(gemm_nn_any, 64, 64, 32, 32, 4, false, false, false)
GEMM(gemm_nt_any, 64, 64, 32, 32, 4, false, true, false)
GEMM(gemm_tn_any, 64, 64, 32, 32, 4, true, false, false)
GEMM(gemm_tt_any, 64, 64, 32, 32, 4, true, true, false)

/**
 * The splits' sums, added in their order, and what belongs to the end of the product. parts: (splits, M, ldp), ldp a multiple of 8.
 * A thread has 8 columns. Grid: (N / 8 / 128, M) rounded up; block 128.
 */
extern "C" __global__ void __launch_bounds__(128)
    gemm_split_sum(const float* parts, int splits, int ldp, void* c, const float* bias, const void* residual, int M, int N, int ldc,
                   float alpha, int flags) {
  const Epilogue epilogue = {c, bias, residual, M, N, ldc, alpha, flags};
  const int column = (blockIdx.x * 128 + threadIdx.x) * 8;
  if (column >= N) return;
  for (int row = blockIdx.y; row < M; row += gridDim.y) {
    float v[8] = {};
    for (int split = 0; split < splits; split++) {
      const float* part = parts + ((size_t)split * M + row) * ldp + column;
#pragma unroll
      for (int i = 0; i < 8; i += 4) {
        const uint4 q = load16(part + i);
        v[i] += __uint_as_float(q.x);
        v[i + 1] += __uint_as_float(q.y);
        v[i + 2] += __uint_as_float(q.z);
        v[i + 3] += __uint_as_float(q.w);
      }
    }
    epilogue.finish(v, row, column);
  }
}
