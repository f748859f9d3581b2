// f32x16 as an array of 16 floats: for processors without AVX2 and FMA, and for arm64. See f32x16.h.

typedef struct { float v[16]; } f32x16;
typedef struct { uint32_t v[16]; } u32x16;

#define EACH_LANE for (int i = 0; i < 16; i++)

INLINE f32x16 set16(float x) { f32x16 r; EACH_LANE r.v[i] = x; return r; }
INLINE f32x16 zero16(void) { return set16(0.0f); }
INLINE f32x16 load16(const float *p) { f32x16 r; memcpy(r.v, p, 64); return r; }
INLINE void store16(float *p, f32x16 x) { memcpy(p, x.v, 64); }
INLINE f32x16 load_part(const float *p, int n) { f32x16 r; EACH_LANE r.v[i] = i < n ? p[i] : 0.0f; return r; }
INLINE void store_part(float *p, f32x16 x, int n) { for (int i = 0; i < n; i++) p[i] = x.v[i]; }

INLINE f32x16 add16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] += b.v[i]; return a; }
INLINE f32x16 sub16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] -= b.v[i]; return a; }
INLINE f32x16 mul16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] *= b.v[i]; return a; }
INLINE f32x16 div16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] /= b.v[i]; return a; }
INLINE f32x16 sqrt16(f32x16 a) { EACH_LANE a.v[i] = __builtin_sqrtf(a.v[i]); return a; }
#ifdef STLM_HARDWARE_FMA
INLINE
#else
// Emulated: long, so it stands once in the library.
__attribute__((noinline, unused)) static
#endif
f32x16 fma16(f32x16 a, f32x16 b, f32x16 c) { EACH_LANE c.v[i] = fma1(a.v[i], b.v[i], c.v[i]); return c; }
INLINE f32x16 max16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]; return a; }
INLINE f32x16 min16(f32x16 a, f32x16 b) { EACH_LANE a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]; return a; }
INLINE f32x16 where_not_negative(f32x16 x, f32x16 a, f32x16 b) {
  EACH_LANE a.v[i] = x.v[i] >= 0.0f ? a.v[i] : b.v[i];
  return a;
}
INLINE f32x16 swap_pairs(f32x16 x) { f32x16 r; EACH_LANE r.v[i] = x.v[i ^ 1]; return r; }
// 2^n is split into two normal factors, so the only rounding is in the last product.
INLINE f32x16 scale_by_power(f32x16 p, f32x16 n) {
  EACH_LANE {
    // The whole number stands in the low bits of n + 1.5 * 2^23; NaN gives some factor, and p is NaN then.
    const int32_t whole = (int32_t)(bits_of(n.v[i] + 12582912.0f) - 0x4b400000u);
    const int32_t first = whole >> 1, second = whole - first;
    p.v[i] = p.v[i] * float_of((uint32_t)(first + 127) << 23) * float_of((uint32_t)(second + 127) << 23);
  }
  return p;
}

INLINE u32x16 uset(uint32_t x) { u32x16 r; EACH_LANE r.v[i] = x; return r; }
INLINE u32x16 uload(const uint32_t *p) { u32x16 r; memcpy(r.v, p, 64); return r; }
INLINE void ustore(uint32_t *p, u32x16 x) { memcpy(p, x.v, 64); }
INLINE u32x16 uadd(u32x16 a, u32x16 b) { EACH_LANE a.v[i] += b.v[i]; return a; }
INLINE u32x16 uxor(u32x16 a, u32x16 b) { EACH_LANE a.v[i] ^= b.v[i]; return a; }
INLINE void uproduct(u32x16 a, uint32_t m, u32x16 *high, u32x16 *low) {
  EACH_LANE {
    const uint64_t product = (uint64_t)a.v[i] * m;
    high->v[i] = (uint32_t)(product >> 32);
    low->v[i] = (uint32_t)product;
  }
}
INLINE f32x16 keep_at_least(f32x16 x, u32x16 words, uint32_t threshold) {
  EACH_LANE x.v[i] = words.v[i] >= threshold ? x.v[i] : 0.0f;
  return x;
}

// The nearest bfloat16, ties to even; NaN stays NaN.
INLINE f32x16 round_to_bf16(f32x16 x) {
  EACH_LANE {
    const uint32_t u = bits_of(x.v[i]);
    const uint32_t chosen = x.v[i] != x.v[i] ? u | 0x00400000u : u + 0x7fffu + ((u >> 16) & 1u);
    x.v[i] = float_of(chosen & 0xffff0000u);
  }
  return x;
}

// Rows to columns: afterwards lane j of r[i] is what lane i of r[j] was.
INLINE void transpose16(f32x16 r[16]) {
  for (int i = 1; i < 16; i++) {
    for (int j = 0; j < i; j++) {
      const float x = r[i].v[j];
      r[i].v[j] = r[j].v[i];
      r[j].v[i] = x;
    }
  }
}
