// Loops that the kernels share: rows or elements dealt to threads in pieces of fixed size, and sums over rows in two
// steps (fixed blocks of rows, then the blocks in order), so that the number of threads cannot change a result.
#ifndef STLM_ROWS_H
#define STLM_ROWS_H

#include "context.h"
#include "f32x16.h"

#define ROW_BLOCK 32
#define ELEMENT_BLOCK 16384

INLINE int row_blocks(int N) { return (N + ROW_BLOCK - 1) / ROW_BLOCK; }
INLINE int row_end(int N, int block) { return MINIMUM(N, (block + 1) * ROW_BLOCK); }
INLINE int element_blocks(int64_t length) { return (int)((length + ELEMENT_BLOCK - 1) / ELEMENT_BLOCK); }
INLINE int64_t element_end(int64_t length, int block) {
  const int64_t end = ((int64_t)block + 1) * ELEMENT_BLOCK;
  return MINIMUM(length, end);
}

// for (c, n) in EACH_VECTOR(C): c steps by 16, n is 16 or what is left.
#define EACH_VECTOR(c, n, C) \
  for (int c = 0, n = MINIMUM(LANES, (C)); c < (C); c += LANES, n = MINIMUM(LANES, (C) - c))

// for (i, n): i steps by 16 through the block, n is 16 or what is left.
#define EACH_ELEMENT(i, n, length, block) \
  for (int64_t i = (int64_t)(block) * ELEMENT_BLOCK, last = element_end(length, block), n = MINIMUM(LANES, last - i); \
       i < last; i += LANES, n = MINIMUM(LANES, last - i))

// Whole vectors take the fast path; the compiler sees the constant.
INLINE f32x16 load_up_to(const float *p, int64_t n) { return n == LANES ? load16(p) : load_part(p, (int)n); }
INLINE void store_up_to(float *p, f32x16 x, int64_t n) {
  if (n == LANES) store16(p, x);
  else store_part(p, x, (int)n);
}

// An overflow must not end as 1/sqrt(inf) = 0, which looks like a result.
INLINE float finite_or_nan(float x) { return x + (x - x); }

typedef struct {
  float *out;
  const float *partial; // (blocks, stride)
  size_t stride;
  int blocks, C;
} partial_sums;

// out[c] += partial[0][c] + partial[1][c] + ..., in this order.
INLINE void add_partials(const partial_sums *s) {
  EACH_VECTOR(c, n, s->C) {
    f32x16 total = load_up_to(s->out + c, n);
    for (int block = 0; block < s->blocks; block++) {
      total = add16(total, load_up_to(s->partial + (size_t)block * s->stride + c, n));
    }
    store_up_to(s->out + c, total, n);
  }
}

#endif
