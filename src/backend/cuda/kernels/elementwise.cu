// Sums, multiples, fills, copies and casts of whole buffers.   Reference: reference/elementwise.ts
// All over (length); any grid, block 256.
#include "tensors.cuh"

template <class T>
__device__ void add(T* y, const T* a, const T* b, u32 length) {
  for_all<T>(length, is_aligned16(y) && is_aligned16(a) && is_aligned16(b), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    Floats<W> r = load_floats<W>(a + i);
    const Floats<W> s = load_floats<W>(b + i);
#pragma unroll
    for (int k = 0; k < W; k++) r.v[k] += s.v[k];
    store_floats<W>(y + i, r);
  });
}

template <class T>
__device__ void scale(T* y, const T* x, float factor, u32 length) {
  for_all<T>(length, is_aligned16(y) && is_aligned16(x), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    Floats<W> r = load_floats<W>(x + i);
#pragma unroll
    for (int k = 0; k < W; k++) r.v[k] *= factor;
    store_floats<W>(y + i, r);
  });
}

/** Bit for bit: U is an integer of the element's size, so that no NaN changes. */
template <class U>
__device__ void copy(U* y, const U* x, u32 length) {
  for_all<U>(length, is_aligned16(y) && is_aligned16(x), [&](auto width, u64 i) {
    if constexpr (decltype(width)::value == 1) {
      y[i] = x[i];
    } else {
      store16(y + i, load16(x + i));
    }
  });
}

template <class U>
__device__ void fill(U* y, U value, u32 length) {
  const u32 word = sizeof(U) == 4 ? (u32)value : (u32)value << 16 | (u32)value;
  uint4 packet;
  packet.x = packet.y = packet.z = packet.w = word;
  for_all<U>(length, is_aligned16(y), [&](auto width, u64 i) {
    if constexpr (decltype(width)::value == 1) {
      y[i] = value;
    } else {
      store16(y + i, packet);
    }
  });
}

struct ClearRow {
  float* y;
  u32 first_block, blocks, length;
};

/** Zeros in many tensors. Any number of blocks for each. */
extern "C" __global__ void __launch_bounds__(256) clear(int count, const Table<ClearRow, 128> table) {
  const ClearRow& row = row_of_block(table, count);
  float* const y = row.y;
  for_all_in<float>(blockIdx.x - row.first_block, row.blocks, row.length, is_aligned16(y), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    store_floats<W>(y + i, Floats<W>{});
  });
}

/** Between float and bf16, rounding to the nearest; packets of 8 on both sides. */
template <class To, class From>
__device__ void cast(To* y, const From* x, u32 length) {
  for_all<bf16>(length, is_aligned16(y) && is_aligned16(x), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    store_floats<W>(y + i, load_floats<W>(x + i));
  });
}

extern "C" __global__ void __launch_bounds__(256) add_f32(float* y, const float* a, const float* b, u32 length) {
  add<float>(y, a, b, length);
}
extern "C" __global__ void __launch_bounds__(256) add_bf16(bf16* y, const bf16* a, const bf16* b, u32 length) {
  add<bf16>(y, a, b, length);
}
extern "C" __global__ void __launch_bounds__(256) scale_f32(float* y, const float* x, float factor, u32 length) {
  scale<float>(y, x, factor, length);
}
extern "C" __global__ void __launch_bounds__(256) scale_bf16(bf16* y, const bf16* x, float factor, u32 length) {
  scale<bf16>(y, x, factor, length);
}
extern "C" __global__ void __launch_bounds__(256) copy_32(u32* y, const u32* x, u32 length) { copy<u32>(y, x, length); }
extern "C" __global__ void __launch_bounds__(256) copy_16(u16* y, const u16* x, u32 length) { copy<u16>(y, x, length); }
extern "C" __global__ void __launch_bounds__(256) fill_32(u32* y, u32 value, u32 length) { fill<u32>(y, value, length); }
extern "C" __global__ void __launch_bounds__(256) fill_16(u16* y, u32 value, u32 length) { fill<u16>(y, (u16)value, length); }
extern "C" __global__ void __launch_bounds__(256) cast_f32_bf16(bf16* y, const float* x, u32 length) {
  cast<bf16, float>(y, x, length);
}
extern "C" __global__ void __launch_bounds__(256) cast_bf16_f32(float* y, const bf16* x, u32 length) {
  cast<float, bf16>(y, x, length);
}
