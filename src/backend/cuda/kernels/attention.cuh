// What the attention kernels share: tiles of keys and queries in shared memory, products of fragments with them, and the dropout
// bits of a fragment. A block of 128 works on 64 rows (queries, or keys in the gradient of keys and values), each warp on 16.
// Lane l = 4 g + t holds elements (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1) of every 16 x 8 fragment.
#ifndef STLM_ATTENTION
#define STLM_ATTENTION

#include "dropout.cuh"

#define LOG2E 1.4426950408889634f
/** Stands for minus infinity: differences of two such scores stay finite. */
#define MASKED -1e30f

/** Rows of HD columns, 16 bytes longer than they need: eight rows then lie in different banks. */
template <int ROWS, int HD>
struct Tile {
  bf16 v[ROWS][HD + 8];
};

/** Where heads lie in the packed projections; `wide` where rows can be read 16 bytes at a time. */
struct Heads {
  int T, H, Hkv, D;
  bool wide;
  __device__ __forceinline__ int stride() const { return (H + 2 * Hkv) * D; }
  __device__ __forceinline__ int key_head(int h) const { return h / (H / Hkv); }
  __device__ __forceinline__ int key_column(int head) const { return (H + head) * D; }
  __device__ __forceinline__ int value_column(int head) const { return (H + Hkv + head) * D; }
};

__device__ __forceinline__ Heads heads_of(const void* qkv, int T, int H, int Hkv, int D) {
  Heads a;
  a.T = T;
  a.H = H;
  a.Hkv = Hkv;
  a.D = D;
  a.wide = D % 8 == 0 && is_aligned16(qkv);
  return a;
}

/** Starts loading `rows` rows of D columns; the rest of the tile becomes zero. D is even. */
template <int ROWS, int HD>
__device__ __forceinline__ void load_tile(Tile<ROWS, HD>& tile, const bf16* from, int stride, int rows, const Heads& a) {
  for (int i = threadIdx.x; i < ROWS * HD / 8; i += 128) {
    const int r = i / (HD / 8), c = i % (HD / 8) * 8;
    if (a.wide) {
      const bool inside = r < rows && c < a.D;
      cp_async16_zfill(&tile.v[r][c], inside ? from + (u64)r * stride + c : from, inside ? 16 : 0);
    } else {
#pragma unroll
      for (int e = 0; e < 8; e += 2) {
        const bool inside = r < rows && c + e < a.D;
        store4(&tile.v[r][c + e], inside ? load4(from + (u64)r * stride + c + e) : 0);
      }
    }
  }
}

/** The first operand of products: 16 rows of HD columns, of which `rows` and D are there. */
template <int HD>
__device__ __forceinline__ void load_rows(u32 (&a)[HD / 16][4], const bf16* from, int stride, int rows, int D) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
  for (int k = 0; k < HD / 16; k++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int r = g + 8 * (e & 1), c = k * 16 + 2 * t + 8 * (e >> 1);
      a[k][e] = r < rows && c < D ? load4(from + (u64)r * stride + c) : 0;
    }
  }
}

/** s (16 x N) = a (16 x HD) tile^T, `a` held in registers. */
template <int N, int HD>
__device__ __forceinline__ void multiply_transposed(float (&s)[N / 8][4], const u32 (&a)[HD / 16][4], const Tile<N, HD>& tile) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int j = 0; j < N / 8; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
#pragma unroll
  for (int k = 0; k < HD / 16; k++) {
#pragma unroll
    for (int j = 0; j < N / 16; j++) {
      u32 b[4];
      ldmatrix_x4(b, &tile.v[j * 16 + (lane & 7) + ((lane >> 4) << 3)][k * 16 + ((lane >> 3) & 1) * 8]);
      mma_bf16(s[2 * j], a[k], b[0], b[1]);
      mma_bf16(s[2 * j + 1], a[k], b[2], b[3]);
    }
  }
}

/** The same with `a` in shared memory, from row `first` on: for heads so wide that registers are short. */
template <int N, int HD>
__device__ __forceinline__ void multiply_transposed(float (&s)[N / 8][4], const Tile<64, HD>& a, int first, const Tile<N, HD>& tile) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int j = 0; j < N / 8; j++) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
#pragma unroll
  for (int k = 0; k < HD / 16; k++) {
    u32 rows[4];
    ldmatrix_x4(rows, &a.v[first + (lane & 15)][k * 16 + (lane >> 4) * 8]);
#pragma unroll
    for (int j = 0; j < N / 16; j++) {
      u32 b[4];
      ldmatrix_x4(b, &tile.v[j * 16 + (lane & 7) + ((lane >> 4) << 3)][k * 16 + ((lane >> 3) & 1) * 8]);
      mma_bf16(s[2 * j], rows, b[0], b[1]);
      mma_bf16(s[2 * j + 1], rows, b[2], b[3]);
    }
  }
}

/** sum (16 x HD) += p (16 x N, rounded to bf16) tile. */
template <int N, int HD>
__device__ __forceinline__ void multiply_add(float (&sum)[HD / 8][4], const float (&p)[N / 8][4], const Tile<N, HD>& tile) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int k = 0; k < N / 16; k++) {
    const u32 a[4] = {pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
                      pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]), pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
    for (int n = 0; n < HD / 16; n++) {
      u32 b[4];
      ldmatrix_x4_trans(b, &tile.v[k * 16 + ((lane >> 3) & 1) * 8 + (lane & 7)][n * 16 + (lane >> 4) * 8]);
      mma_bf16(sum[2 * n], a, b[0], b[1]);
      mma_bf16(sum[2 * n + 1], a, b[2], b[3]);
    }
  }
}

/** Writes 16 rows, times `upper` for rows 0..7 and `lower` for rows 8..15, of which `rows` and D columns are there. */
template <int HD>
__device__ __forceinline__ void store_rows(bf16* to, int stride, const float (&sum)[HD / 8][4], float upper, float lower, int rows,
                                           int D) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
#pragma unroll
  for (int n = 0; n < HD / 8; n++) {
    const int c = n * 8 + 2 * t;
    if (c < D && g < rows) store4(to + (u64)g * stride + c, pack_bf16(sum[n][0] * upper, sum[n][1] * upper));
    if (c < D && g + 8 < rows) store4(to + (u64)(g + 8) * stride + c, pack_bf16(sum[n][2] * lower, sum[n][3] * lower));
  }
}

/** Sum and maximum over the four lanes that hold a row. */
__device__ __forceinline__ float row_sum(float x) {
  x += __shfl_xor_sync(FULL_WARP, x, 1);
  return x + __shfl_xor_sync(FULL_WARP, x, 2);
}
__device__ __forceinline__ float row_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 2));
}

/** Two neighbouring bits: which of two words keep their element. */
__device__ __forceinline__ u32 kept_bits(u32 a, u32 b, const Dropout& d) { return (a >= d.threshold) | (b >= d.threshold) << 1; }

/** Zero, or times keep, by the bits of kept_keys or kept_queries. */
template <int J>
__device__ __forceinline__ void drop_fragments(float (&s)[J][4], u32 kept, const Dropout& d) {
#pragma unroll
  for (int j = 0; j < J; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) s[j][e] = kept >> (4 * j + e) & 1 ? s[j][e] * d.keep : 0.0f;
  }
}

/**
 * Which of a lane's elements are kept, bit 4 j + e for element e of fragment j, where rows are queries and columns keys.
 * `upper` and `lower` are the dropout indices of column 0 in rows g and g + 8. Where all rows begin on a multiple of four, a block of
 * four words serves two lanes, so that of each two lanes one draws the even fragments and one the odd.
 */
template <int N>
__device__ __forceinline__ u32 kept_keys(u64 upper, u64 lower, bool whole_blocks, const Dropout& d) {
  const int t = threadIdx.x & 3;
  u32 kept = 0;
  if (whole_blocks) {
    const bool odd = t & 1;
#pragma unroll 1
    for (int j = 0; j < N / 8; j += 2) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        u32 w[4];
        philox(w, (u32)(((half ? lower : upper) + (j + (t & 1)) * 8 + (t >> 1) * 4) >> 2), d);
        const u32 x0 = __shfl_xor_sync(FULL_WARP, odd ? w[0] : w[2], 1), x1 = __shfl_xor_sync(FULL_WARP, odd ? w[1] : w[3], 1);
        kept |= kept_bits(odd ? x0 : w[0], odd ? x1 : w[1], d) << (4 * j + 2 * half);
        kept |= kept_bits(odd ? w[2] : x0, odd ? w[3] : x1, d) << (4 * j + 4 + 2 * half);
      }
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < N / 2; i++) {
      const u64 index = (i & 2 ? lower : upper) + (i >> 2) * 8 + 2 * t + (i & 1);
      kept |= (u32)(drop_factor(index, d) != 0.0f) << i;
    }
  }
  return kept;
}

/**
 * The same where rows are keys and columns queries: `first` is the index of query 0 and this lane's key g; a query further on is T
 * more, and rows g + 8 are 8 more. With whole blocks four lanes share each draw: lane m = g % 4 draws for element m, and
 * a 4 x 4 transposition hands lane m word m of every draw.
 */
template <int N>
__device__ __forceinline__ u32 kept_queries(u64 first, int T, bool whole_blocks, const Dropout& d) {
  const int t = threadIdx.x & 3, m = (threadIdx.x >> 2) & 3;
  u32 kept = 0;
  if (whole_blocks) {
#pragma unroll 1
    for (int j = 0; j < N / 8; j++) {
      u32 w[4];
      philox(w, (u32)((first + (u64)(j * 8 + 2 * t + (m & 1)) * T - m + 8 * (m >> 1)) >> 2), d);
#pragma unroll
      for (int k = 0; k < 4; k += 2) {
        const u32 x = __shfl_xor_sync(FULL_WARP, m & 1 ? w[k] : w[k + 1], 4);
        w[k] = m & 1 ? x : w[k];
        w[k + 1] = m & 1 ? w[k + 1] : x;
      }
#pragma unroll
      for (int k = 0; k < 2; k++) {
        const u32 x = __shfl_xor_sync(FULL_WARP, m & 2 ? w[k] : w[k + 2], 8);
        w[k] = m & 2 ? x : w[k];
        w[k + 2] = m & 2 ? w[k + 2] : x;
      }
      kept |= (kept_bits(w[0], w[1], d) | kept_bits(w[2], w[3], d) << 2) << (4 * j);
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < N / 2; i++) {
      const u64 index = first + (u64)((i >> 2) * 8 + 2 * t + (i & 1)) * T + 8 * ((i >> 1) & 1);
      kept |= (u32)(drop_factor(index, d) != 0.0f) << i;
    }
  }
  return kept;
}

#endif
