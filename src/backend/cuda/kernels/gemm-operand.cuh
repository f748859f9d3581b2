// One operand of a matrix product on its way from global to shared memory to tensor core fragments.
#ifndef STLM_GEMM_OPERAND
#define STLM_GEMM_OPERAND

#include "prelude.cuh"

/** Columns of a times rows of b that one stage of the pipeline holds. */
constexpr int GEMM_K = 32;

/**
 * ROWS x COLS bf16 in shared memory, rows one after another, in chunks of 16 bytes. The chunks of a row change places with the
 * row's number (`turn`), so that eight rows at one chunk, which ldmatrix reads together, lie in different banks; and so do the
 * chunks that eight neighbouring threads of cp.async write.
 */
template <int ROWS, int COLS>
struct SharedTile {
  static constexpr int chunks = COLS / 8;
  static constexpr int bytes = ROWS * COLS * 2;
  static_assert(chunks == 4 || chunks % 8 == 0, "a row is 64 bytes or a multiple of 128");

  /** Where chunk `chunk` of row `base + row` lies. `base`, a multiple of 8, does not change the turn. */
  static __device__ __forceinline__ int offset(int base, int row, int chunk) {
    const int turn = chunks == 4 ? row >> 1 & 3 : row & 7;
    return ((base + row) * chunks + (chunk ^ turn)) * 16;
  }
};

/** Copies the first `count` (0..8; more and fewer are clamped) bf16 at p to a chunk and fills it with zeros. */
template <bool ALIGNED>
__device__ __forceinline__ void fetch_chunk(unsigned char* chunk, const bf16* p, const bf16* legal, int count) {
  if (ALIGNED) {
    cp_async16_zfill(chunk, count > 0 ? p : legal, min(max(count, 0), 8) * 2);
  } else {
    u32 pairs[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const u32 lo = 2 * i < count ? p[2 * i].x : 0, hi = 2 * i + 1 < count ? p[2 * i + 1].x : 0;
      pairs[i] = hi << 16 | lo;
    }
    store16(chunk, make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
  }
}

/**
 * EXTENT rows of op(a), or columns of op(b), by GEMM_K. In memory either k runs along a row (K_CONTIGUOUS: a, or b transposed) or
 * the rows of op(a) do; the shared tile has the shape of the memory, and ldmatrix transposes where the fragment needs it.
 * ALIGNED: the address and the leading dimension are multiples of 16 bytes.
 */
template <int EXTENT, bool IS_A, bool K_CONTIGUOUS, bool ALIGNED, int THREADS>
struct Operand {
  static constexpr int rows = K_CONTIGUOUS ? EXTENT : GEMM_K;
  typedef SharedTile<rows, K_CONTIGUOUS ? GEMM_K : EXTENT> Tile;

  const bf16* origin;  // element (first row or column of this block, k = 0)
  int ld;
  int extent;  // rows of op(a), or columns of op(b), from the origin on

  __device__ __forceinline__ Operand(const bf16* matrix, int ld, int first, int end)
      : origin(matrix + (K_CONTIGUOUS ? (size_t)first * ld : (size_t)first)), ld(ld), extent(end - first) {}

  /** Starts to fetch k..k+GEMM_K; beyond `k_end` there are zeros. Beyond `extent` anything may be: it reaches no result. */
  __device__ __forceinline__ void fetch(unsigned char* tile, int k, int k_end) const {
    const int chunk = threadIdx.x % Tile::chunks, first = threadIdx.x / Tile::chunks;
    constexpr int step = THREADS / Tile::chunks;
    static_assert(rows % step == 0 && step % 2 == 0, "every thread fetches as many chunks");
#pragma unroll
    for (int r = 0; r < rows; r += step) {
      const int row = first + r;
      unsigned char* target = tile + Tile::offset(0, row, chunk);
      if (K_CONTIGUOUS) {
        const int column = k + chunk * 8;
        fetch_chunk<ALIGNED>(target, origin + (size_t)min(row, extent - 1) * ld + column, origin, k_end - column);
      } else {
        const int count = k + row < k_end ? extent - chunk * 8 : 0;
        fetch_chunk<ALIGNED>(target, origin + (size_t)(k + row) * ld + chunk * 8, origin, count);
      }
    }
  }

  /** The fragment of 16 rows of op(a), or 16 columns of op(b) (two of mma's eight), from `at` on, by 16 of k from `k` on. */
  static __device__ __forceinline__ void fragment(u32 (&r)[4], const unsigned char* tile, int at, int k) {
    const int lane = threadIdx.x & 31;
    // The four 8x8 matrices in the order of mma's registers: for a first down the rows, for b first along k.
    constexpr bool rows_first = IS_A == K_CONTIGUOUS;
    const int row = rows_first ? lane & 15 : (lane & 7) + (lane >> 4) * 8;
    const int chunk = rows_first ? lane >> 4 : lane >> 3 & 1;
    if (K_CONTIGUOUS) {
      ldmatrix_x4(r, tile + Tile::offset(at, row, k / 8 + chunk));
    } else {
      ldmatrix_x4_trans(r, tile + Tile::offset(k, row, at / 8 + chunk));
    }
  }
};

#endif
