// y[n,c] = w[c] (x[n,c] - mean[n]) rstd[n] [+ b[c]], biased variance   (Ba, Kiros & Hinton 2016).   Reference: reference/layer-norm.ts
// Activations float or bf16 (N, C), row-major; w, b, dw, db (C), mean and rstd (N) float. One warp per row; block 256.
#include "numbers.cuh"

template <class T>
__device__ void layer_norm(T* y, float* mean, float* rstd, const T* x, const float* w, const float* b, int N, int C, float eps) {
  const int n = blockIdx.x * 8 + (threadIdx.x >> 5);
  if (n >= N) return;
  const bool aligned =
      C % Packet<T>::width == 0 && is_aligned16(y) && is_aligned16(x) && is_aligned16(w) && is_aligned16(b);
  x += (u64)n * C;
  y += (u64)n * C;
  float sum = 0.0f;
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    const Floats<W> a = load_floats<W>(x + c);
#pragma unroll
    for (int k = 0; k < W; k++) sum += a.v[k];
  });
  const float m = finite_or_nan(warp_sum(sum)) / (float)C;
  float squares = 0.0f;
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    const Floats<W> a = load_floats<W>(x + c);
#pragma unroll
    for (int k = 0; k < W; k++) squares += (a.v[k] - m) * (a.v[k] - m);
  });
  const float r = 1.0f / sqrtf(finite_or_nan(warp_sum(squares)) / (float)C + eps);
  if ((threadIdx.x & 31) == 0) {
    mean[n] = m;
    rstd[n] = r;
  }
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    Floats<W> a = load_floats<W>(x + c);
    const Floats<W> gain = load_floats<W>(w + c);
#pragma unroll
    for (int k = 0; k < W; k++) a.v[k] = gain.v[k] * (a.v[k] - m) * r;
    if (b) {
      const Floats<W> bias = load_floats<W>(b + c);
#pragma unroll
      for (int k = 0; k < W; k++) a.v[k] += bias.v[k];
    }
    store_floats<W>(y + c, a);
  });
}

/**
 * With xhat = (x - mean) rstd and g = w dy: dx = rstd (g - mean_c(g) - xhat mean_c(g xhat)), and partials[block] = the block's
 * sums of dy xhat (C), then of dy (C). Shared memory: 2 C floats per warp.
 */
template <class T>
__device__ void layer_norm_gradient(T* dx, float* partials, const T* dy, const T* x, const float* w, const float* mean,
                                    const float* rstd, int N, int C, int rows_per_block, int accumulate) {
  DYN_SMEM(shared);
  const int warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  float *gains = (float*)shared + warp * 2 * C, *biases = gains + C;
  const bool aligned =
      C % Packet<T>::width == 0 && is_aligned16(dx) && is_aligned16(dy) && is_aligned16(x) && is_aligned16(w);
  for_columns<T>(C, aligned, [&](auto width, int c) {
#pragma unroll
    for (int k = 0; k < decltype(width)::value; k++) gains[c + k] = biases[c + k] = 0.0f;
  });
  const int first = blockIdx.x * rows_per_block, end = min(first + rows_per_block, N);
  for (int n = first + warp; n < end; n += warps) {
    const u64 row = (u64)n * C;
    const float m = mean[n], r = rstd[n];
    float mean_g = 0.0f, mean_gx = 0.0f;
    for_columns<T>(C, aligned, [&](auto width, int c) {
      constexpr int W = decltype(width)::value;
      const Floats<W> d = load_floats<W>(dy + row + c), a = load_floats<W>(x + row + c), gain = load_floats<W>(w + c);
      Floats<W> dw = load_floats<W>(gains + c), db = load_floats<W>(biases + c);
#pragma unroll
      for (int k = 0; k < W; k++) {
        const float xhat = (a.v[k] - m) * r, g = d.v[k] * gain.v[k];
        mean_g += g;
        mean_gx += g * xhat;
        dw.v[k] += d.v[k] * xhat;
        db.v[k] += d.v[k];
      }
      store_floats<W>(gains + c, dw);
      store_floats<W>(biases + c, db);
    });
    mean_g = warp_sum(mean_g) / (float)C;
    mean_gx = warp_sum(mean_gx) / (float)C;
    for_columns<T>(C, aligned, [&](auto width, int c) {
      constexpr int W = decltype(width)::value;
      Floats<W> d = load_floats<W>(dy + row + c);
      const Floats<W> a = load_floats<W>(x + row + c), gain = load_floats<W>(w + c);
#pragma unroll
      for (int k = 0; k < W; k++) d.v[k] = r * (d.v[k] * gain.v[k] - mean_g - (a.v[k] - m) * r * mean_gx);
      if (accumulate) {
        const Floats<W> before = load_floats<W>(dx + row + c);
#pragma unroll
        for (int k = 0; k < W; k++) d.v[k] += before.v[k];
      }
      store_floats<W>(dx + row + c, d);
    });
  }
  __syncthreads();
  for (int c = threadIdx.x; c < 2 * C; c += blockDim.x) {
    float sum = 0.0f;
    for (int i = 0; i < warps; i++) sum += ((const float*)shared)[i * 2 * C + c];
    partials[(u64)blockIdx.x * 2 * C + c] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(256)
    layer_norm_f32(float* y, float* mean, float* rstd, const float* x, const float* w, const float* b, int N, int C, float eps) {
  layer_norm<float>(y, mean, rstd, x, w, b, N, C, eps);
}
extern "C" __global__ void __launch_bounds__(256)
    layer_norm_bf16(bf16* y, float* mean, float* rstd, const bf16* x, const float* w, const float* b, int N, int C, float eps) {
  layer_norm<bf16>(y, mean, rstd, x, w, b, N, C, eps);
}
extern "C" __global__ void __launch_bounds__(256, 3)
    layer_norm_gradient_f32(float* dx, float* partials, const float* dy, const float* x, const float* w, const float* mean,
                            const float* rstd, int N, int C, int rows_per_block, int accumulate) {
  layer_norm_gradient<float>(dx, partials, dy, x, w, mean, rstd, N, C, rows_per_block, accumulate);
}
extern "C" __global__ void __launch_bounds__(256, 3)
    layer_norm_gradient_bf16(bf16* dx, float* partials, const bf16* dy, const bf16* x, const float* w, const float* mean,
                             const float* rstd, int N, int C, int rows_per_block, int accumulate) {
  layer_norm_gradient<bf16>(dx, partials, dy, x, w, mean, rstd, N, C, rows_per_block, accumulate);
}
