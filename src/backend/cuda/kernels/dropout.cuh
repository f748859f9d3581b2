// Dropout by counter: an element's fate depends only on (seed, step, site, index in the step), as src/util/philox.ts and every
// other device draw it   (Srivastava et al. 2014; Salmon, Moraes, Dror & Shaw 2011, Philox4x32-10).
#ifndef STLM_DROPOUT
#define STLM_DROPOUT

#include "numbers.cuh"

#define PURPOSE_DROPOUT 3u

/**
 * The parameters of a kernel that drops. Where `probability_at` is null, `threshold` and `keep` were computed on the host;
 * `blocks` is how far a micro-batch moves the counter on.
 */
#define DROPOUT_PARAMETERS                                                                                              \
  const float *probability_at, u32 threshold, float keep, u32 seed, const int *step_at, int step, const int *micro_batch_at, \
      int micro_batch, u32 blocks, u32 site
#define DROPOUT_ARGUMENTS probability_at, threshold, keep, seed, step_at, step, micro_batch_at, micro_batch, blocks, site

/** Elements whose word is below `threshold` are dropped; the others are multiplied by `keep` = 1 / (1 - p). */
struct Dropout {
  u32 seed, first, step, site, threshold;
  float keep;
};

__device__ __forceinline__ Dropout dropout_of(DROPOUT_PARAMETERS) {
  Dropout d;
  d.seed = seed;
  d.step = (u32)scalar(step_at, step);
  d.site = site;
  d.first = (u32)scalar(micro_batch_at, micro_batch) * blocks;
  d.threshold = threshold;
  d.keep = keep;
  if (probability_at) {
    const float p = *probability_at;
    d.threshold = (u32)ceilf(p * 4294967296.0f);
    d.keep = 1.0f / (1.0f - p);
  }
  return d;
}

/** The words of elements 4 block .. 4 block + 3 of the call. */
__device__ __forceinline__ void philox(u32 (&word)[4], u32 block, const Dropout& d) {
  u32 c0 = d.first + block, c1 = d.step, c2 = d.site, c3 = 0, k0 = d.seed, k1 = PURPOSE_DROPOUT;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const u64 product0 = (u64)0xd2511f53u * c0, product1 = (u64)0xcd9e8d57u * c2;
    c0 = (u32)(product1 >> 32) ^ c1 ^ k0;
    c1 = (u32)product1;
    c2 = (u32)(product0 >> 32) ^ c3 ^ k1;
    c3 = (u32)product0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  word[0] = c0;
  word[1] = c1;
  word[2] = c2;
  word[3] = c3;
}

__device__ __forceinline__ float drop(float x, u32 word, const Dropout& d) { return word < d.threshold ? 0.0f : x * d.keep; }

/** What multiplies element `index`: 0 or keep. */
__device__ __forceinline__ float drop_factor(u64 index, const Dropout& d) {
  u32 word[4];
  philox(word, (u32)(index >> 2), d);
  const u32 low = index & 1 ? word[1] : word[0], high = index & 1 ? word[3] : word[2];
  return (index & 2 ? high : low) < d.threshold ? 0.0f : d.keep;
}

#endif
