// Output projection and cross-entropy without whole logits. Reference: ../reference/head-loss.ts
//
// A few hundred rows at a time. Their logits stand transposed in panels of 32 rows, one row of 32 per word: w is then
// read where it lies, and maxima and sums run down the vocabulary in order, one lane per row. The exponentials are never
// divided by their sum: that factor goes to dx once per row, and to the copy of x that makes dw.

#include "math16.h"
#include "rows.h"
#include "tile.h"

#define PANEL 32
// Words of one task, and of one packed block of w on the way to dx.
#define WORDS 126
#define WORDS_PACKED 128

typedef struct {
  float *losses, *dx, *dw;
  const float *x, *w;
  const int32_t *targets;
  int N, C, V;
  float gradient_scale;
  int first, rows, panels; // this chunk
  int column_tasks, panel_tasks;
  float *logits;           // (panels, V, 32)
  float *columns;          // (panels, C, 32): x transposed
  float *scaled;           // (panels of TILE_COLUMNS columns, 32 panels, TILE_COLUMNS): x times its row's factor
  float *factors;          // gradient_scale / sum, 0 for an ignored row
  char *memory;
  size_t stride;
} head_loss;

static void logits_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int word = task * WORDS, words = MINIMUM(WORDS, k->V - word);
  for (int panel = 0; panel < k->panels; panel++) {
    for (int j = 0; j < PANEL; j += TILE_COLUMNS) {
      const tile t = {.a = k->w + (size_t)word * k->C, .a_row = k->C, .a_k = 1, .k = k->C, .segments = 1,
                      .b = k->columns + (size_t)panel * k->C * PANEL + j, .b_k = PANEL,
                      .c = k->logits + ((size_t)panel * k->V + word) * PANEL + j, .c_row = PANEL};
      run_rows(t, words, TILE_COLUMNS);
    }
  }
}

// Sixteen rows: losses, and where gradients are wanted the logits become e^(logit - max), less the sum at the target.
static void softmax_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int V = k->V, row = task * LANES;
  float *logits = k->logits + (size_t)(row / PANEL) * V * PANEL + row % PANEL;
  float max_of[LANES], sum_of[LANES], target_logit[LANES] = {0};
  const int count = MINIMUM(LANES, k->rows - row);
  const int32_t *targets = k->targets + k->first + row;
  for (int j = 0; j < count; j++) {
    if (targets[j] >= 0) target_logit[j] = logits[(size_t)targets[j] * PANEL + j];
  }
  f32x16 max = load16(logits), sum = zero16();
  for (int v = 1; v < V; v++) max = max16(load16(logits + (size_t)v * PANEL), max);
  for (int v = 0; v < V; v++) {
    float *p = logits + (size_t)v * PANEL;
    const f32x16 e = exp16(sub16(load16(p), max));
    sum = add16(sum, e);
    if (k->dx) store16(p, e);
  }
  store16(max_of, max);
  store16(sum_of, sum);
  for (int j = 0; j < LANES; j++) {
    const int used = j < count && targets[j] >= 0;
    k->factors[row + j] = used ? k->gradient_scale / sum_of[j] : 0.0f;
    if (j < count) k->losses[k->first + row + j] = used ? log1(sum_of[j]) + (max_of[j] - target_logit[j]) : 0.0f;
    if (used && k->dx) logits[(size_t)targets[j] * PANEL + j] -= sum_of[j];
  }
}

// Some columns of dx for some panels of the chunk: dx = factor * (e w).
static void input_gradient_task(void *arguments, int task, int worker) {
  const head_loss *k = arguments;
  const int C = k->C, V = k->V, column_panels = (C + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int q = task % k->column_tasks, group = task / k->column_tasks;
  const int c = column_panels * q / k->column_tasks * TILE_COLUMNS;
  const int end_c = MINIMUM(C, column_panels * (q + 1) / k->column_tasks * TILE_COLUMNS);
  const int first = k->panels * group / k->panel_tasks, end = k->panels * (group + 1) / k->panel_tasks;
  float *packed = (float *)(k->memory + (size_t)worker * k->stride);
  for (int word = 0; word < V; word += WORDS_PACKED) {
    const int words = MINIMUM(WORDS_PACKED, V - word), width = (int)round_up((size_t)(end_c - c), TILE_COLUMNS);
    pack_rows(packed, width, k->w + (size_t)word * C + c, C, words, end_c - c);
    for (int j = 0; j < end_c - c; j += TILE_COLUMNS) {
      for (int panel = first; panel < end; panel++) {
        const tile t = {.a = k->logits + ((size_t)panel * V + word) * PANEL, .a_row = 1, .a_k = PANEL, .k = words,
                        .segments = 1, .b = packed + j, .b_k = width, .load = word > 0, .c_row = C,
                        .c = k->dx + (size_t)(k->first + panel * PANEL) * C + c + j};
        run_rows(t, MINIMUM(PANEL, k->rows - panel * PANEL), MINIMUM(TILE_COLUMNS, end_c - c - j));
      }
    }
  }
  for (int row = first * PANEL; row < MINIMUM(k->rows, end * PANEL); row++) {
    float *dx = k->dx + (size_t)(k->first + row) * C + c;
    EACH_VECTOR(i, n, end_c - c) store_up_to(dx + i, mul16(load_up_to(dx + i, n), set16(k->factors[row])), n);
  }
}

// Rows of dw: dw += e^T (factor * x), over the rows of the chunk in order.
static void weight_gradient_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int word = task * WORDS, words = MINIMUM(WORDS, k->V - word);
  for (int c = 0; c < k->C; c += TILE_COLUMNS) {
    const tile t = {.a = k->logits + (size_t)word * PANEL, .a_row = PANEL, .a_k = 1,
                    .a_segment = (ptrdiff_t)k->V * PANEL, .k = PANEL, .segments = k->panels, .load = 1,
                    .b = k->scaled + (size_t)c * (size_t)(k->panels * PANEL), .b_k = TILE_COLUMNS,
                    .c = k->dw + (size_t)word * k->C + c, .c_row = k->C};
    run_rows(t, words, MINIMUM(TILE_COLUMNS, k->C - c));
  }
}

// Rows beyond the chunk's end are zero, so that whole panels can be multiplied.
static void scale_inputs(const head_loss *k) {
  const int padded_rows = k->panels * PANEL;
  for (int c = 0; c < k->C; c += TILE_COLUMNS) {
    float *out = k->scaled + (size_t)c * (size_t)padded_rows;
    const int columns = MINIMUM(TILE_COLUMNS, k->C - c);
    pack_rows(out, TILE_COLUMNS, k->x + (size_t)k->first * k->C + c, k->C, k->rows, columns);
    for (int row = 0; row < padded_rows; row++) {
      for (int j = 0; j < TILE_COLUMNS; j += LANES) {
        float *p = out + (size_t)row * TILE_COLUMNS + j;
        store16(p, row < k->rows ? mul16(load16(p), set16(k->factors[row])) : zero16());
      }
    }
  }
}

int KERNEL(head_loss)(stlm_context *context, float *losses, const float *x, const float *w, const int32_t *targets,
                      int N, int C, int V, float *dx, float *dw, float gradient_scale) {
  head_loss k = {.losses = losses, .x = x, .w = w, .targets = targets, .N = N, .C = C, .V = V, .dx = dx, .dw = dw};
  k.gradient_scale = gradient_scale;
  // About 32 MB of logits at most; a result does not depend on it.
  const int wanted = MAXIMUM(PANEL, MINIMUM(256, (8 << 20) / V / PANEL * PANEL));
  const size_t chunk = round_up((size_t)MINIMUM(wanted, N), PANEL), padded_C = round_up((size_t)C, TILE_COLUMNS);
  k.logits = stlm_scratch(context, SLOT_LOGITS, chunk * (size_t)V * 4);
  k.columns = stlm_scratch(context, SLOT_INPUT, chunk * (size_t)C * 4);
  k.scaled = stlm_scratch(context, SLOT_PANELS, chunk * padded_C * 4);
  k.factors = stlm_scratch(context, SLOT_ROWS, chunk * 4);
  k.memory = stlm_worker_scratch(context, (size_t)WORDS_PACKED * padded_C * 4, &k.stride);
  if (!k.logits || !k.columns || !k.scaled || !k.factors || !k.memory) return STLM_OUT_OF_MEMORY;
  const int word_tasks = (V + WORDS - 1) / WORDS, threads = stlm_threads(context);
  // Wide strips of w are read better than narrow ones: no more tasks than keep the threads busy.
  k.column_tasks = threads == 1 ? 1 : MINIMUM((int)padded_C / TILE_COLUMNS, 2 * threads);
  for (k.first = 0; k.first < N; k.first += (int)chunk) {
    k.rows = MINIMUM((int)chunk, N - k.first);
    k.panels = (k.rows + PANEL - 1) / PANEL;
    for (int panel = 0; panel < k.panels; panel++) {
      pack_columns(k.columns + (size_t)panel * C * PANEL, PANEL, x + (size_t)(k.first + panel * PANEL) * C, C, C,
                   MINIMUM(PANEL, k.rows - panel * PANEL));
    }
    stlm_run(context, word_tasks, logits_task, &k);
    stlm_run(context, k.panels * (PANEL / LANES), softmax_task, &k);
    if (!dx) continue;
    k.panel_tasks = MINIMUM(k.panels, (2 * threads + k.column_tasks - 1) / k.column_tasks);
    stlm_run(context, k.column_tasks * k.panel_tasks, input_gradient_task, &k);
    scale_inputs(&k);
    stlm_run(context, word_tasks, weight_gradient_task, &k);
  }
  return STLM_OK;
}
