// y[n,c] = w[c] x[n,c] / sqrt(mean_c(x[n,c]^2) + eps)   (Zhang & Sennrich 2019).   Reference: reference/rms-norm.ts
// Activations float or bf16 (N, C), row-major; w, dw (C) and rstd (N) float. One warp per row; block 256.
#include "numbers.cuh"

template <class T>
__device__ void rms_norm(T* y, float* rstd, const T* x, const float* w, int N, int C, float eps) {
  const int n = blockIdx.x * 8 + (threadIdx.x >> 5);
  if (n >= N) return;
  const bool aligned = C % Packet<T>::width == 0 && is_aligned16(y) && is_aligned16(x) && is_aligned16(w);
  x += (u64)n * C;
  y += (u64)n * C;
  float sum = 0.0f;
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    const Floats<W> a = load_floats<W>(x + c);
#pragma unroll
    for (int k = 0; k < W; k++) sum += a.v[k] * a.v[k];
  });
  const float r = 1.0f / sqrtf(finite_or_nan(warp_sum(sum)) / (float)C + eps);
  if ((threadIdx.x & 31) == 0) rstd[n] = r;
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    Floats<W> a = load_floats<W>(x + c);
    const Floats<W> gain = load_floats<W>(w + c);
#pragma unroll
    for (int k = 0; k < W; k++) a.v[k] *= gain.v[k] * r;
    store_floats<W>(y + c, a);
  });
}

/**
 * dx = rstd (w dy - x rstd^2 mean_c(w dy x)), and partials[block] = sum over the block's rows of dy x rstd: each warp adds up its
 * rows in shared memory (one row of C floats per warp), then the block adds up its warps in order.
 */
template <class T>
__device__ void rms_norm_gradient(T* dx, float* partials, const T* dy, const T* x, const float* w, const float* rstd, int N, int C,
                                  int rows_per_block, int accumulate) {
  DYN_SMEM(shared);
  const int warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  float* sums = (float*)shared + warp * C;
  const bool aligned =
      C % Packet<T>::width == 0 && is_aligned16(dx) && is_aligned16(dy) && is_aligned16(x) && is_aligned16(w);
  for_columns<T>(C, aligned, [&](auto width, int c) {
#pragma unroll
    for (int k = 0; k < decltype(width)::value; k++) sums[c + k] = 0.0f;
  });
  const int first = blockIdx.x * rows_per_block, end = min(first + rows_per_block, N);
  for (int n = first + warp; n < end; n += warps) {
    const u64 row = (u64)n * C;
    const float r = rstd[n];
    float projection = 0.0f;
    for_columns<T>(C, aligned, [&](auto width, int c) {
      constexpr int W = decltype(width)::value;
      const Floats<W> d = load_floats<W>(dy + row + c), a = load_floats<W>(x + row + c), gain = load_floats<W>(w + c);
      Floats<W> s = load_floats<W>(sums + c);
#pragma unroll
      for (int k = 0; k < W; k++) {
        projection += d.v[k] * gain.v[k] * a.v[k];
        s.v[k] += d.v[k] * a.v[k] * r;
      }
      store_floats<W>(sums + c, s);
    });
    projection = warp_sum(projection) * r * r / (float)C;
    for_columns<T>(C, aligned, [&](auto width, int c) {
      constexpr int W = decltype(width)::value;
      Floats<W> d = load_floats<W>(dy + row + c);
      const Floats<W> a = load_floats<W>(x + row + c), gain = load_floats<W>(w + c);
#pragma unroll
      for (int k = 0; k < W; k++) d.v[k] = r * (d.v[k] * gain.v[k] - a.v[k] * projection);
      if (accumulate) {
        const Floats<W> before = load_floats<W>(dx + row + c);
#pragma unroll
        for (int k = 0; k < W; k++) d.v[k] += before.v[k];
      }
      store_floats<W>(dx + row + c, d);
    });
  }
  __syncthreads();
  for (int c = threadIdx.x; c < C; c += blockDim.x) {
    float sum = 0.0f;
    for (int i = 0; i < warps; i++) sum += ((const float*)shared)[i * C + c];
    partials[(u64)blockIdx.x * C + c] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(256)
    rms_norm_f32(float* y, float* rstd, const float* x, const float* w, int N, int C, float eps) {
  rms_norm<float>(y, rstd, x, w, N, C, eps);
}
extern "C" __global__ void __launch_bounds__(256)
    rms_norm_bf16(bf16* y, float* rstd, const bf16* x, const float* w, int N, int C, float eps) {
  rms_norm<bf16>(y, rstd, x, w, N, C, eps);
}
extern "C" __global__ void __launch_bounds__(256)
    rms_norm_gradient_f32(float* dx, float* partials, const float* dy, const float* x, const float* w, const float* rstd, int N,
                          int C, int rows_per_block, int accumulate) {
  rms_norm_gradient<float>(dx, partials, dy, x, w, rstd, N, C, rows_per_block, accumulate);
}
extern "C" __global__ void __launch_bounds__(256)
    rms_norm_gradient_bf16(bf16* dx, float* partials, const bf16* dy, const bf16* x, const float* w, const float* rstd, int N,
                           int C, int rows_per_block, int accumulate) {
  rms_norm_gradient<bf16>(dx, partials, dy, x, w, rstd, N, C, rows_per_block, accumulate);
}
