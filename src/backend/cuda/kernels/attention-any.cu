// Causal attention one query (or key) per warp: slower than the tiles of attention.cu, for what they cannot do, heads of more than
// 128 columns and generation from a cache of keys and values.   Reference: reference/attention.ts
// Even D up to 256. bf16 in and out, everything else float. Block 128: four warps; grid ceil(rows / 4). A lane stands first for a
// position, whose score it computes alone, then for columns lane, lane + 32, ... of the result.
#include "dropout.cuh"

#define MOST_COLUMNS 256
#define MASKED -1e30f

struct Columns {
  float v[MOST_COLUMNS / 32];
};

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, d));
  return x;
}

/** Copies a row of D columns to floats in shared memory that this warp reads. */
__device__ __forceinline__ void keep_row(float* to, const bf16* from, int D) {
  for (int c = threadIdx.x & 31; c < D; c += 32) to[c] = bf2f(from[c]);
}

__device__ __forceinline__ float product(const float* a, const bf16* b, int D) {
  float sum = 0.0f;
#pragma unroll 4
  for (int c = 0; c < D; c += 2) {
    const u32 pair = load4(b + c);
    sum += a[c] * pair_lo(pair) + a[c + 1] * pair_hi(pair);
  }
  return sum;
}

/** sum += factor row */
__device__ __forceinline__ void add_row(Columns& sum, float factor, const bf16* row, int D) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int k = 0; k < MOST_COLUMNS / 32; k++) {
    const int c = lane + 32 * k;
    if (c < D) sum.v[k] += factor * bf2f(row[c]);
  }
}

__device__ __forceinline__ void store_row(bf16* to, const Columns& sum, float factor, int D) {
  const int lane = threadIdx.x & 31;
#pragma unroll
  for (int k = 0; k < MOST_COLUMNS / 32; k++) {
    const int c = lane + 32 * k;
    if (c < D) to[c] = f2bf(sum.v[k] * factor);
  }
}

/**
 * Writes the keys and values of qkv (B T, stride), which begin at column `first_column`, to rows first_position.. of the cache
 * (B, capacity, columns). Any grid, block 128.
 */
extern "C" __global__ void __launch_bounds__(128)
    append_keys_values(bf16* cache, const bf16* qkv, int B, int T, int stride, int first_column, int columns, int capacity,
                       int first_position) {
  const u64 all = (u64)B * T * columns;
  for (u64 i = (u64)blockIdx.x * 128 + threadIdx.x; i < all; i += (u64)gridDim.x * 128) {
    const u64 row = i / columns, b = row / T, t = row - b * T;
    cache[(b * capacity + first_position + t) * columns + (i - row * columns)] = qkv[row * stride + first_column + (i - row * columns)];
  }
}

/**
 * y and log_sum_exp of all (b, h, t): query t stands at first_position + t and reads the keys and values of positions up to that
 * from `keys`, rows of `key_stride` elements, `key_rows` rows per sequence; values lie Hkv D columns behind keys.
 */
extern "C" __global__ void __launch_bounds__(128)
    attention_any(bf16* y, float* log_sum_exp, const bf16* qkv, const bf16* keys, int key_rows, int key_stride, int first_position,
                  int B, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) {
  __shared__ float queries[4][MOST_COLUMNS];
  const int lane = threadIdx.x & 31, i = blockIdx.x * 4 + (threadIdx.x >> 5);
  if (i >= B * H * T) return;
  const Dropout d = dropout_of(DROPOUT_ARGUMENTS);
  const int t = i % T, h = i / T % H, b = i / T / H, last = first_position + t;
  float* q = queries[threadIdx.x >> 5];
  keep_row(q, qkv + (u64)(b * T + t) * (H + 2 * Hkv) * D + h * D, D);
  __syncwarp();
  const bf16* key = keys + (u64)b * key_rows * key_stride + h / (H / Hkv) * D;
  const bf16* value = key + Hkv * D;
  Columns sum = {};
  float max = MASKED, total = 0.0f;
  for (int start = 0; start <= last; start += 32) {
    const int s = start + lane;
    const float score = s <= last ? scale * product(q, key + (u64)s * key_stride, D) : MASKED;
    const float new_max = fmaxf(max, warp_max(score)), factor = expf(max - new_max);
    float p = s <= last ? expf(score - new_max) : 0.0f;
    total = total * factor + warp_sum(p);
    max = new_max;
    if (d.threshold != 0 && s <= last) p = drop_factor((u64)i * T + s, d) == 0.0f ? 0.0f : p * d.keep;
#pragma unroll
    for (int k = 0; k < MOST_COLUMNS / 32; k++) sum.v[k] *= factor;
    const int count = min(32, last - start + 1);
    for (int j = 0; j < count; j++) add_row(sum, __shfl_sync(FULL_WARP, p, j), value + (u64)(start + j) * key_stride, D);
  }
  store_row(y + ((u64)(b * T + t) * H + h) * D, sum, 1.0f / total, D);
  if (lane == 0) log_sum_exp[i] = max + logf(total);
}

/** dQ and delta = rowsum(dY Y) of all (b, h, t). */
extern "C" __global__ void __launch_bounds__(128)
    attention_queries_gradient_any(bf16* dqkv, float* delta, const bf16* dy, const bf16* y, const float* log_sum_exp, const bf16* qkv,
                                   int B, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) {
  __shared__ float queries[4][MOST_COLUMNS], gradients[4][MOST_COLUMNS];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, i = blockIdx.x * 4 + warp;
  if (i >= B * H * T) return;
  const Dropout d = dropout_of(DROPOUT_ARGUMENTS);
  const int t = i % T, h = i / T % H, b = i / T / H, stride = (H + 2 * Hkv) * D;
  const u64 row = (u64)(b * T + t) * stride + h * D, out = ((u64)(b * T + t) * H + h) * D;
  keep_row(queries[warp], qkv + row, D);
  keep_row(gradients[warp], dy + out, D);
  __syncwarp();
  float own = 0.0f;
  for (int c = lane; c < D; c += 32) own += bf2f(dy[out + c]) * bf2f(y[out + c]);
  own = warp_sum(own);
  if (lane == 0) delta[i] = own;
  const float log = log_sum_exp[i];
  const bf16* key = qkv + (u64)b * T * stride + (H + h / (H / Hkv)) * D;
  Columns sum = {};
  for (int start = 0; start <= t; start += 32) {
    const int s = start + lane;
    float ds = 0.0f;
    if (s <= t) {
      const float p = expf(scale * product(queries[warp], key + (u64)s * stride, D) - log);
      float dp = product(gradients[warp], key + (u64)s * stride + Hkv * D, D);
      if (d.threshold != 0) dp = drop_factor((u64)i * T + s, d) == 0.0f ? 0.0f : dp * d.keep;
      ds = p * (dp - own);
    }
    const int count = min(32, t - start + 1);
    for (int j = 0; j < count; j++) add_row(sum, __shfl_sync(FULL_WARP, ds, j), key + (u64)(start + j) * stride, D);
  }
  store_row(dqkv + row, sum, scale, D);
}

/** dK and dV of all (b, key head, s), over the query heads of the group and the queries in order. */
extern "C" __global__ void __launch_bounds__(128, 4)
    attention_keys_values_gradient_any(bf16* dqkv, const float* delta, const bf16* dy, const float* log_sum_exp, const bf16* qkv,
                                       int B, int T, int H, int Hkv, int D, float scale, DROPOUT_PARAMETERS) {
  __shared__ float keys[4][MOST_COLUMNS], values[4][MOST_COLUMNS];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, i = blockIdx.x * 4 + warp;
  if (i >= B * Hkv * T) return;
  const Dropout d = dropout_of(DROPOUT_ARGUMENTS);
  const int s = i % T, head = i / T % Hkv, b = i / T / Hkv, stride = (H + 2 * Hkv) * D, group = H / Hkv;
  const u64 row = (u64)(b * T + s) * stride + (H + head) * D;
  keep_row(keys[warp], qkv + row, D);
  keep_row(values[warp], qkv + row + Hkv * D, D);
  __syncwarp();
  Columns dk = {}, dv = {};
  for (int h = head * group; h < (head + 1) * group; h++) {
    for (int start = s; start < T; start += 32) {
      const int t = start + lane, at = (b * H + h) * T + t;
      const bf16* query = qkv + (u64)b * T * stride + h * D;
      const bf16* gradient = dy + (u64)b * T * H * D + h * D;
      float p = 0.0f, ds = 0.0f;
      if (t < T) {
        const float weight = expf(scale * product(keys[warp], query + (u64)t * stride, D) - log_sum_exp[at]);
        float dp = product(values[warp], gradient + (u64)t * H * D, D);
        const bool dropped = d.threshold != 0 && drop_factor((u64)at * T + s, d) == 0.0f;
        p = dropped ? 0.0f : d.threshold != 0 ? weight * d.keep : weight;
        dp = dropped ? 0.0f : d.threshold != 0 ? dp * d.keep : dp;
        ds = weight * (dp - delta[at]);
      }
      const int count = min(32, T - start);
      for (int j = 0; j < count; j++) {
        add_row(dv, __shfl_sync(FULL_WARP, p, j), gradient + (u64)(start + j) * H * D, D);
        add_row(dk, __shfl_sync(FULL_WARP, ds, j), query + (u64)(start + j) * stride, D);
      }
    }
  }
  store_row(dqkv + row, dk, scale, D);
  store_row(dqkv + row + Hkv * D, dv, 1.0f, D);
}
