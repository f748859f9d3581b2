// Sixteen float lanes under one set of names, so that each kernel is written once and compiled once per instruction
// set: AVX-512 (one register), AVX2 + FMA (two), portable C (an array of 16, which a compiler may vectorise as it can).
// All three give the same bits: every operation below is one correctly rounded IEEE operation per lane, and sums over
// lanes go down one fixed tree. Compiled with -ffp-contract=off: a product and a sum fuse only where FMA is written.
#ifndef STLM_F32X16_H
#define STLM_F32X16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef INLINE // sanitizers instrument every copy of a function, so their build does not force copies
#define INLINE static inline __attribute__((always_inline, unused))
#endif
#define LANES 16

INLINE uint32_t bits_of(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
INLINE float float_of(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define STLM_HARDWARE_FMA
INLINE float fma1(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
// a * b + c with one rounding, without FMA hardware   (Boldo & Melquiond 2008, "Emulation of FMA and correctly rounded
// sums: proved algorithms using rounding to odd"). The product of two floats is exact in double; the sum is rounded to
// odd, by its exact error, so that the second rounding to float cannot go wrong.
INLINE float fma1(float a, float b, float c) {
  const double p = (double)a * (double)b, d = c;
  double s = p + d;
  const double part = s - p, error = (p - (s - part)) + (d - part);
  // Towards zero, then the last bit set where anything was lost. Infinities and NaN stay as they are.
  const uint64_t inexact = error != 0 && __builtin_fabs(s) <= 1.7976931348623157e308;
  const uint64_t beyond = inexact & (uint64_t)((error < 0) != (s < 0));
  uint64_t u;
  memcpy(&u, &s, 8);
  u = (u - beyond) | inexact;
  memcpy(&s, &u, 8);
  return (float)s;
}
#endif

#if defined(__AVX512F__) && !defined(STLM_PORTABLE)
#if defined(__AMX_BF16__) || defined(STLM_AMX_SIMULATED)
#define ISA_NAME amx
#elif defined(__AVX512BF16__)
#define ISA_NAME avx512bf16
#else
#define ISA_NAME avx512
#endif
#include "f32x16-avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && !defined(STLM_PORTABLE)
#define ISA_NAME avx2
#include "f32x16-avx2.h"
#else
#define ISA_NAME portable
#include "f32x16-portable.h"
#endif

#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
// The exported name of a kernel in this build: stlm_matmul_avx512, stlm_matmul_bf16_avx512.
#ifdef STLM_BF16
#define KERNEL(name) __attribute__((visibility("default"))) PASTE(stlm_##name##_bf16, ISA_NAME)
#else
#define KERNEL(name) __attribute__((visibility("default"))) PASTE(stlm_##name, ISA_NAME)
#endif

// ((l0+l8) + (l4+l12)) + ..., the same tree everywhere: 16 -> 8 -> 4 -> 2 -> 1, always low half plus high half.
INLINE float sum16(f32x16 x) {
  float v[16];
  store16(v, x);
  for (int i = 0; i < 8; i++) v[i] += v[i + 8];
  for (int i = 0; i < 4; i++) v[i] += v[i + 4];
  v[0] += v[2];
  v[1] += v[3];
  return v[0] + v[1];
}

#endif
