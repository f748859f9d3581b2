// c = op(a) op(b) with bias, residual or accumulation. b is copied into panels of TILE_COLUMNS columns; a is read where
// it lies in f32, and copied in bf16 or if its lines would fall on the same cache sets; then blocks of rows and panels are
// dealt to threads. Compiled for f32 and, with STLM_BF16, for bf16.

#include "products.h"

// Long k is cut so that a panel of b stays near the core; the outputs wait in c meanwhile.
#define K_BLOCK (512 * STEP)
// Blocks of k begin at a multiple of this, so that numbers meet in the same element whatever the blocks.
#define K_UNIT 32
// Rows of one task: few enough to deal evenly, enough to use a packed panel well.
#define TASK_TILES 6

typedef struct {
  const float *a, *b, *bias, *residual;
  float *c, *panels;
  ptrdiff_t a_row, a_k;
  int M, N, K, transpose_b;
  int k0, k, load, last; // this block of k; whether it starts from c; whether it ends the sum
  int row_tasks, column_tasks, pack_a;
  char *packed_a;
  size_t packed_stride;
} gemm;

INLINE void pack_panel(void *arguments, int panel, int worker) {
  (void)worker;
  const gemm *g = arguments;
  const int n = panel * TILE_COLUMNS, columns = MINIMUM(TILE_COLUMNS, g->N - n);
  float *out = g->panels + (size_t)panel * TILE_COLUMNS * (size_t)elements(g->k);
  if (g->transpose_b) pack_columns(out, TILE_COLUMNS, g->b + (size_t)n * g->K + g->k0, g->K, g->k, columns);
  else pack_rows(out, TILE_COLUMNS, g->b + (size_t)g->k0 * g->N + n, g->N, g->k, columns);
}

static void pack_task(void *arguments, int task, int worker) { pack_panel(arguments, task, worker); }

static void multiply_task(void *arguments, int task, int worker) {
  const gemm *g = arguments;
  const int panels = (g->N + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int r = task % g->row_tasks, q = task / g->row_tasks;
  const int first = (int)((int64_t)g->M * r / g->row_tasks), end = (int)((int64_t)g->M * (r + 1) / g->row_tasks);
  const int first_panel = (int)((int64_t)panels * q / g->column_tasks);
  const int end_panel = (int)((int64_t)panels * (q + 1) / g->column_tasks);
  tile t = {.a = g->a + first * g->a_row + g->k0 * g->a_k, .a_row = g->a_row, .a_k = g->a_k, .segments = 1};
  t.k = elements(g->k);
  if (g->pack_a) {
    const packed_rows packed = pack_left(g->packed_a + (size_t)worker * g->packed_stride, t.a, g->a_row, g->a_k,
                                         end - first, g->k);
    t.a = packed.start;
    t.a_row = packed.row;
    t.a_k = packed.k;
  }
  t.b_k = TILE_COLUMNS;
  t.c_row = g->N;
  t.load = g->load;
  begin_products();
  for (int panel = first_panel; panel < end_panel; panel++) {
    const int n = panel * TILE_COLUMNS;
    const size_t at = (size_t)first * (size_t)g->N + (size_t)n;
    t.b = g->panels + (size_t)panel * TILE_COLUMNS * (size_t)elements(g->k);
    t.c = g->c + at;
    t.bias = g->last && g->bias ? g->bias + n : NULL;
    t.residual = g->last && g->residual ? g->residual + at : NULL;
    multiply_rows(t, end - first, MINIMUM(TILE_COLUMNS, g->N - n));
  }
  end_products();
}

enum { TRANSPOSE_A = 1, TRANSPOSE_B = 2, ACCUMULATE = 4 };

int KERNEL(matmul)(stlm_context *context, float *c, const float *a, const float *b, const float *bias,
                   const float *residual, int M, int N, int K, int flags) {
  if (M <= 0 || N <= 0) return STLM_OK;
  const int transpose_a = flags & TRANSPOSE_A;
  gemm g = {.a = a, .b = b, .bias = bias, .residual = residual, .c = c, .M = M, .N = N, .K = K};
  g.a_row = transpose_a ? 1 : K;
  g.a_k = transpose_a ? M : 1;
  g.transpose_b = (flags & TRANSPOSE_B) != 0;
  // c holds partial sums between blocks of k; where the residual lies in c there can be only one block.
  const int blocks = residual == c ? 1 : MAXIMUM(1, (K + K_BLOCK - 1) / K_BLOCK);
  const int panels = (N + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int largest = (K + blocks - 1) / blocks + (blocks > 1 ? K_UNIT : 0), threads = stlm_threads(context);

  const int tiles = (M + TILE_ROWS - 1) / TILE_ROWS;
  g.row_tasks = (tiles + TASK_TILES - 1) / TASK_TILES;
  // As many for each thread, since the last one alone would hold up the rest.
  const int even = (int)round_up((size_t)MAXIMUM(g.row_tasks, 4 * threads), (size_t)threads);
  if (threads > 1) g.row_tasks = MINIMUM(tiles, even);
  g.column_tasks = threads > 1 ? MINIMUM(panels, (4 * threads + g.row_tasks - 1) / g.row_tasks) : 1;
#ifdef STLM_BF16
  g.pack_a = 1;
#else
  g.pack_a = transpose_a ? M > 1 : (K * 4) % 4096 == 0 && M > 4 && N >= 4 * TILE_COLUMNS;
#endif
  if (g.pack_a) {
    const size_t rows = (size_t)(M + g.row_tasks - 1) / (size_t)g.row_tasks;
    g.packed_a = stlm_worker_scratch(context, left_bytes((int)rows, largest), &g.packed_stride);
    if (!g.packed_a) return STLM_OUT_OF_MEMORY;
  }
  g.panels = stlm_scratch(context, SLOT_PANELS, (size_t)panels * TILE_COLUMNS * (size_t)elements(largest) * 4);
  if (!g.panels) return STLM_OUT_OF_MEMORY;

  for (int block = 0; block < blocks; block++) {
    g.k0 = (int)((int64_t)K * block / blocks) / K_UNIT * K_UNIT;
    g.k = (block + 1 < blocks ? (int)((int64_t)K * (block + 1) / blocks) / K_UNIT * K_UNIT : K) - g.k0;
    g.load = block > 0 || (flags & ACCUMULATE) != 0;
    g.last = block == blocks - 1;
    // Small panels are copied faster than threads are woken.
    if ((int64_t)g.k * N < 32768) for (int panel = 0; panel < panels; panel++) pack_panel(&g, panel, 0);
    else stlm_run(context, panels, pack_task, &g);
    stlm_run(context, g.row_tasks * g.column_tasks, multiply_task, &g);
  }
  return STLM_OK;
}
