// SwiGLU (Shazeer 2020) and GELU with the error function (Hendrycks & Gimpel 2016).   Reference: reference/swiglu.ts, gelu.ts
// Any grid, block 256. Rows of SwiGLU's x hold the gate, then the value.
#include "numbers.cuh"

__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

/** Distribution function of the standard normal; by erfc, so that it keeps its digits far to the left. */
__device__ __forceinline__ float normal_cdf(float x) { return 0.5f * erfcf(x * -0.70710678f); }

/** body(width, row, column) for all of (N, F), fewer than 2^31 elements, over the whole grid. */
template <class T, class Body>
__device__ __forceinline__ void for_matrix(u32 N, u32 F, bool aligned, Body body) {
  constexpr int P = Packet<T>::width;
  const u32 columns = aligned ? F / P : F, all = N * columns;
  for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < all; i += gridDim.x * blockDim.x) {
    const u32 n = i / columns, f = i - n * columns;
    if (aligned) {
      body(Width<P>(), n, f * P);
    } else {
      body(Width<1>(), n, f);
    }
  }
}

template <class T>
__device__ void swiglu(T* y, const T* x, u32 N, u32 F) {
  const bool aligned = F % Packet<T>::width == 0 && is_aligned16(y) && is_aligned16(x);
  for_matrix<T>(N, F, aligned, [&](auto width, u32 n, u32 f) {
    constexpr int W = decltype(width)::value;
    const T* row = x + (u64)n * 2 * F + f;
    const Floats<W> gate = load_floats<W>(row), value = load_floats<W>(row + F);
    Floats<W> r;
#pragma unroll
    for (int k = 0; k < W; k++) r.v[k] = gate.v[k] * logistic(gate.v[k]) * value.v[k];
    store_floats<W>(y + (u64)n * F + f, r);
  });
}

/** With s the logistic function: d silu(g) / dg = s(g) (1 + g (1 - s(g))). */
template <class T>
__device__ void swiglu_gradient(T* dx, const T* dy, const T* x, u32 N, u32 F) {
  const bool aligned = F % Packet<T>::width == 0 && is_aligned16(dx) && is_aligned16(dy) && is_aligned16(x);
  for_matrix<T>(N, F, aligned, [&](auto width, u32 n, u32 f) {
    constexpr int W = decltype(width)::value;
    const u64 at = (u64)n * 2 * F + f;
    const Floats<W> gate = load_floats<W>(x + at), value = load_floats<W>(x + at + F);
    const Floats<W> d = load_floats<W>(dy + (u64)n * F + f);
    Floats<W> d_gate, d_value;
#pragma unroll
    for (int k = 0; k < W; k++) {
      const float g = gate.v[k], s = logistic(g);
      d_gate.v[k] = d.v[k] * value.v[k] * s * (1.0f + g * (1.0f - s));
      d_value.v[k] = d.v[k] * g * s;
    }
    store_floats<W>(dx + at, d_gate);
    store_floats<W>(dx + at + F, d_value);
  });
}

template <class T>
__device__ void gelu(T* y, const T* x, u32 length) {
  for_all<T>(length, is_aligned16(y) && is_aligned16(x), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    Floats<W> r = load_floats<W>(x + i);
#pragma unroll
    for (int k = 0; k < W; k++) r.v[k] *= normal_cdf(r.v[k]);
    store_floats<W>(y + i, r);
  });
}

/** dx = dy (Phi(x) + x density(x)). */
template <class T>
__device__ void gelu_gradient(T* dx, const T* dy, const T* x, u32 length) {
  for_all<T>(length, is_aligned16(dx) && is_aligned16(dy) && is_aligned16(x), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    const Floats<W> a = load_floats<W>(x + i);
    Floats<W> d = load_floats<W>(dy + i);
#pragma unroll
    for (int k = 0; k < W; k++) {
      const float density = 0.39894228f * expf(-0.5f * a.v[k] * a.v[k]);
      d.v[k] *= normal_cdf(a.v[k]) + a.v[k] * density;
    }
    store_floats<W>(dx + i, d);
  });
}

extern "C" __global__ void __launch_bounds__(256) swiglu_f32(float* y, const float* x, u32 N, u32 F) { swiglu<float>(y, x, N, F); }
extern "C" __global__ void __launch_bounds__(256) swiglu_bf16(bf16* y, const bf16* x, u32 N, u32 F) { swiglu<bf16>(y, x, N, F); }
extern "C" __global__ void __launch_bounds__(256)
    swiglu_gradient_f32(float* dx, const float* dy, const float* x, u32 N, u32 F) {
  swiglu_gradient<float>(dx, dy, x, N, F);
}
extern "C" __global__ void __launch_bounds__(256)
    swiglu_gradient_bf16(bf16* dx, const bf16* dy, const bf16* x, u32 N, u32 F) {
  swiglu_gradient<bf16>(dx, dy, x, N, F);
}
extern "C" __global__ void __launch_bounds__(256) gelu_f32(float* y, const float* x, u32 length) { gelu<float>(y, x, length); }
extern "C" __global__ void __launch_bounds__(256) gelu_bf16(bf16* y, const bf16* x, u32 length) { gelu<bf16>(y, x, length); }
extern "C" __global__ void __launch_bounds__(256) gelu_gradient_f32(float* dx, const float* dy, const float* x, u32 length) {
  gelu_gradient<float>(dx, dy, x, length);
}
extern "C" __global__ void __launch_bounds__(256) gelu_gradient_bf16(bf16* dx, const bf16* dy, const bf16* x, u32 length) {
  gelu_gradient<bf16>(dx, dy, x, length);
}
