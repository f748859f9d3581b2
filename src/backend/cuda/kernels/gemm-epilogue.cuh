// What happens to a sum of products before it is stored: c = alpha sum [+ bias] [+ residual] [+ c], as bf16 or f32.
#ifndef STLM_GEMM_EPILOGUE
#define STLM_GEMM_EPILOGUE

#include "prelude.cuh"

// Bits of the kernels' `flags`; launch/gemm.ts has the same.
constexpr int GEMM_F32 = 1;         // c and residual are f32, not bf16
constexpr int GEMM_ACCUMULATE = 2;  // c is added to
constexpr int GEMM_WIDE = 4;        // c, residual and bias and the leading dimension allow accesses of 16 bytes

struct Epilogue {
  void* c;               // (M, N), rows of ldc elements
  const float* bias;     // (N), or null
  const void* residual;  // as c, or null; may be c
  int M, N, ldc;
  float alpha;
  int flags;

  /** Stores sums (row, column .. column + 8) as far as the matrix goes; `column` is a multiple of 8. */
  __device__ __forceinline__ void finish(float (&v)[8], int row, int column) const {
    if (row >= M || column >= N) return;
    const size_t at = (size_t)row * ldc + column;
    const int count = N - column;
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] *= alpha;
    if (bias) add(v, bias + column, count);
    if (flags & GEMM_F32) {
      float* out = (float*)c + at;
      if (residual) add(v, (const float*)residual + at, count);
      if (flags & GEMM_ACCUMULATE) add(v, out, count);
      put(out, v, count);
    } else {
      bf16* out = (bf16*)c + at;
      if (residual) add(v, (const bf16*)residual + at, count);
      if (flags & GEMM_ACCUMULATE) add(v, out, count);
      put(out, v, count);
    }
  }

 private:
  __device__ __forceinline__ bool is_wide(int count) const { return (flags & GEMM_WIDE) && count >= 8; }

  __device__ __forceinline__ void add(float (&v)[8], const float* p, int count) const {
    if (is_wide(count)) {
#pragma unroll
      for (int i = 0; i < 8; i += 4) {
        const uint4 q = load16(p + i);
        v[i] += __uint_as_float(q.x);
        v[i + 1] += __uint_as_float(q.y);
        v[i + 2] += __uint_as_float(q.z);
        v[i + 3] += __uint_as_float(q.w);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) v[i] += i < count ? p[i] : 0.0f;
    }
  }

  __device__ __forceinline__ void add(float (&v)[8], const bf16* p, int count) const {
    if (is_wide(count)) {
      const uint4 q = load16(p);
      const u32 pairs[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
      for (int i = 0; i < 4; i++) {
        v[2 * i] += pair_lo(pairs[i]);
        v[2 * i + 1] += pair_hi(pairs[i]);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) v[i] += i < count ? bf2f(p[i]) : 0.0f;
    }
  }

  __device__ __forceinline__ void put(float* p, const float (&v)[8], int count) const {
    if (is_wide(count)) {
#pragma unroll
      for (int i = 0; i < 8; i += 4) {
        store16(p + i, make_uint4(__float_as_uint(v[i]), __float_as_uint(v[i + 1]), __float_as_uint(v[i + 2]),
                                  __float_as_uint(v[i + 3])));
      }
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) {
        if (i < count) p[i] = v[i];
      }
    }
  }

  __device__ __forceinline__ void put(bf16* p, const float (&v)[8], int count) const {
    if (is_wide(count)) {
      store16(p, make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7])));
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) {
        if (i < count) p[i] = f2bf(v[i]);
      }
    }
  }
};

#endif
