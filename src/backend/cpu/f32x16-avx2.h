// f32x16 as two AVX2 registers. See f32x16.h.
#include <immintrin.h>

typedef struct { __m256 lo, hi; } f32x16;
typedef struct { __m256i lo, hi; } u32x16;

INLINE f32x16 both(__m256 lo, __m256 hi) { f32x16 r = {lo, hi}; return r; }
INLINE u32x16 uboth(__m256i lo, __m256i hi) { u32x16 r = {lo, hi}; return r; }

INLINE f32x16 set16(float x) { const __m256 v = _mm256_set1_ps(x); return both(v, v); }
INLINE f32x16 zero16(void) { const __m256 v = _mm256_setzero_ps(); return both(v, v); }
INLINE f32x16 load16(const float *p) { return both(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
INLINE void store16(float *p, f32x16 x) { _mm256_storeu_ps(p, x.lo); _mm256_storeu_ps(p + 8, x.hi); }
INLINE __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE f32x16 load_part(const float *p, int n) {
  return both(_mm256_maskload_ps(p, first_lanes(n)), _mm256_maskload_ps(n > 8 ? p + 8 : p, first_lanes(n - 8)));
}
INLINE void store_part(float *p, f32x16 x, int n) {
  _mm256_maskstore_ps(p, first_lanes(n), x.lo);
  if (n > 8) _mm256_maskstore_ps(p + 8, first_lanes(n - 8), x.hi);
}

#define LANEWISE(name, op) \
  INLINE f32x16 name(f32x16 a, f32x16 b) { return both(op(a.lo, b.lo), op(a.hi, b.hi)); }
LANEWISE(add16, _mm256_add_ps)
LANEWISE(sub16, _mm256_sub_ps)
LANEWISE(mul16, _mm256_mul_ps)
LANEWISE(div16, _mm256_div_ps)
LANEWISE(max16, _mm256_max_ps)
LANEWISE(min16, _mm256_min_ps)
#undef LANEWISE
INLINE f32x16 sqrt16(f32x16 a) { return both(_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)); }
INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) {
  return both(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi));
}
INLINE __m256 where_half(__m256 x, __m256 a, __m256 b) {
  return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GE_OQ));
}
INLINE f32x16 where_not_negative(f32x16 x, f32x16 a, f32x16 b) {
  return both(where_half(x.lo, a.lo, b.lo), where_half(x.hi, a.hi, b.hi));
}
INLINE f32x16 swap_pairs(f32x16 x) { return both(_mm256_permute_ps(x.lo, 0xB1), _mm256_permute_ps(x.hi, 0xB1)); }

// 2^n is split into two normal factors, so the only rounding is in the last product.
INLINE __m256 scale_half(__m256 p, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n), first = _mm256_srai_epi32(whole, 1);
  const __m256i second = _mm256_sub_epi32(whole, first), bias = _mm256_set1_epi32(127);
  const __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
  const __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(p, a), b);
}
INLINE f32x16 scale_by_power(f32x16 p, f32x16 n) { return both(scale_half(p.lo, n.lo), scale_half(p.hi, n.hi)); }

INLINE u32x16 uset(uint32_t x) { const __m256i v = _mm256_set1_epi32((int)x); return uboth(v, v); }
INLINE u32x16 uload(const uint32_t *p) {
  return uboth(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8)));
}
INLINE void ustore(uint32_t *p, u32x16 x) {
  _mm256_storeu_si256((__m256i *)p, x.lo);
  _mm256_storeu_si256((__m256i *)(p + 8), x.hi);
}
INLINE u32x16 uadd(u32x16 a, u32x16 b) { return uboth(_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)); }
INLINE u32x16 uxor(u32x16 a, u32x16 b) { return uboth(_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)); }
INLINE void product_half(__m256i a, __m256i factor, __m256i *high, __m256i *low) {
  const __m256i even = _mm256_mul_epu32(a, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}
INLINE void uproduct(u32x16 a, uint32_t m, u32x16 *high, u32x16 *low) {
  const __m256i factor = _mm256_set1_epi32((int)m);
  product_half(a.lo, factor, &high->lo, &low->lo);
  product_half(a.hi, factor, &high->hi, &low->hi);
}
INLINE __m256 keep_half(__m256 x, __m256i words, __m256i threshold) {
  return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(words, threshold), words)));
}
INLINE f32x16 keep_at_least(f32x16 x, u32x16 words, uint32_t threshold) {
  const __m256i t = _mm256_set1_epi32((int)threshold);
  return both(keep_half(x.lo, words.lo, t), keep_half(x.hi, words.hi, t));
}

// The nearest bfloat16, ties to even; NaN stays NaN.
INLINE __m256 bf16_half(__m256 x) {
  const __m256i u = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x00400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i chosen = _mm256_blendv_epi8(up, quiet, nan);
  return _mm256_castsi256_ps(_mm256_and_si256(chosen, _mm256_set1_epi32((int)0xffff0000)));
}
INLINE f32x16 round_to_bf16(f32x16 x) { return both(bf16_half(x.lo), bf16_half(x.hi)); }

INLINE void transpose8(__m256 r[8]) {
  __m256 t[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const __m256 a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
    const __m256 c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    t[i] = _mm256_shuffle_ps(a, c, 0x44);
    t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
    t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
    t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
  }
}

// Rows to columns: afterwards lane j of r[i] is what lane i of r[j] was.
INLINE void transpose16(f32x16 r[16]) {
  __m256 quarter[4][8]; // upper left, upper right, lower left, lower right
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    quarter[0][i] = r[i].lo;
    quarter[1][i] = r[i].hi;
    quarter[2][i] = r[i + 8].lo;
    quarter[3][i] = r[i + 8].hi;
  }
#pragma GCC unroll 4
  for (int q = 0; q < 4; q++) transpose8(quarter[q]);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    r[i] = both(quarter[0][i], quarter[2][i]);
    r[i + 8] = both(quarter[1][i], quarter[3][i]);
  }
}
