// Cosines and sines of the rotary angles, in double precision by series of our own: the same on every machine, whatever
// its C library. Compiled once, for the baseline processor.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

// log x for x > 0: x = m 2^e, log m = 2 atanh((m - 1) / (m + 1)) as a series.
static double logarithm(double x) {
  uint64_t u;
  memcpy(&u, &x, 8);
  const int e = (int)((u >> 52) & 2047) - 1023;
  u = (u & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  double m;
  memcpy(&m, &u, 8);
  const double s = (m - 1) / (m + 1), q = s * s;
  double sum = 0;
  for (int n = 41; n > 0; n -= 2) sum = sum * q + 1.0 / n;
  return 2 * s * sum + e * 0.693147180559945309417;
}

// e^x for moderate x: the series at x / 1024, squared ten times.
static double exponential(double x) {
  const double r = x / 1024;
  double sum = 1;
  for (int n = 12; n > 0; n--) sum = 1 + sum * r / n;
  for (int i = 0; i < 10; i++) sum *= sum;
  return sum;
}

// Reduces by multiples of pi / 2 in two parts, then both series on |r| <= pi / 4.
static void sine_and_cosine(double angle, double *sine, double *cosine) {
  const double n = (double)(int64_t)(angle * 0.636619772367581343076 + 0.5);
  const double r = (angle - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
  const double q = r * r;
  double s = 1, c = 1;
  for (int i = 20; i > 0; i -= 2) {
    s = 1 - s * q / (i * (i + 1));
    c = 1 - c * q / (i * (i - 1));
  }
  s *= r;
  const int quadrant = (int)((int64_t)n & 3);
  *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
  *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

// table (positions, 2, D): for pair i of position p, cos at [p][0][2i] and [p][0][2i + 1], -sin at [p][1][2i] and
// +sin at [p][1][2i + 1], with the angle p * base^(-2i / D).
EXPORT void stlm_rope_table(float *table, int positions, int D, double base) {
  const double log_base = logarithm(base);
  for (int i = 0; i < D / 2; i++) {
    const double frequency = exponential(-2.0 * i / D * log_base);
    for (int p = 0; p < positions; p++) {
      double sine, cosine;
      sine_and_cosine(p * frequency, &sine, &cosine);
      float *row = table + (size_t)p * 2 * (size_t)D + 2 * i;
      row[0] = row[1] = (float)cosine;
      row[D] = (float)-sine;
      row[D + 1] = (float)sine;
    }
  }
}
