// The simulator's counterpart of kernels/prelude.cuh: the same names for g++, on fibers. It is read first, and its macro keeps the
// device prelude out, so the kernel files are the same bytes that nvcc compiles.
#pragma once
#define STLM_CUDA_PRELUDE

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "async-copy.h"
#include "block.h"
#include "errors.h"
#include "registry.h"
#include "warp.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__
// One block runs at a time, so a block's shared variables can be static. Their section is filled with NaNs before each block.
#define __shared__ static __attribute__((section("cudasim_shared")))
#define DYN_SMEM(name) unsigned char* const name = cudasim::dynamicShared

#define threadIdx (cudasim::current->threadIndex)
#define blockIdx (cudasim::blockIndex)
#define blockDim (cudasim::blockSize)
#define gridDim (cudasim::gridSize)
#define warpSize 32
#define FULL_WARP 0xffffffffu

// Kernels are compiled inside this namespace, where these names win over those of the C library.
namespace cudasim::device {

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

#include "device-types.h"
#include "device-math.h"

inline void __syncthreads() { blockBarrier(); }
inline void __syncwarp(u32 mask = FULL_WARP) { warpSync(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline void requireWidth32(int width) {
  if (width != 32) fail(errorLaunchFailed, "the simulator knows shuffles over whole warps only, not width %d", width);
}
template <class T>
T __shfl_sync(u32 mask, T value, int source, int width = 32) {
  requireWidth32(width);
  return shuffleAs(mask, value, source);
}
template <class T>
T __shfl_xor_sync(u32 mask, T value, int offset, int width = 32) {
  requireWidth32(width);
  return shuffleAs(mask, value, laneIndex() ^ offset);
}
template <class T>
T __shfl_down_sync(u32 mask, T value, int offset, int width = 32) {
  requireWidth32(width);
  return shuffleAs(mask, value, laneIndex() + offset > 31 ? laneIndex() : laneIndex() + offset);
}
template <class T>
T __shfl_up_sync(u32 mask, T value, int offset, int width = 32) {
  requireWidth32(width);
  return shuffleAs(mask, value, laneIndex() < offset ? laneIndex() : laneIndex() - offset);
}
inline u32 __ballot_sync(u32 mask, int predicate) { return ballot(mask, predicate != 0); }
inline int __any_sync(u32 mask, int predicate) { return ballot(mask, predicate != 0) != 0; }
inline int __all_sync(u32 mask, int predicate) { return ballot(mask, predicate == 0) == 0; }

// Sums of floats by atomics depend on the order of threads; only integers are allowed.
template <class T>
T atomicAdd(T* address, T value) {
  static_assert(std::is_integral_v<T>, "atomics on floats would make results depend on the schedule");
  const T old = *address;
  *address = old + value;
  return old;
}
template <class T>
T atomicMax(T* address, T value) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  if (value > old) *address = value;
  return old;
}
template <class T>
T atomicMin(T* address, T value) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  if (value < old) *address = value;
  return old;
}
template <class T>
T atomicOr(T* address, T value) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  *address = old | value;
  return old;
}
template <class T>
T atomicExch(T* address, T value) {
  const T old = *address;
  *address = value;
  return old;
}
template <class T>
T atomicCAS(T* address, T expected, T value) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

inline void cp_async16(void* shared, const void* global) { issueCopy(shared, global, 16); }
inline void cp_async16_zfill(void* shared, const void* global, int bytes) { issueCopy(shared, global, bytes); }
inline void cp_async_commit() { commitCopies(); }
template <int N>
void cp_async_wait() {
  waitForCopies(N);
}

inline void ldmatrix_x4(u32 (&r)[4], const void* row) { loadMatrices(r, row, false); }
inline void ldmatrix_x4_trans(u32 (&r)[4], const void* row) { loadMatrices(r, row, true); }
inline void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { multiplyMatrices(d, a, b0, b1); }

}  // namespace cudasim::device
