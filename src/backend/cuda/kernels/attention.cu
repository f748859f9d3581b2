// Causal attention with grouped heads over packed projections: softmax(scale q k^T) v by tiles of keys, with a running maximum and
// sum   (Vaswani et al. 2017; Dao 2023, FlashAttention-2, algorithm 1).   Reference: reference/attention.ts
// qkv (B T, (H + 2 Hkv) D), y (B T, H D) bf16; log_sum_exp (B, H, T) float. Head dimension D even, at most HD; any T.
// Grid (ceil(T / 64), H, B), longest rows first; block 128; shared memory: two stages of a tile of keys and one of values.
#include "attention.cuh"

template <int HD, int BK>
__device__ void attention(bf16* y, float* log_sum_exp, const bf16* qkv, int T, int H, int Hkv, int D, float scale,
                          const Dropout& drop) {
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
  u32 q[HD / 16][4];
  load_rows<HD>(q, base + (u64)row * stride + h * D, stride, T - row, D);
  const float scale2 = scale * LOG2E;  // powers of two below
  const u64 drop_row = ((u64)(b * H + h) * T + row + g) * T;
  float sum[HD / 8][4] = {}, max0 = MASKED, max1 = MASKED, total0 = 0.0f, total1 = 0.0f;
  for (int i = 0; i < tiles; i++) {
    if (i + 1 < tiles) load(i + 1);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    float s[BK / 8][4];
    multiply_transposed<BK, HD>(s, q, keys[i & 1]);
    if (i * BK + BK - 1 > row) {
#pragma unroll
      for (int j = 0; j < BK / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          if (i * BK + j * 8 + 2 * t + (e & 1) > row + g + 8 * (e >> 1)) s[j][e] = MASKED;
        }
      }
    }
    float new0 = max0, new1 = max1;
#pragma unroll
    for (int j = 0; j < BK / 8; j++) {
      new0 = fmaxf(new0, fmaxf(s[j][0], s[j][1]));
      new1 = fmaxf(new1, fmaxf(s[j][2], s[j][3]));
    }
    new0 = row_max(new0);
    new1 = row_max(new1);
    const float factor0 = exp2_fast((max0 - new0) * scale2), factor1 = exp2_fast((max1 - new1) * scale2);
    const float offset0 = new0 * scale2, offset1 = new1 * scale2;
    max0 = new0;
    max1 = new1;
    total0 *= factor0;
    total1 *= factor1;
#pragma unroll
    for (int n = 0; n < HD / 8; n++) {
      sum[n][0] *= factor0;
      sum[n][1] *= factor0;
      sum[n][2] *= factor1;
      sum[n][3] *= factor1;
    }
#pragma unroll
    for (int j = 0; j < BK / 8; j++) {
      s[j][0] = exp2_fast(fmaf(s[j][0], scale2, -offset0));
      s[j][1] = exp2_fast(fmaf(s[j][1], scale2, -offset0));
      s[j][2] = exp2_fast(fmaf(s[j][2], scale2, -offset1));
      s[j][3] = exp2_fast(fmaf(s[j][3], scale2, -offset1));
      total0 += s[j][0] + s[j][1];
      total1 += s[j][2] + s[j][3];
    }
    if (drop.threshold != 0) {
      const u32 kept = kept_keys<BK>(drop_row + i * BK, drop_row + (u64)8 * T + i * BK, T % 4 == 0, drop);
      drop_fragments(s, kept, drop);
    }
    multiply_add<BK, HD>(sum, s, values[i & 1]);
    __syncthreads();
  }
  cp_async_wait<0>();
  total0 = row_sum(total0);
  total1 = row_sum(total1);
  store_rows<HD>(y + ((u64)b * T + row) * H * D + h * D, H * D, sum, 1.0f / total0, 1.0f / total1, T - row, D);
  float* out = log_sum_exp + (u64)(b * H + h) * T + row + g;
  if (t == 0 && row + g < T) out[0] = max0 * scale + logf(total0);
  if (t == 0 && row + g + 8 < T) out[8] = max1 * scale + logf(total1);
}

// BLOCKS: how many fit on a multiprocessor by their registers; more of both would spill.
#define ATTENTION(HD, BK, BLOCKS)                                                                                             \
  extern "C" __global__ void __launch_bounds__(128, BLOCKS)                                                                   \
      attention_##HD(bf16* y, float* log_sum_exp, const bf16* qkv, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) { \
    attention<HD, BK>(y, log_sum_exp, qkv, T, H, Hkv, D, scale, dropout_of(DROPOUT_ARGUMENTS));                               \
  }
ATTENTION(16, 64, 4)
ATTENTION(32, 64, 4)
ATTENTION(64, 64, 3)
ATTENTION(128, 32, 2)
