// Several numbers at a time, as floats, from float or bf16 memory; sums over a warp; numbers that are read when a kernel runs.
#ifndef STLM_NUMBERS
#define STLM_NUMBERS

#include "prelude.cuh"

template <int W>
struct Floats {
  float v[W];
};

/** W numbers from p on: 16 or 8 bytes at once where W and the type allow, so p must then be aligned to that. */
template <int W>
__device__ __forceinline__ Floats<W> load_floats(const float* p) {
  Floats<W> r;
  if constexpr (W % 4 == 0) {
#pragma unroll
    for (int i = 0; i < W; i += 4) {
      const uint4 q = load16(p + i);
      r.v[i] = __uint_as_float(q.x);
      r.v[i + 1] = __uint_as_float(q.y);
      r.v[i + 2] = __uint_as_float(q.z);
      r.v[i + 3] = __uint_as_float(q.w);
    }
  } else {
#pragma unroll
    for (int i = 0; i < W; i++) r.v[i] = p[i];
  }
  return r;
}

__device__ __forceinline__ void unpack_pair(float* v, u32 pair) {
  v[0] = pair_lo(pair);
  v[1] = pair_hi(pair);
}

/** Eight bf16 that were loaded as 16 bytes. */
__device__ __forceinline__ Floats<8> unpack_floats(uint4 q) {
  Floats<8> r;
  unpack_pair(r.v, q.x);
  unpack_pair(r.v + 2, q.y);
  unpack_pair(r.v + 4, q.z);
  unpack_pair(r.v + 6, q.w);
  return r;
}

template <int W>
__device__ __forceinline__ Floats<W> load_floats(const bf16* p) {
  Floats<W> r;
  if constexpr (W == 8) {
    r = unpack_floats(load16(p));
  } else if constexpr (W == 4) {
    const uint2 q = load8(p);
    unpack_pair(r.v, q.x);
    unpack_pair(r.v + 2, q.y);
  } else {
#pragma unroll
    for (int i = 0; i < W; i++) r.v[i] = bf2f(p[i]);
  }
  return r;
}

template <int W>
__device__ __forceinline__ void store_floats(float* p, const Floats<W>& r) {
  if constexpr (W % 4 == 0) {
#pragma unroll
    for (int i = 0; i < W; i += 4) {
      uint4 q;
      q.x = __float_as_uint(r.v[i]);
      q.y = __float_as_uint(r.v[i + 1]);
      q.z = __float_as_uint(r.v[i + 2]);
      q.w = __float_as_uint(r.v[i + 3]);
      store16(p + i, q);
    }
  } else {
#pragma unroll
    for (int i = 0; i < W; i++) p[i] = r.v[i];
  }
}

template <int W>
__device__ __forceinline__ void store_floats(bf16* p, const Floats<W>& r) {
  if constexpr (W == 8) {
    uint4 q;
    q.x = pack_bf16(r.v[0], r.v[1]);
    q.y = pack_bf16(r.v[2], r.v[3]);
    q.z = pack_bf16(r.v[4], r.v[5]);
    q.w = pack_bf16(r.v[6], r.v[7]);
    store16(p, q);
  } else if constexpr (W == 4) {
    uint2 q;
    q.x = pack_bf16(r.v[0], r.v[1]);
    q.y = pack_bf16(r.v[2], r.v[3]);
    store8(p, q);
  } else {
#pragma unroll
    for (int i = 0; i < W; i++) p[i] = f2bf(r.v[i]);
  }
}

/** How many numbers of a type are 16 bytes: the width of the fast path. */
template <class T>
struct Packet {
  static constexpr int width = 16 / sizeof(T);
};

/** Tells a body how many numbers to handle: `decltype(width)::value` is 1 or the packet's width. */
template <int W>
struct Width {
  static constexpr int value = W;
};

__device__ __forceinline__ bool is_aligned16(const void* p) { return ((u64)p & 15) == 0; }

/**
 * body(width, first) for all of 0..length-1, shared out over so many blocks, of which this is number `block`: packets of T where
 * `aligned` (all addresses are multiples of 16), the rest one by one.
 */
template <class T, class Body>
__device__ __forceinline__ void for_all_in(u32 block, u32 blocks, u32 length, bool aligned, Body body) {
  constexpr int P = Packet<T>::width;
  const u64 thread = (u64)block * blockDim.x + threadIdx.x, threads = (u64)blocks * blockDim.x;
  const u64 packets = aligned ? length / P : 0;
  for (u64 i = thread; i < packets; i += threads) body(Width<P>(), i * P);
  for (u64 i = packets * P + thread; i < length; i += threads) body(Width<1>(), i);
}

/** The same over the whole grid. */
template <class T, class Body>
__device__ __forceinline__ void for_all(u32 length, bool aligned, Body body) {
  for_all_in<T>(blockIdx.x, gridDim.x, length, aligned, body);
}

/** body(width, first column) for the columns of a row, shared out over the lanes of a warp. */
template <class T, class Body>
__device__ __forceinline__ void for_columns(int C, bool aligned, Body body) {
  constexpr int P = Packet<T>::width;
  const int lane = threadIdx.x & 31;
  if (aligned) {
    for (int c = lane * P; c < C; c += 32 * P) body(Width<P>(), c);
  } else {
    for (int c = lane; c < C; c += 32) body(Width<1>(), c);
  }
}

/** The sum over the lanes, the same in each of them. */
template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(FULL_WARP, x, d);
  return x;
}

/** NaN for a sum that float32 could not hold: an overflow must end as a divergence, never as 1 / sqrt(inf) = 0. */
__device__ __forceinline__ float finite_or_nan(float sum) { return sum + (sum - sum); }

/** A Scalar of the contract: what `at` points to, unless it is null. */
__device__ __forceinline__ float scalar(const float* at, float value) { return at ? *at : value; }
__device__ __forceinline__ int scalar(const int* at, int value) { return at ? *at : value; }

#endif
