// Kernels with the mistakes that the simulator must see, and small ones that are right. For simulator.test.ts.
#include "prelude.cuh"

/** Right: the block's values in reverse order, by way of shared memory. */
extern "C" __global__ void __launch_bounds__(128) reverse(float* y, const float* x) {
  __shared__ float values[128];
  values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = values[127 - threadIdx.x];
}

/** Right: half a warp sums its own values while the other half does something else. */
extern "C" __global__ void half_warp_sums(float* y, const float* x) {
  const u32 mask = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;
  float v = x[threadIdx.x];
  if (threadIdx.x < 16) v *= 2.0f;
  for (int offset = 8; offset; offset >>= 1) v += __shfl_xor_sync(mask, v, offset);
  y[threadIdx.x] = v + (float)(__ballot_sync(FULL_WARP, threadIdx.x % 2) & 0xff);
}

extern "C" __global__ void missing_barrier(float* y, const float* x) {
  __shared__ float values[128];
  values[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = values[127 - threadIdx.x];
}

extern "C" __global__ void unset_shared(float* y, const float*) {
  __shared__ float values[128];
  if (threadIdx.x < 64) values[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
}

extern "C" __global__ void early_read_of_copy(float* y, const float* x) {
  __shared__ __align__(16) float values[128];
  if (threadIdx.x < 32) cp_async16(values + threadIdx.x * 4, x + threadIdx.x * 4);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  y[threadIdx.x] = values[threadIdx.x];
  cp_async_wait<0>();
}

extern "C" __global__ void copies_at_the_end(float*, const float* x) {
  __shared__ __align__(16) float values[128];
  if (threadIdx.x < 32) cp_async16(values + threadIdx.x * 4, x + threadIdx.x * 4);
  cp_async_commit();
}

extern "C" __global__ void misaligned_copy(float*, const float* x) {
  __shared__ __align__(16) float values[128];
  if (threadIdx.x < 16) cp_async16(values + threadIdx.x * 4, x + 1 + threadIdx.x * 4);
  cp_async_commit();
  cp_async_wait<0>();
}

extern "C" __global__ void misaligned_load(float* y, const float* x) { y[threadIdx.x] = __uint_as_float(load16(x + threadIdx.x).x); }

extern "C" __global__ void diverged_masks(float* y, const float* x) {
  y[threadIdx.x] = __shfl_xor_sync(threadIdx.x % 32 < 16 ? FULL_WARP : 0xffff8000u, x[threadIdx.x], 1);
}

extern "C" __global__ void missing_lane(float* y, const float* x) {
  if (threadIdx.x % 32 == 5) return;
  y[threadIdx.x] = __shfl_xor_sync(FULL_WARP, x[threadIdx.x], 1);
}

extern "C" __global__ void barrier_in_a_branch(float* y, const float* x) {
  if (threadIdx.x % 32 < 16) {
    __syncthreads();
  } else {
    y[threadIdx.x] = __shfl_xor_sync(FULL_WARP, x[threadIdx.x], 1);
  }
}

extern "C" __global__ void null_pointer(float* y, const float*) {
  float* nothing = nullptr;
  if (threadIdx.x == 7) nothing[threadIdx.x] = y[0];
}

extern "C" __global__ void write_beyond(float* y, const float*) {
  if (threadIdx.x == 0) y[128] = 1.0f;
}

extern "C" __global__ void write_beyond_shared(float*, const float*) {
  DYN_SMEM(shared);
  shared[16 * 1024 + threadIdx.x] = 1;
}

extern "C" __global__ void endless_recursion(float* y, const float* x) {
  volatile float frame[4096];
  frame[threadIdx.x] = x[threadIdx.x];
  if (x != nullptr) endless_recursion(y, x);
  y[threadIdx.x] = frame[threadIdx.x];
}

extern "C" __global__ void division_by_zero(float* y, const float* x) { y[threadIdx.x] = (float)(7 / (int)(x[threadIdx.x] - x[0])); }
