// What the inner loop of a product multiplies: elements of four bytes, made when operands are packed. In f32 an element is a
// number. In bf16 it is two numbers that follow each other along k, rounded to bfloat16, and one instruction multiplies and
// adds both; processors without that instruction take the rounded numbers one by one, in float32 arithmetic, so that the
// portable, AVX2 and AVX-512 builds give the same bits in bf16 too.
//
// STEP is how many numbers along k an element holds; STLM_BF16 selects bf16. Included once per compilation unit.
#ifndef STLM_OPERANDS_H
#define STLM_OPERANDS_H

#include "context.h"
#include "f32x16.h"

#if defined(STLM_BF16) && defined(__AVX512BF16__) && !defined(STLM_PORTABLE)
#define STEP 2
#else
#define STEP 1
#endif

// AMX multiplies 16 elements along k at once: packed operands go on in zeros to a multiple of it.
#ifdef STLM_TILES
#define K_MULTIPLE 16
#else
#define K_MULTIPLE 1
#endif

INLINE size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
// Elements that hold k numbers.
INLINE int elements(int k) { return (int)round_up((size_t)((k + STEP - 1) / STEP), K_MULTIPLE); }
// From one packed row of n elements to the next: never a distance at which many rows fall on the same cache sets.
INLINE int row_elements(int n) { return (int)round_up((size_t)n, LANES) + (n % 256 == 0 ? LANES : 0); }

INLINE f32x16 load_clipped(const float *p, int n) { return n >= LANES ? load16(p) : load_part(p, n > 0 ? n : 0); }

#if STEP == 2
// Lane j: (first[j], second[j]).
INLINE f32x16 pair_lanes(f32x16 first, f32x16 second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}
// Lanes 0..7: neighbours of `first`, lanes 8..15: of `second`.
INLINE f32x16 pair_neighbours(f32x16 first, f32x16 second) {
  return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(second, first));
}
INLINE f32x16 multiply16(const float *a, f32x16 b, f32x16 sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_ps(*a), (__m512bh)b);
}
#else
#ifdef STLM_BF16
INLINE f32x16 operand16(f32x16 x) { return round_to_bf16(x); }
#else
INLINE f32x16 operand16(f32x16 x) { return x; }
#endif
INLINE f32x16 multiply16(const float *a, f32x16 b, f32x16 sum) { return fma16(set16(*a), b, sum); }
#endif

// An element for each of n columns, from `k` rows (or as many as it holds) that are `stride` apart. Zeros in the rest.
INLINE f32x16 load_across(const float *p, ptrdiff_t stride, int k, int n) {
  if (k <= 0) return zero16();
#if STEP == 2
  return pair_lanes(load_clipped(p, n), k > 1 ? load_clipped(p + stride, n) : zero16());
#else
  (void)stride;
  return operand16(load_clipped(p, n));
#endif
}

// Sixteen elements from k numbers that follow each other. Zeros in the rest.
INLINE f32x16 load_along(const float *p, int k) {
#if STEP == 2
  return pair_neighbours(load_clipped(p, k), k > LANES ? load_clipped(p + LANES, k - LANES) : zero16());
#else
  return operand16(load_clipped(p, k));
#endif
}

// Copies a (k, columns) block of b, rows `stride` apart, to rows of `width` elements, zeros in the rest of each row.
INLINE void pack_rows(float *out, int width, const float *b, ptrdiff_t stride, int k, int columns) {
  const int count = elements(k);
  for (int i = 0; i < count; i++, b += STEP * stride, out += width) {
    const int left = k - i * STEP;
    int j = 0;
    if (left >= STEP) for (; j + LANES <= columns; j += LANES) store16(out + j, load_across(b + j, stride, STEP, LANES));
    for (; j < width; j += LANES) store16(out + j, j < columns ? load_across(b + j, stride, left, columns - j) : zero16());
  }
}

// The same of a transposed block: out[(i / STEP) * width + j] = b[j * stride + i] for i < k, j < columns.
static __attribute__((noinline, unused)) void pack_columns(float *out, int width, const float *b, ptrdiff_t stride,
                                                           int k, int columns) {
  const int count = elements(k);
  for (int j = 0; j < width; j += LANES) {
    const int present = MAXIMUM(0, MINIMUM(LANES, columns - j));
    for (int i = 0; i < count; i += LANES) {
      const int left = k - i * STEP;
      f32x16 block[LANES];
      if (present == LANES && left >= LANES * STEP) {
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) block[r] = load_along(b + (j + r) * stride + i * STEP, LANES * STEP);
      } else {
        for (int r = 0; r < LANES; r++) {
          block[r] = r < present && left > 0 ? load_along(b + (j + r) * stride + i * STEP, left) : zero16();
        }
      }
      transpose16(block);
      if (count - i >= LANES) {
#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++) store16(out + (ptrdiff_t)(i + r) * width + j, block[r]);
      } else {
        for (int r = 0; r < count - i; r++) store16(out + (ptrdiff_t)(i + r) * width + j, block[r]);
      }
    }
  }
}

// Rows of k numbers, `stride` apart, as rows of elements `width` apart. out may be the rows themselves.
INLINE void pack_along(float *out, int width, const float *a, ptrdiff_t stride, int rows, int k) {
  const int count = elements(k);
  for (int r = 0; r < rows; r++, a += stride, out += width) {
    int i = 0;
    for (; (i + LANES) * STEP <= k; i += LANES) store16(out + i, load_along(a + i * STEP, LANES * STEP));
    if (i < count) store_part(out + i, i * STEP < k ? load_along(a + i * STEP, k - i * STEP) : zero16(), count - i);
  }
}

#ifdef STLM_TILES
// A (k, columns) block as `columns` rows of elements, `width` apart.
static __attribute__((noinline, unused)) void pack_turned(float *out, int width, const float *b, ptrdiff_t stride, int k,
                                                          int columns) {
  const int count = elements(k);
  for (int j = 0; j < columns; j += LANES) {
    for (int i = 0; i < count; i += LANES) {
      f32x16 block[LANES];
      for (int r = 0; r < LANES; r++) {
        const int row = (i + r) * STEP;
        block[r] = row < k ? load_across(b + row * stride + j, stride, k - row, columns - j) : zero16();
      }
      transpose16(block);
      for (int r = 0; r < MINIMUM(LANES, columns - j); r++) store16(out + (ptrdiff_t)(j + r) * width + i, block[r]);
    }
  }
}
#endif

// Writes number `index` of those that an element holds.
INLINE void put_number(float *element, int index, float x) {
#if STEP == 2
  uint32_t u = bits_of(x);
  const uint32_t rounded = x != x ? u | 0x00400000u : u + 0x7fffu + ((u >> 16) & 1u);
  memcpy((char *)element + 2 * index, &(uint16_t){(uint16_t)(rounded >> 16)}, 2);
#else
  (void)index;
  float lanes[LANES];
  store16(lanes, operand16(set16(x)));
  *element = lanes[0];
#endif
}

#endif
