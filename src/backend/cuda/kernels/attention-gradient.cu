// The gradient of attention without atomics   (Dao 2023, FlashAttention-2, algorithm 2).   Reference: reference/attention.ts
// With P the softmax and M dropout: dV = M(P)^T dY; dP = M(dY V^T); dS = P (dP - delta), delta = rowsum(dY Y);
// dQ = scale dS K; dK = scale dS^T Q. One kernel goes over tiles of keys for 64 queries; the other over the query heads of a group and
// tiles of queries for 64 keys. dqkv, qkv (B T, (H + 2 Hkv) D), dy, y (B T, H D) bf16; log_sum_exp, delta (B, H, T) float.
#include "attention.cuh"

/** Sums over columns of the products of two sets of rows: rows g and g + 8 of each lane's fragments. */
template <int HD>
__device__ __forceinline__ void row_products(float* upper, float* lower, const u32 (&a)[HD / 16][4], const u32 (&b)[HD / 16][4]) {
  float sums[2] = {0.0f, 0.0f};
#pragma unroll
  for (int k = 0; k < HD / 16; k++) {
#pragma unroll
    for (int e = 0; e < 4; e++) sums[e & 1] += pair_lo(a[k][e]) * pair_lo(b[k][e]) + pair_hi(a[k][e]) * pair_hi(b[k][e]);
  }
  *upper = row_sum(sums[0]);
  *lower = row_sum(sums[1]);
}

/** dQ, and delta for the other kernel. Grid (ceil(T / 64), H, B), block 128, shared memory as the forward kernel. */
template <int HD, int BK>
__device__ void queries_gradient(bf16* dqkv, float* delta, const bf16* dy, const bf16* y, const float* log_sum_exp, const bf16* qkv,
                                 int T, int H, int Hkv, int D, float scale, const Dropout& drop) {
  DYN_SMEM(shared);
  Tile<BK, HD>*keys = (Tile<BK, HD>*)shared, *values = keys + 2;
  const Heads a = heads_of(qkv, T, H, Hkv, D);
  const int warp = threadIdx.x >> 5, g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  const int h = blockIdx.y, b = blockIdx.z, first = (gridDim.x - 1 - blockIdx.x) * 64, row = first + warp * 16;
  const int stride = a.stride(), head = a.key_head(h), tiles = (min(first + 64, T) + BK - 1) / BK;
  const bf16* base = qkv + (u64)b * T * stride;
  const auto load = [&](int i) {
    const bf16* rows = base + (u64)i * BK * stride;
    load_tile(keys[i & 1], rows + a.key_column(head), stride, T - i * BK, a);
    load_tile(values[i & 1], rows + a.value_column(head), stride, T - i * BK, a);
  };

  load(0);
  cp_async_commit();
  u32 q[HD / 16][4], d[HD / 16][4];
  const u64 out = ((u64)b * T + row) * H * D + h * D;
  load_rows<HD>(d, dy + out, H * D, T - row, D);
  load_rows<HD>(q, y + out, H * D, T - row, D);
  float delta0, delta1;
  row_products<HD>(&delta0, &delta1, d, q);
  load_rows<HD>(q, base + (u64)row * stride + h * D, stride, T - row, D);
  const u64 statistics = (u64)(b * H + h) * T + row + g;
  const bool in0 = row + g < T, in1 = row + g + 8 < T;
  if (t == 0 && in0) delta[statistics] = delta0;
  if (t == 0 && in1) delta[statistics + 8] = delta1;
  const float log0 = in0 ? log_sum_exp[statistics] * LOG2E : 0.0f, log1 = in1 ? log_sum_exp[statistics + 8] * LOG2E : 0.0f;
  const float scale2 = scale * LOG2E;
  float sum[HD / 8][4] = {};
  for (int i = 0; i < tiles; i++) {
    if (i + 1 < tiles) load(i + 1);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    float s[BK / 8][4], dp[BK / 8][4];
    multiply_transposed<BK, HD>(s, q, keys[i & 1]);
    multiply_transposed<BK, HD>(dp, d, values[i & 1]);
    if (drop.threshold != 0) {
      const u64 index = statistics * T + i * BK;
      const u32 kept = kept_keys<BK>(index, index + (u64)8 * T, T % 4 == 0, drop);
      drop_fragments(dp, kept, drop);
    }
#pragma unroll
    for (int j = 0; j < BK / 8; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const float p = exp2_fast(fmaf(s[j][e], scale2, e < 2 ? -log0 : -log1));
        s[j][e] = p * (dp[j][e] - (e < 2 ? delta0 : delta1));
      }
    }
    if (i * BK + BK - 1 > row) {
#pragma unroll
      for (int j = 0; j < BK / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          if (i * BK + j * 8 + 2 * t + (e & 1) > row + g + 8 * (e >> 1)) s[j][e] = 0.0f;
        }
      }
    }
    multiply_add<BK, HD>(sum, s, keys[i & 1]);
    __syncthreads();
  }
  cp_async_wait<0>();
  store_rows<HD>(dqkv + ((u64)b * T + row) * stride + h * D, stride, sum, scale, scale, T - row, D);
}

/** The first operand of products by HD: in registers up to 64 columns, else in shared memory. */
template <int HD, bool HELD>
struct KeyRows {
  u32 a[HD / 16][4];
  __device__ __forceinline__ void load(Tile<64, HD>&, const bf16* from, int stride, int rows, int row, const Heads& heads) {
    load_rows<HD>(a, from + (u64)row * stride, stride, rows - row, heads.D);
  }
  template <int N>
  __device__ __forceinline__ void multiply(float (&s)[N / 8][4], const Tile<64, HD>&, int, const Tile<N, HD>& tile) const {
    multiply_transposed<N, HD>(s, a, tile);
  }
};
template <int HD>
struct KeyRows<HD, false> {
  __device__ __forceinline__ void load(Tile<64, HD>& all, const bf16* from, int stride, int rows, int, const Heads& heads) {
    load_tile(all, from, stride, rows, heads);
  }
  template <int N>
  __device__ __forceinline__ void multiply(float (&s)[N / 8][4], const Tile<64, HD>& all, int row, const Tile<N, HD>& tile) const {
    multiply_transposed<N, HD>(s, all, row, tile);
  }
};

/**
 * dK and dV, summed over the query heads of the group in their order. Grid (ceil(T / 64), Hkv, B), longest first; block 128.
 * Shared memory: two stages of a tile of queries and one of dy, log_sum_exp and delta; before them, where HELD is false, 64 rows
 * of keys and of values.
 */
template <int HD, int BQ, bool HELD>
__device__ void keys_values_gradient(bf16* dqkv, const float* delta, const bf16* dy, const float* log_sum_exp, const bf16* qkv, int T,
                                     int H, int Hkv, int D, float scale, const Dropout& drop) {
  DYN_SMEM(shared);
  Tile<64, HD>*all_keys = (Tile<64, HD>*)shared, *all_values = all_keys + 1;
  Tile<BQ, HD>*queries = (Tile<BQ, HD>*)(shared + (HELD ? 0 : 2 * sizeof(Tile<64, HD>))), *gradients = queries + 2;
  float *logs = (float*)(gradients + 2), *deltas = logs + 2 * BQ;
  const Heads a = heads_of(qkv, T, H, Hkv, D);
  const int warp = threadIdx.x >> 5, g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  const int head = blockIdx.y, b = blockIdx.z, first = blockIdx.x * 64, row = first + warp * 16;
  const int stride = a.stride(), group = H / Hkv, tiles = (T - first + BQ - 1) / BQ;
  const bf16* base = qkv + (u64)b * T * stride;
  Heads of_dy = a;
  of_dy.wide = a.wide && is_aligned16(dy);
  const auto load = [&](int h, int q, int stage) {
    load_tile(queries[stage], base + (u64)q * stride + h * D, stride, T - q, a);
    load_tile(gradients[stage], dy + ((u64)b * T + q) * H * D + h * D, H * D, T - q, of_dy);
    if (threadIdx.x < BQ) {
      const u64 at = (u64)(b * H + h) * T + q + threadIdx.x;
      const bool inside = q + (int)threadIdx.x < T;
      logs[stage * BQ + threadIdx.x] = inside ? log_sum_exp[at] * LOG2E : 0.0f;
      deltas[stage * BQ + threadIdx.x] = inside ? delta[at] : 0.0f;
    }
  };

  KeyRows<HD, HELD> k, v;
  k.load(*all_keys, base + (u64)first * stride + a.key_column(head), stride, T - first, warp * 16, a);
  v.load(*all_values, base + (u64)first * stride + a.value_column(head), stride, T - first, warp * 16, a);
  load(head * group, first, 0);
  cp_async_commit();
  const float scale2 = scale * LOG2E;
  float dk[HD / 8][4] = {}, dv[HD / 8][4] = {};
  // One pass over (query head, tile of queries), which the loads are one step ahead of.
  int h = head * group, q = first, next_h = h, next_q = q;
  for (int i = 0; i < group * tiles; i++) {
    const int stage = i & 1;
    next_q += BQ;
    if (next_q >= T) {
      next_q = first;
      next_h++;
    }
    if (i + 1 < group * tiles) load(next_h, next_q, stage ^ 1);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    float p[BQ / 8][4], ds[BQ / 8][4];
    k.template multiply<BQ>(p, *all_keys, warp * 16, queries[stage]);
    v.template multiply<BQ>(ds, *all_values, warp * 16, gradients[stage]);
    u32 kept = 0;
    if (drop.threshold != 0) {
      kept = kept_queries<BQ>(((u64)(b * H + h) * T + q) * T + row + g, T, T % 4 == 0, drop);
      drop_fragments(ds, kept, drop);
    }
    // Weights; those of queries before a key, or beyond the sequence, are zero.
    const bool is_edge = q < row + 16 || q + BQ > T;
#pragma unroll
    for (int j = 0; j < BQ / 8; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int column = j * 8 + 2 * t + (e & 1);
        p[j][e] = exp2_fast(fmaf(p[j][e], scale2, -logs[stage * BQ + column]));
        if (is_edge && (q + column < row + g + 8 * (e >> 1) || q + column >= T)) p[j][e] = 0.0f;
      }
    }
#pragma unroll
    for (int j = 0; j < BQ / 8; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        ds[j][e] = p[j][e] * (ds[j][e] - deltas[stage * BQ + j * 8 + 2 * t + (e & 1)]);
      }
    }
    if (drop.threshold != 0) drop_fragments(p, kept, drop);
    multiply_add<BQ, HD>(dv, p, gradients[stage]);
    multiply_add<BQ, HD>(dk, ds, queries[stage]);
    __syncthreads();
    h = next_h;
    q = next_q;
  }
  cp_async_wait<0>();
  bf16* to = dqkv + ((u64)b * T + row) * stride;
  store_rows<HD>(to + a.key_column(head), stride, dk, scale, scale, T - row, D);
  store_rows<HD>(to + a.value_column(head), stride, dv, 1.0f, 1.0f, T - row, D);
}

// BLOCKS: how many fit on a multiprocessor by their registers; more of both would spill.
#define ATTENTION_GRADIENT(HD, BK, BQ, HELD, BLOCKS)                                                                          \
  extern "C" __global__ void __launch_bounds__(128, BLOCKS)                                                                   \
      attention_queries_gradient_##HD(bf16* dqkv, float* delta, const bf16* dy, const bf16* y, const float* log_sum_exp,      \
                                      const bf16* qkv, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) {       \
    queries_gradient<HD, BK>(dqkv, delta, dy, y, log_sum_exp, qkv, T, H, Hkv, D, scale, dropout_of(DROPOUT_ARGUMENTS));       \
  }                                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128, BLOCKS)                                                                   \
      attention_keys_values_gradient_##HD(bf16* dqkv, const float* delta, const bf16* dy, const float* log_sum_exp,           \
                                          const bf16* qkv, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) {   \
    keys_values_gradient<HD, BQ, HELD>(dqkv, delta, dy, log_sum_exp, qkv, T, H, Hkv, D, scale, dropout_of(DROPOUT_ARGUMENTS)); \
  }
ATTENTION_GRADIENT(16, 64, 64, true, 3)
ATTENTION_GRADIENT(32, 64, 64, true, 3)
ATTENTION_GRADIENT(64, 64, 32, true, 2)
ATTENTION_GRADIENT(128, 32, 32, false, 2)
