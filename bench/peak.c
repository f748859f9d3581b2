// The most that one core multiplies and adds: independent chains of one instruction, nothing from memory. Prints
// operations per second (a product and a sum count as two) of float32 by FMA and of bfloat16 by VDPBF16PS. See peak.ts.

#include <immintrin.h>
#include <stdio.h>
#include <time.h>

#define CHAINS 24
#define ROUNDS 10000000

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#define MEASURE(name, type, zero, step, operations) \
  do { \
    type sum[CHAINS]; \
    for (int i = 0; i < CHAINS; i++) sum[i] = zero; \
    const double start = now(); \
    for (long round = 0; round < ROUNDS; round++) { \
      _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) step; \
      __asm__ volatile("" : "+v"(a)); \
    } \
    const double seconds = now() - start; \
    for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : : "v"(sum[i])); \
    printf("%s %.4g\n", name, (double)ROUNDS * CHAINS * (operations) / seconds); \
  } while (0)

int main(void) {
#ifdef __AVX512F__
  __m512 a = _mm512_set1_ps(1.5f);
  const __m512 b = _mm512_set1_ps(0.5f);
  MEASURE("f32", __m512, _mm512_setzero_ps(), sum[i] = _mm512_fmadd_ps(a, b, sum[i]), 32);
#ifdef __AVX512BF16__
  const __m512bh pairs = _mm512_cvtne2ps_pbh(b, b);
  MEASURE("bf16", __m512, _mm512_setzero_ps(), sum[i] = _mm512_dpbf16_ps(sum[i], (__m512bh)a, pairs), 64);
#endif
#else
  __m256 a = _mm256_set1_ps(1.5f);
  const __m256 b = _mm256_set1_ps(0.5f);
  MEASURE("f32", __m256, _mm256_setzero_ps(), sum[i] = _mm256_fmadd_ps(a, b, sum[i]), 16);
#endif
  return 0;
}
