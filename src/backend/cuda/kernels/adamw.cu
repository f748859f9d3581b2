// One AdamW update of many tensors in place, decay decoupled   (Loshchilov & Hutter 2019, algorithm 2).   Reference: reference/adamw.ts
// p, g, m, v (length) float; copy, or null: p rounded to bf16, for matrix products. Any number of blocks for each, block 256.
// 1 - beta and log(beta) come from the host in full precision: in float, 1 - 0.999f would be off by 5e-5.
#include "tensors.cuh"

struct AdamWRow {
  float* p;
  const float* g;
  float *m, *v;
  bf16* copy;
  u32 first_block, blocks, length;
  float weight_decay;
};

extern "C" __global__ void __launch_bounds__(256)
    adamw(const float* lr_at, float lr, float beta1, float one_minus_beta1, float log_beta1, float beta2, float one_minus_beta2,
          float log_beta2, float eps, const int* step_at, int step, const float* gradient_scale_at, float gradient_scale, int count,
          const Table<AdamWRow, 64> table) {
  const float factor = scalar(gradient_scale_at, gradient_scale);
  if (factor != factor) return;
  const float rate = scalar(lr_at, lr), t = (float)scalar(step_at, step);
  // 1 / (1 - beta^step)
  const float correction1 = -1.0f / expm1f(t * log_beta1), correction2 = -1.0f / expm1f(t * log_beta2);
  const AdamWRow& row = row_of_block(table, count);
  float *const p = row.p, *const m = row.m, *const v = row.v;
  const float *const g = row.g, weight_decay = row.weight_decay;
  bf16* const copy = row.copy;
  const bool aligned = is_aligned16(p) && is_aligned16(g) && is_aligned16(m) && is_aligned16(v) && is_aligned16(copy);
  for_all_in<float>(blockIdx.x - row.first_block, row.blocks, row.length, aligned, [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    Floats<W> x = load_floats<W>(p + i), mean = load_floats<W>(m + i), square = load_floats<W>(v + i);
    const Floats<W> gradient = load_floats<W>(g + i);
#pragma unroll
    for (int k = 0; k < W; k++) {
      const float d = factor * gradient.v[k];
      mean.v[k] = beta1 * mean.v[k] + one_minus_beta1 * d;
      square.v[k] = beta2 * square.v[k] + one_minus_beta2 * d * d;
      const float update = mean.v[k] * correction1 / (sqrtf(square.v[k] * correction2) + eps);
      x.v[k] = x.v[k] - rate * update - rate * weight_decay * x.v[k];
    }
    store_floats<W>(m + i, mean);
    store_floats<W>(v + i, square);
    store_floats<W>(p + i, x);
    if (copy) store_floats<W>(copy + i, x);
  });
}
