// y = [residual +] dropout(x); a dropped element counts as 0 even if x is not finite.   Reference: reference/dropout.ts
#include "dropout.cuh"

template <class T>
__device__ void dropout(T* y, const T* x, const T* residual, u32 length, const Dropout& d) {
  const bool aligned = is_aligned16(y) && is_aligned16(x) && is_aligned16(residual);
  for_all<T>(length, aligned, [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    Floats<W> v = load_floats<W>(x + i);
    if constexpr (W == 1) {
      u32 word[4];
      philox(word, (u32)(i >> 2), d);
      const u32 low = i & 1 ? word[1] : word[0], high = i & 1 ? word[3] : word[2];
      v.v[0] = drop(v.v[0], i & 2 ? high : low, d);
    } else {
#pragma unroll
      for (int k = 0; k < W; k += 4) {
        u32 word[4];
        philox(word, (u32)((i + k) >> 2), d);
#pragma unroll
        for (int e = 0; e < 4; e++) v.v[k + e] = drop(v.v[k + e], word[e], d);
      }
    }
    if (residual) {
      const Floats<W> r = load_floats<W>(residual + i);
#pragma unroll
      for (int k = 0; k < W; k++) v.v[k] += r.v[k];
    }
    store_floats<W>(y + i, v);
  });
}

// y, x, residual (or null): (length); y may be x or residual. Any grid, block 256.
extern "C" __global__ void __launch_bounds__(256)
    dropout_f32(float* y, const float* x, const float* residual, u32 length, DROPOUT_PARAMETERS) {
  dropout<float>(y, x, residual, length, dropout_of(DROPOUT_ARGUMENTS));
}
extern "C" __global__ void __launch_bounds__(256)
    dropout_bf16(bf16* y, const bf16* x, const bf16* residual, u32 length, DROPOUT_PARAMETERS) {
  dropout<bf16>(y, x, residual, length, dropout_of(DROPOUT_ARGUMENTS));
}
