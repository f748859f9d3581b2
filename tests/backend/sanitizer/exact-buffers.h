// Buffers of exactly the size that a kernel is told, filled with reproducible numbers; all are freed after each call.
#ifndef EXACT_BUFFERS_H
#define EXACT_BUFFERS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_HELD 16
static void *held[MAX_HELD];
static int held_count;
static unsigned state = 12345;

static float *reals(size_t count) {
  float *p = malloc(count * sizeof *p);
  held[held_count++] = p;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
  }
  return p;
}

static int32_t *ids(int count, int limit) {
  int32_t *p = malloc((size_t)count * sizeof *p);
  held[held_count++] = p;
  for (int i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    p[i] = (int32_t)((state >> 8) % (unsigned)limit);
  }
  return p;
}

static void release(void) {
  while (held_count > 0) free(held[--held_count]);
}

#define CHECK(call) \
  do { \
    if ((call) != 0) { \
      fprintf(stderr, "failed: %s\n", #call); \
      exit(1); \
    } \
    release(); \
  } while (0)

#endif
