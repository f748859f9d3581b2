// f32x16 as one AVX-512 register. See f32x16.h.
#include <immintrin.h>

typedef __m512 f32x16;
typedef __m512i u32x16;

INLINE f32x16 set16(float x) { return _mm512_set1_ps(x); }
INLINE f32x16 zero16(void) { return _mm512_setzero_ps(); }
INLINE f32x16 load16(const float *p) { return _mm512_loadu_ps(p); }
INLINE void store16(float *p, f32x16 x) { _mm512_storeu_ps(p, x); }
INLINE __mmask16 first_lanes(int n) { return (__mmask16)((1u << n) - 1u); }
// The first n lanes (0..16), zeros above; memory beyond them is not touched.
INLINE f32x16 load_part(const float *p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void store_part(float *p, f32x16 x, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }

INLINE f32x16 add16(f32x16 a, f32x16 b) { return _mm512_add_ps(a, b); }
INLINE f32x16 sub16(f32x16 a, f32x16 b) { return _mm512_sub_ps(a, b); }
INLINE f32x16 mul16(f32x16 a, f32x16 b) { return _mm512_mul_ps(a, b); }
INLINE f32x16 div16(f32x16 a, f32x16 b) { return _mm512_div_ps(a, b); }
INLINE f32x16 sqrt16(f32x16 a) { return _mm512_sqrt_ps(a); }
INLINE f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) { return _mm512_fmadd_ps(a, b, c); }
// a > b ? a : b, so the second operand where one is NaN.
INLINE f32x16 max16(f32x16 a, f32x16 b) { return _mm512_max_ps(a, b); }
INLINE f32x16 min16(f32x16 a, f32x16 b) { return _mm512_min_ps(a, b); }
// x >= 0 ? a : b per lane (b for NaN).
INLINE f32x16 where_not_negative(f32x16 x, f32x16 a, f32x16 b) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GE_OQ), b, a);
}
// Lanes (0 1)(2 3)... exchanged.
INLINE f32x16 swap_pairs(f32x16 x) { return _mm512_permute_ps(x, 0xB1); }
// p * 2^n for a whole number n (a float), also where the result is subnormal.
INLINE f32x16 scale_by_power(f32x16 p, f32x16 n) { return _mm512_scalef_ps(p, n); }

INLINE u32x16 uset(uint32_t x) { return _mm512_set1_epi32((int)x); }
INLINE u32x16 uload(const uint32_t *p) { return _mm512_loadu_si512(p); }
INLINE void ustore(uint32_t *p, u32x16 x) { _mm512_storeu_si512(p, x); }
INLINE u32x16 uadd(u32x16 a, u32x16 b) { return _mm512_add_epi32(a, b); }
INLINE u32x16 uxor(u32x16 a, u32x16 b) { return _mm512_xor_si512(a, b); }
// High and low words of a * m.
INLINE void uproduct(u32x16 a, uint32_t m, u32x16 *high, u32x16 *low) {
  const __m512i factor = _mm512_set1_epi32((int)m);
  const __m512i even = _mm512_mul_epu32(a, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  *high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
// x where the word is at or above the threshold, else 0.
INLINE f32x16 keep_at_least(f32x16 x, u32x16 words, uint32_t threshold) {
  return _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(words, _mm512_set1_epi32((int)threshold)), x);
}

// The nearest bfloat16, ties to even; NaN stays NaN.
INLINE f32x16 round_to_bf16(f32x16 x) {
  const __m512i u = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i quiet = _mm512_or_si512(u, _mm512_set1_epi32(0x00400000));
  const __m512i chosen = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), up, quiet);
  return _mm512_castsi512_ps(_mm512_and_si512(chosen, _mm512_set1_epi32((int)0xffff0000)));
}

// Rows to columns: afterwards lane j of r[i] is what lane i of r[j] was.
INLINE void transpose16(f32x16 r[16]) {
  f32x16 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  // Now quadruples of rows within each 128-bit block.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 2]);
    const __m512d c = _mm512_castps_pd(t[i + 1]), d = _mm512_castps_pd(t[i + 3]);
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
    r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
  }
  // r[4 q + c] holds column c + 4 b of rows 4 q .. 4 q + 3 in block b: gather the blocks.
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const f32x16 a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88), b = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    const f32x16 e = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd), f = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    t[c] = _mm512_shuffle_f32x4(a, b, 0x88);
    t[8 + c] = _mm512_shuffle_f32x4(a, b, 0xdd);
    t[4 + c] = _mm512_shuffle_f32x4(e, f, 0x88);
    t[12 + c] = _mm512_shuffle_f32x4(e, f, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) r[i] = t[i];
}
