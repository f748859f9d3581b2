// Sums over rows and over whole buffers. Reference: ../reference/reductions.ts

#include "rows.h"

typedef struct {
  const float *x;
  float *partial;
  double *sums;
  int64_t length;
  int N, C, squared;
} reduction;

static void column_sum_task(void *arguments, int block, int worker) {
  (void)worker;
  const reduction *k = arguments;
  float *partial = k->partial + (size_t)block * k->C;
  memset(partial, 0, (size_t)k->C * 4);
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *x = k->x + (size_t)n * k->C;
    EACH_VECTOR(c, count, k->C) {
      store_up_to(partial + c, add16(load_up_to(partial + c, count), load_up_to(x + c, count)), count);
    }
  }
}

int KERNEL(column_sum)(stlm_context *context, float *db, const float *dy, int N, int C) {
  float *partial = stlm_scratch(context, SLOT_PARTIAL, (size_t)row_blocks(N) * (size_t)C * 4);
  if (!partial) return STLM_OUT_OF_MEMORY;
  reduction k = {.x = dy, .partial = partial, .N = N, .C = C};
  stlm_run(context, row_blocks(N), column_sum_task, &k);
  const partial_sums sums = {.out = db, .partial = partial, .stride = (size_t)C, .blocks = row_blocks(N), .C = C};
  add_partials(&sums);
  return STLM_OK;
}

static void sum_task(void *arguments, int block, int worker) {
  (void)worker;
  const reduction *k = arguments;
  double lane[LANES] = {0};
  const int64_t end = element_end(k->length, block);
  int64_t i = (int64_t)block * ELEMENT_BLOCK;
  for (; i + LANES <= end; i += LANES) {
    for (int l = 0; l < LANES; l++) {
      const double x = k->x[i + l]; // its square is exact in double
      lane[l] += k->squared ? x * x : x;
    }
  }
  for (int l = 0; i + l < end; l++) {
    const double x = k->x[i + l];
    lane[l] += k->squared ? x * x : x;
  }
  for (int width = LANES / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; l++) lane[l] += lane[l + width];
  }
  k->sums[block] = lane[0];
}

int KERNEL(sum)(stlm_context *context, float *out, const float *x, int64_t length, int squared) {
  const int blocks = element_blocks(length);
  double *sums = stlm_scratch(context, SLOT_PARTIAL, (size_t)(blocks + 1) * 8);
  if (!sums) return STLM_OUT_OF_MEMORY;
  reduction k = {.x = x, .sums = sums, .length = length, .squared = squared};
  stlm_run(context, blocks, sum_task, &k);
  double total = 0;
  for (int block = 0; block < blocks; block++) total += sums[block];
  *out = (float)total;
  return STLM_OK;
}
