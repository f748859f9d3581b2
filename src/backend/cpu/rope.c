// Rotary positions in place over adjacent pairs   (Su et al. 2021). Reference: ../reference/rope.ts

#include "rows.h"

typedef struct {
  float *x;
  const float *table;
  int N, T, heads, D, stride, first_position, inverse;
} rope;

static void rope_task(void *arguments, int block, int worker) {
  (void)worker;
  const rope *k = arguments;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *cosines = k->table + (size_t)(k->first_position + n % k->T) * 2 * k->D, *sines = cosines + k->D;
    for (int h = 0; h < k->heads; h++) {
      float *x = k->x + (size_t)n * k->stride + (size_t)h * k->D;
      EACH_VECTOR(d, count, k->D) {
        const f32x16 v = load_up_to(x + d, count), s = load_up_to(sines + d, count);
        const f32x16 turned = k->inverse ? sub16(zero16(), s) : s;
        store_up_to(x + d, fma16(swap_pairs(v), turned, mul16(v, load_up_to(cosines + d, count))), count);
      }
    }
  }
}

// table: see rope-table.c; it must reach position first_position + T - 1.
int KERNEL(rope)(stlm_context *context, float *x, const float *table, int N, int T, int heads, int D, int stride,
                 int first_position, int inverse) {
  rope k = {x, table, N, T, heads, D, stride, first_position, inverse};
  stlm_run(context, row_blocks(N), rope_task, &k);
  return STLM_OK;
}
