// exp, log, the logistic function and the normal distribution on sixteen lanes: polynomials of our own, so that no
// result depends on a C library. Coefficients: least maximum error (Lawson's iteration) over the stated interval.
#ifndef STLM_MATH16_H
#define STLM_MATH16_H

#include "f32x16.h"

// e^x, error below 1 ulp and a half; 0 below -103.98, infinity above 88.73, NaN for NaN.
INLINE f32x16 exp16(f32x16 x) {
  // The second operand wins where x is NaN.
  x = max16(set16(-104.0f), min16(set16(89.0f), x));
  // n = x / ln 2 rounded to a whole number, by adding 1.5 * 2^23; r = x - n ln 2 in two steps.
  const f32x16 shift = set16(12582912.0f);
  const f32x16 n = sub16(fma16(x, set16(1.44269504f), shift), shift);
  const f32x16 r = fma16(n, set16(1.90465430e-9f), fma16(n, set16(-0.693147182f), x));
  // (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2: error 3e-9 relative to e^r.
  f32x16 p = set16(0.00139504764f);
  p = fma16(p, r, set16(0.00836888235f));
  p = fma16(p, r, set16(0.041666206f));
  p = fma16(p, r, set16(0.166665182f));
  p = fma16(p, r, set16(0.5f));
  p = add16(fma16(p, mul16(r, r), r), set16(1.0f));
  return scale_by_power(p, n);
}

// Natural logarithm of one positive normal number; infinity and NaN are passed on.
INLINE float log1(float x) {
  if (!(x <= 3.40282347e38f)) return x;
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)): subtracting the bits of sqrt(1/2) makes the exponent field carry.
  const uint32_t offset = bits_of(x) - 0x3f3504f3u;
  const float e = (float)((int32_t)offset >> 23);
  const float m = float_of((offset & 0x007fffffu) + 0x3f3504f3u);
  // log m = 2 s + s^3 R(s^2), s = (m - 1) / (m + 1): error 1e-11.
  const float f = m - 1.0f, s = f / (2.0f + f), q = s * s;
  float r = 0.235821545f;
  r = fma1(r, q, 0.285373092f);
  r = fma1(r, q, 0.400003344f);
  r = fma1(r, q, 0.666666627f);
  const float tail = fma1(r, q * s, 2.0f * s);
  return fma1(e, 0.693147182f, fma1(e, -1.90465430e-9f, tail));
}

// 1 / (1 + e^-x)
INLINE f32x16 sigmoid16(f32x16 x) {
  return div16(set16(1.0f), add16(set16(1.0f), exp16(sub16(zero16(), x))));
}

// The standard normal's distribution function: for a = |x| / sqrt(2), erfc(a) = z exp(-a^2 + P(z)), z = 1 / (1 + a / 2),
// with P fitted on 0 <= a <= 10; the form is that of Press et al., Numerical Recipes, 6.2. Relative error below 1e-6
// down to x = -6, where only the absolute size matters afterwards.
INLINE f32x16 normal_cdf16(f32x16 x) {
  const f32x16 square = mul16(mul16(x, x), set16(-0.5f));
  const f32x16 a = max16(sub16(zero16(), x), x);
  const f32x16 z = div16(set16(1.0f), fma16(a, set16(0.353553391f), set16(1.0f)));
  f32x16 p = set16(0.142194912f);
  p = fma16(p, z, set16(-0.666066647f));
  p = fma16(p, z, set16(1.12240922f));
  p = fma16(p, z, set16(-0.651259184f));
  p = fma16(p, z, set16(-0.11677888f));
  p = fma16(p, z, set16(0.0201915354f));
  p = fma16(p, z, set16(0.0283585619f));
  p = fma16(p, z, set16(0.387899429f));
  p = fma16(p, z, set16(0.998492539f));
  p = fma16(p, z, set16(-1.26544142f));
  const f32x16 tail = mul16(mul16(z, set16(0.5f)), exp16(add16(square, p)));
  return where_not_negative(x, sub16(set16(1.0f), tail), tail);
}

#endif
