// Philox4x32-10 on sixteen counters at once, equal to src/util/philox.ts   (Salmon, Moraes, Dror & Shaw 2011).
#ifndef STLM_PHILOX16_H
#define STLM_PHILOX16_H

#include "f32x16.h"

// What fixes a dropout mask: the key (seed, purpose) and the counter words (first + block, step, site, 0). Elements
// whose word is below `threshold` are dropped; the others are multiplied by `keep` = 1 / (1 - p).
typedef struct {
  uint32_t seed, purpose, first, step, site, threshold;
  float keep;
} dropout_key;

// Words 0..3 of sixteen blocks of a mask.
INLINE void philox16(u32x16 out[4], u32x16 blocks, const dropout_key *key) {
  u32x16 c0 = uadd(blocks, uset(key->first)), c1 = uset(key->step), c2 = uset(key->site), c3 = uset(0);
  uint32_t k0 = key->seed, k1 = key->purpose;
  for (int round = 0; round < 10; round++) {
    u32x16 high0, low0, high1, low1;
    uproduct(c0, 0xd2511f53u, &high0, &low0);
    uproduct(c2, 0xcd9e8d57u, &high1, &low1);
    c0 = uxor(uxor(high1, c1), uset(k0));
    c1 = low1;
    c2 = uxor(uxor(high0, c3), uset(k1));
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// The words of the 64 elements from `first` (a multiple of 4) on, in the order of the elements.
INLINE void philox_words(uint32_t words[64], uint64_t first, const dropout_key *key) {
  uint32_t counter[16], column[16];
  for (int i = 0; i < 16; i++) counter[i] = (uint32_t)(first / 4) + (uint32_t)i;
  u32x16 out[4];
  philox16(out, uload(counter), key);
  for (int w = 0; w < 4; w++) {
    ustore(column, out[w]);
    for (int i = 0; i < 16; i++) words[4 * i + w] = column[i];
  }
}

#endif
