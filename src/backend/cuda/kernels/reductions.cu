// Sums over rows and over whole buffers, in two ordered stages.   Reference: reference/reductions.ts, clip-scale.ts
#include "tensors.cuh"

/**
 * partials[blockIdx.y] = the sums over a block's rows of 32 packets of columns: each warp adds up every eighth row, then the
 * block adds up its warps in order. Grid (ceil(C / (32 packets)), blocks of rows), block 256.
 */
template <class T>
__device__ void column_sum(float* partials, const T* dy, int N, int C, int rows_per_block) {
  constexpr int P = Packet<T>::width;
  __shared__ __align__(16) float sums[8][32 * P];
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, slab = blockIdx.x * 32 * P;
  const int first = blockIdx.y * rows_per_block, end = min(first + rows_per_block, N);
  if (C % P == 0 && is_aligned16(dy)) {
    const int c = slab + lane * P;
    Floats<P> sum = {};
    if (c < C) {
#pragma unroll 4
      for (int n = first + warp; n < end; n += 8) {
        const Floats<P> d = load_floats<P>(dy + (u64)n * C + c);
#pragma unroll
        for (int k = 0; k < P; k++) sum.v[k] += d.v[k];
      }
    }
    store_floats<P>(&sums[warp][lane * P], sum);
  } else {
    for (int k = lane; k < 32 * P; k += 32) {
      float sum = 0.0f;
      if (slab + k < C) {
        for (int n = first + warp; n < end; n += 8) sum += to_float(dy[(u64)n * C + slab + k]);
      }
      sums[warp][k] = sum;
    }
  }
  __syncthreads();
  for (int k = threadIdx.x; k < 32 * P && slab + k < C; k += 256) {
    float sum = 0.0f;
    for (int i = 0; i < 8; i++) sum += sums[i][k];
    partials[(u64)blockIdx.y * C + slab + k] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(256) column_sum_f32(float* partials, const float* dy, int N, int C, int rows_per_block) {
  column_sum<float>(partials, dy, N, C, rows_per_block);
}
extern "C" __global__ void __launch_bounds__(256) column_sum_bf16(float* partials, const bf16* dy, int N, int C, int rows_per_block) {
  column_sum<bf16>(partials, dy, N, C, rows_per_block);
}

/**
 * out[c] += sum_i partials[i * stride + c] for c < C: each warp of a block adds up its share in order, then the block its warps.
 * Grid ceil(C / 32), block 32 x any number of warps.
 */
extern "C" __global__ void __launch_bounds__(1024) add_partials(float* out, const float* partials, int count, int stride, int C) {
  __shared__ float sums[32][32];
  const int group = threadIdx.x >> 5, lane = threadIdx.x & 31, groups = blockDim.x >> 5, c = blockIdx.x * 32 + lane;
  float sum = 0.0f;
  if (c < C) {
#pragma unroll 8
    for (int i = group; i < count; i += groups) sum += partials[(u64)i * stride + c];
  }
  sums[group][lane] = sum;
  __syncthreads();
  if (group == 0 && c < C) {
    for (int i = 1; i < groups; i++) sum += sums[i][lane];
    out[c] += sum;
  }
}

/** The sum over a block of 256, in thread 0: over each warp, then over the warps in order. */
__device__ __forceinline__ double block_sum(double x) {
  __shared__ double sums[8];
  x = warp_sum(x);
  if ((threadIdx.x & 31) == 0) sums[threadIdx.x >> 5] = x;
  __syncthreads();
  double total = 0.0;
  for (int i = 0; i < 8; i++) total += sums[i];
  return total;
}

/** The sum of this block's share of x, or of x^2, in thread 0. Block 256. */
template <class T>
__device__ __forceinline__ double sum_share(u32 block, u32 blocks, const T* x, u32 length, bool squared) {
  double sum = 0.0;
  for_all_in<T>(block, blocks, length, is_aligned16(x), [&](auto width, u64 i) {
    constexpr int W = decltype(width)::value;
    const Floats<W> v = load_floats<W>(x + i);
#pragma unroll
    for (int k = 0; k < W; k++) sum += squared ? (double)v.v[k] * v.v[k] : (double)v.v[k];
  });
  return block_sum(sum);
}

/** Block `b` sums its share of x (or of x^2) into partials[b]; with one block the sum goes to out[index] at once. Block 256. */
template <class T>
__device__ void sum_stage(double* partials, float* out, const int* index_at, int index, const T* x, u32 length, int squared) {
  const double total = sum_share<T>(blockIdx.x, gridDim.x, x, length, squared);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1) {
    out[scalar(index_at, index)] = (float)total;
  } else {
    partials[blockIdx.x] = total;
  }
}

extern "C" __global__ void __launch_bounds__(256)
    sum_f32(double* partials, float* out, const int* index_at, int index, const float* x, u32 length, int squared) {
  sum_stage<float>(partials, out, index_at, index, x, length, squared);
}
extern "C" __global__ void __launch_bounds__(256)
    sum_bf16(double* partials, float* out, const int* index_at, int index, const bf16* x, u32 length, int squared) {
  sum_stage<bf16>(partials, out, index_at, index, x, length, squared);
}

/** The sum of partial sums, in thread 0. Block 256. */
__device__ __forceinline__ double sum_partials(const double* partials, int count) {
  double sum = 0.0;
  for (int i = threadIdx.x; i < count; i += 256) sum += partials[i];
  return block_sum(sum);
}

/** out[index] = the sum of the partial sums. One block of 256. */
extern "C" __global__ void __launch_bounds__(256)
    sum_finish(float* out, const int* index_at, int index, const double* partials, int count) {
  const double total = sum_partials(partials, count);
  if (threadIdx.x == 0) out[scalar(index_at, index)] = (float)total;
}

struct SquaresRow {
  const float* x;
  u32 first_block, blocks, length;
};

/** Every block sums the squares of its share of its tensor into its place of `partials`. Block 256. */
extern "C" __global__ void __launch_bounds__(256) sum_squares(double* partials, int count, const Table<SquaresRow, 128> table) {
  const SquaresRow& row = row_of_block(table, count);
  const double total = sum_share<float>(blockIdx.x - row.first_block, row.blocks, row.x, row.length, true);
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

/** out[i] = the sum of tensor i. A block of 256 for each tensor. */
extern "C" __global__ void __launch_bounds__(256)
    sum_squares_finish(float* out, const double* partials, const Table<SquaresRow, 128> table) {
  const SquaresRow& row = table.rows[blockIdx.x];
  const double total = sum_partials(partials + row.first_block, row.blocks);
  if (threadIdx.x == 0) out[blockIdx.x] = (float)total;
}

/**
 * Loss, norm, the factor of the gradients and whether training is to stop (ClipScaleArgs in kernels.ts), in double and in the
 * order of the index. One thread.
 */
extern "C" __global__ void clip_scale(float* out, const float* sums, int num_losses, int num_squares, float num_tokens, float clip,
                                      const float* max_loss_at, float max_loss) {
  double loss = 0.0, squares = 0.0;
  for (int i = 0; i < num_losses; i++) loss += sums[i];
  for (int i = 0; i < num_squares; i++) squares += sums[num_losses + i];
  loss /= num_tokens;
  const double norm = sqrt(squares);
  // A comparison with NaN is false: written so that NaN halts.
  const bool sound = loss - loss == 0.0 && norm - norm == 0.0 && loss <= scalar(max_loss_at, max_loss);
  const bool halted = out[3] != 0.0f || !sound;
  const double factor = clip / (norm + 1e-6);
  out[0] = (float)loss;
  out[1] = (float)norm;
  out[2] = halted ? __uint_as_float(0x7fffffffu) : (float)(factor < 1.0 ? factor : 1.0);
  out[3] = halted ? 1.0f : 0.0f;
}
