// Cross-entropy of rows of logits and its gradient in place.   Reference: reference/head-loss.ts
// losses[n] = log sum_v exp(logits[n,v]) - logits[n,targets[n]]; with `gradient` row n becomes
// gradient_scale (softmax(logits[n]) - onehot(targets[n])). A target of -1 gives 0 and zeros, another outside 0..V-1 NaN.
// logits (N, V) bf16, rows `stride` elements apart (a multiple of 8), of which columns V.. become 0; 16-byte aligned.
// One block of any number of warps per row, last rows first: those that the product wrote last are still in the L2 cache. A long row
// wants a large block: with two rows of 50,257 on each of 132 multiprocessors the second pass finds all of them in 26 MB of L2.
#include "numbers.cuh"

#define MOST_THREADS 768
#define LOG2E 1.4426950408889634f
#define LOWEST -3.4e38f

/** A maximum and the sum of 2^((x - maximum) log2(e)) below it: partial sums of a softmax that can be joined in any order. */
struct Softmax {
  float max, sum;
};

__device__ __forceinline__ Softmax join(Softmax a, Softmax b) {
  Softmax r;
  r.max = fmaxf(a.max, b.max);
  r.sum = a.sum * exp2_fast((a.max - r.max) * LOG2E) + b.sum * exp2_fast((b.max - r.max) * LOG2E);
  return r;
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2)
    cross_entropy(bf16* logits, float* losses, const int* targets, int V, int stride, float gradient_scale, int gradient) {
  __shared__ float maxima[MOST_THREADS / 32], sums[MOST_THREADS / 32];
  const int n = gridDim.x - 1 - blockIdx.x, target = targets[n];
  bf16* row = logits + (u64)n * stride;
  const bool ignored = target == -1;
  if (ignored && !gradient) {
    if (threadIdx.x == 0) losses[n] = 0.0f;
    return;
  }

  Softmax s;
  s.max = LOWEST;
  s.sum = 0.0f;
  // The next packet is on its way while this one is added up.
  uint4 next = load16(row + min((int)threadIdx.x * 8, stride - 8));
  for (int v = threadIdx.x * 8; v < V; v += blockDim.x * 8) {
    const Floats<8> x = unpack_floats(next);
    next = load16(row + min(v + (int)blockDim.x * 8, stride - 8));
    float largest = s.max;
#pragma unroll
    for (int k = 0; k < 8; k++) {
      if (v + k < V) largest = fmaxf(largest, x.v[k]);
    }
    float sum = s.sum * exp2_fast((s.max - largest) * LOG2E);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      if (v + k < V) sum += exp2_fast((x.v[k] - largest) * LOG2E);
    }
    s.max = largest;
    s.sum = sum;
  }
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) {
    Softmax other;
    other.max = __shfl_xor_sync(FULL_WARP, s.max, d);
    other.sum = __shfl_xor_sync(FULL_WARP, s.sum, d);
    s = join(s, other);
  }
  const int warp = threadIdx.x >> 5;
  if ((threadIdx.x & 31) == 0) {
    maxima[warp] = s.max;
    sums[warp] = s.sum;
  }
  __syncthreads();
  s.max = maxima[0];
  s.sum = sums[0];
  for (int i = 1; i < (int)blockDim.x / 32; i++) {
    Softmax other;
    other.max = maxima[i];
    other.sum = sums[i];
    s = join(s, other);
  }

  const bool known = target >= 0 && target < V;
  const float invalid = known || ignored ? 0.0f : __uint_as_float(0x7fffffffu);
  // The target's logit is read before the barrier, behind which rows are overwritten.
  if (threadIdx.x == 0) {
    losses[n] = ignored ? 0.0f : s.max + logf(s.sum) - (known ? bf2f(row[target]) : 0.0f) + invalid;
  }
  if (!gradient) return;
  __syncthreads();
  const float scale = gradient_scale / s.sum;
  for (int v = threadIdx.x * 8; v < stride; v += blockDim.x * 8) {
    Floats<8> x = load_floats<8>(row + v);
#pragma unroll
    for (int k = 0; k < 8; k++) {
      const float onehot = v + k == target ? gradient_scale : 0.0f;
      const float d = exp2_fast((x.v[k] - s.max) * LOG2E) * scale - onehot + invalid;
      x.v[k] = ignored || v + k >= V ? 0.0f : d;
    }
    store_floats<8>(row + v, x);
  }
}
