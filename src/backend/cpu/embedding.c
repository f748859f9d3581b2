// Rows of a table by id, with positions added. Reference: ../reference/embedding.ts

#include "rows.h"

typedef struct {
  float *y, *table_gradient, *positions_gradient;
  const float *table, *positions, *dy;
  const int32_t *ids;
  int N, T, C, first_position;
} embedding;

// Columns of one task of the gradient: each thread walks all rows in order, for its columns only.
#define COLUMN_BLOCK 32

// The first row whose id is outside lowest..V-1, or -1.
int KERNEL(find_bad_id)(const int32_t *ids, int N, int lowest, int V) {
  for (int n = 0; n < N; n++) {
    if (ids[n] < lowest || ids[n] >= V) return n;
  }
  return -1;
}

static void embedding_task(void *arguments, int block, int worker) {
  (void)worker;
  const embedding *k = arguments;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *row = k->table + (size_t)k->ids[n] * k->C;
    const float *position = k->positions ? k->positions + (size_t)(k->first_position + n % k->T) * k->C : NULL;
    float *y = k->y + (size_t)n * k->C;
    EACH_VECTOR(c, count, k->C) {
      const f32x16 x = load_up_to(row + c, count);
      store_up_to(y + c, position ? add16(x, load_up_to(position + c, count)) : x, count);
    }
  }
}

int KERNEL(embedding)(stlm_context *context, float *y, const float *table, const int32_t *ids, const float *positions,
                      int first_position, int N, int T, int C) {
  embedding k = {.y = y, .table = table, .ids = ids, .positions = positions, .N = N, .T = T, .C = C};
  k.first_position = first_position;
  stlm_run(context, row_blocks(N), embedding_task, &k);
  return STLM_OK;
}

INLINE void add_row(float *out, const float *x, int columns) {
  EACH_VECTOR(c, count, columns) {
    store_up_to(out + c, add16(load_up_to(out + c, count), load_up_to(x + c, count)), count);
  }
}

static void embedding_gradient_task(void *arguments, int task, int worker) {
  (void)worker;
  const embedding *k = arguments;
  const int c = task * COLUMN_BLOCK, columns = MINIMUM(COLUMN_BLOCK, k->C - c);
  for (int n = 0; n < k->N; n++) {
    const float *dy = k->dy + (size_t)n * k->C + c;
    add_row(k->table_gradient + (size_t)k->ids[n] * k->C + c, dy, columns);
    if (k->positions_gradient) add_row(k->positions_gradient + (size_t)(n % k->T) * k->C + c, dy, columns);
  }
}

int KERNEL(embedding_gradient)(stlm_context *context, float *table_gradient, float *positions_gradient,
                               const float *dy, const int32_t *ids, int N, int T, int C) {
  embedding k = {.table_gradient = table_gradient, .positions_gradient = positions_gradient, .dy = dy, .ids = ids};
  k.N = N;
  k.T = T;
  k.C = C;
  stlm_run(context, (C + COLUMN_BLOCK - 1) / COLUMN_BLOCK, embedding_gradient_task, &k);
  return STLM_OK;
}
