// Output projection and cross-entropy in bf16, without whole logits. Reference: ../reference/head-loss.ts
//
// A few hundred rows at a time, as in head-loss.c: logits stand transposed in panels of 32 rows, one row of 32 per word. The
// weights are packed once per call. Products take so little time here that passes over the logits weigh: a block of words
// is reduced to maxima and sums while it is in the core's cache, and read once more to become odds e^(logit - max), rounded
// to bf16, from which dw is made at once and dx afterwards. dx is made transposed, so that the odds are its right operand.

#include "math16.h"
#include "products.h"
#include "rows.h"

#define PANEL 32
#define PANEL_ELEMENTS (PANEL / STEP)
// Words of one task, and of one block of the weights on the way to dx.
#ifdef STLM_TILES
#define WORDS 128
#else
#define WORDS 126
#endif
#define WORDS_TURNED 512
// Columns of w that are turned together: a strip of them stays in few pages while a product runs down its words.
#define STRIP 128

typedef struct {
  float *losses, *dx, *dw;
  const float *x, *w;
  const int32_t *targets;
  int C, V;
  float gradient_scale;
  int first, rows, panels; // this chunk
  int threads, word_tasks, strips, strip_tasks, panel_tasks;
  float *weights;          // (V, weight_row): rows of w
  int weight_row;
  float *turned;           // (blocks of WORDS_TURNED words, strips of columns), turned_block elements each: w^T
  size_t turned_block;
  float *logits;           // (panels, V, 32)
  float *odds;             // (panels, odds_rows, 32): elements across words; a worker's own, along rows, are along_row apart
  int odds_rows, along_row;
  float *columns;          // (panels, elements of C, 32): x transposed
  float *scaled;           // (panels of TILE_COLUMNS columns, rows of elements, TILE_COLUMNS): x times its row's factor
  float *dx_turned;        // (panels, C, 32), in the place of `columns`
  float *maxima, *sums;    // (word tasks, 32 panels) each; the first 32 panels of each: of all words
  float *factors;          // gradient_scale / sum, 0 for an ignored row
  char *memory;
  size_t stride;
} head_loss;

INLINE int blocks_turned(const head_loss *k) { return (k->V + WORDS_TURNED - 1) / WORDS_TURNED; }
INLINE int first_column(const head_loss *k, int strip) { return (int)((int64_t)k->C * strip / k->strips); }
INLINE float *turned_strip(const head_loss *k, int block, int strip) {
  return k->turned + ((size_t)block * (size_t)k->strips + (size_t)strip) * k->turned_block;
}

static void pack_weights_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int word = task * WORDS_TURNED, words = MINIMUM(WORDS_TURNED, k->V - word);
  const float *w = k->w + (size_t)word * k->C;
  pack_along(k->weights + (size_t)word * k->weight_row, k->weight_row, w, k->C, words, k->C);
  if (!k->dx) return;
  for (int strip = 0; strip < k->strips; strip++) {
    const int c = first_column(k, strip), end_c = first_column(k, strip + 1);
    pack_left(turned_strip(k, task, strip), w + c, 1, k->C, end_c - c, words);
  }
}

static void pack_inputs_task(void *arguments, int panel, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  pack_columns(k->columns + (size_t)panel * (size_t)elements(k->C) * PANEL, PANEL,
               k->x + (size_t)(k->first + panel * PANEL) * k->C, k->C, k->C, MINIMUM(PANEL, k->rows - panel * PANEL));
}

// The logits of some words, with the maximum and the sum of exponentials over them for each row.
static void logits_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int word = task * WORDS, words = MINIMUM(WORDS, k->V - word);
  // While this block's weights are multiplied by one panel after another, those of the thread's next block are fetched.
  const int parts = k->panels * PANEL / TILE_COLUMNS, after = task + k->threads;
  const size_t block = WORDS * (size_t)k->weight_row;
  begin_products();
  for (int panel = 0; panel < k->panels; panel++) {
    float *logits = k->logits + ((size_t)panel * k->V + word) * PANEL;
    for (int j = 0; j < PANEL; j += TILE_COLUMNS) {
      tile t = {.a = k->weights + (size_t)word * k->weight_row, .a_row = k->weight_row, .a_k = 1, .k = elements(k->C),
                .segments = 1, .b = k->columns + (size_t)panel * (size_t)elements(k->C) * PANEL + j, .b_k = PANEL,
                .c = logits + j, .c_row = PANEL};
      const int part = (panel * PANEL + j) / TILE_COLUMNS;
      if (after < k->word_tasks) fetch_ahead(&t, k->weights + (size_t)after * block, block, part, parts, words);
      multiply_rows(t, words, TILE_COLUMNS);
    }
    for (int g = 0; g < PANEL; g += LANES) {
      const size_t at = ((size_t)task * k->panels + panel) * PANEL + g;
      f32x16 max = load16(logits + g), sum = zero16();
      for (int v = 1; v < words; v++) max = max16(load16(logits + v * PANEL + g), max);
      for (int v = 0; v < words; v++) sum = add16(sum, exp16(sub16(load16(logits + v * PANEL + g), max)));
      store16(k->maxima + at, max);
      store16(k->sums + at, sum);
    }
  }
  end_products();
}

// The blocks' maxima and sums of a panel become those of all words; losses and factors follow.
static void losses_task(void *arguments, int panel, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const size_t apart = (size_t)k->panels * PANEL;
  for (int row = panel * PANEL; row < (panel + 1) * PANEL; row += LANES) {
    f32x16 max = load16(k->maxima + row), sum = zero16();
    for (int task = 1; task < k->word_tasks; task++) max = max16(load16(k->maxima + task * apart + row), max);
    for (int task = 0; task < k->word_tasks; task++) {
      const f32x16 share = exp16(sub16(load16(k->maxima + task * apart + row), max));
      sum = fma16(load16(k->sums + task * apart + row), share, sum);
    }
    store16(k->maxima + row, max);
    store16(k->sums + row, sum);
    for (int j = row; j < row + LANES; j++) {
      const int target = j < k->rows ? k->targets[k->first + j] : -1;
      k->factors[j] = target >= 0 ? k->gradient_scale / k->sums[j] : 0.0f;
      if (j >= k->rows) continue;
      const float *logits = k->logits + (size_t)panel * k->V * PANEL + (size_t)(j - panel * PANEL);
      const float loss = target >= 0 ? log1(k->sums[j]) + (k->maxima[j] - logits[(size_t)target * PANEL]) : 0.0f;
      k->losses[k->first + j] = loss;
    }
  }
}

// Odds of some words for one panel: along rows into `along` (words, along_row apart), across words into `across`.
INLINE void make_odds(const head_loss *k, int panel, int word, int words, float *along, float *across) {
  const float *logits = k->logits + ((size_t)panel * k->V + word) * PANEL;
  const f32x16 max[2] = {load16(k->maxima + panel * PANEL), load16(k->maxima + panel * PANEL + LANES)};
  for (int v = 0; v < words; v += STEP, across += PANEL) {
    f32x16 e[2][2];
    for (int s = 0; s < STEP; s++) {
      for (int g = 0; g < 2; g++) {
        e[s][g] = v + s < words ? exp16(sub16(load16(logits + (v + s) * PANEL + g * LANES), max[g])) : zero16();
      }
#if STEP == 2
      if (v + s < words) store16(along + (v + s) * k->along_row, pair_neighbours(e[s][0], e[s][1]));
#else
      store16(along + v * k->along_row, operand16(e[0][0]));
      store16(along + v * k->along_row + LANES, operand16(e[0][1]));
#endif
    }
    for (int g = 0; g < 2; g++) {
#if STEP == 2
      store16(across + g * LANES, pair_lanes(e[0][g], e[1][g]));
#else
      store16(across + g * LANES, operand16(e[0][g]));
#endif
    }
  }
  across -= (words + STEP - 1) / STEP * PANEL;
  // Less the sum at the target.
  for (int j = 0; j < MINIMUM(PANEL, k->rows - panel * PANEL); j++) {
    const int row = panel * PANEL + j, v = k->targets[k->first + row] - word;
    if (v < 0 || v >= words) continue;
    float e[LANES];
    store16(e, exp16(sub16(set16(logits[v * PANEL + j]), set16(k->maxima[row]))));
    const float odds = e[0] - k->sums[row];
    put_number(along + v * k->along_row + j / STEP, j % STEP, odds);
    put_number(across + v / STEP * PANEL + j, v % STEP, odds);
  }
}

// Odds of some words for all panels, and dw of these words: dw += odds^T (factor * x), over the rows of the chunk in order.
static void weight_gradient_task(void *arguments, int task, int worker) {
  const head_loss *k = arguments;
  const int word = task * WORDS, words = MINIMUM(WORDS, k->V - word);
  float *along = (float *)(k->memory + (size_t)worker * k->stride);
  for (int panel = 0; panel < k->panels; panel++) {
    float *across = k->odds + ((size_t)panel * k->odds_rows + word / STEP) * PANEL;
    make_odds(k, panel, word, words, along + panel * PANEL_ELEMENTS, across);
    if (task < k->word_tasks - 1) continue;
    float *end = k->odds + (size_t)(panel + 1) * k->odds_rows * PANEL;
    for (float *p = across + (words + STEP - 1) / STEP * PANEL; p < end; p += LANES) store16(p, zero16());
  }
  begin_products();
  for (int c = 0; c < k->C; c += TILE_COLUMNS) {
    const int rows = k->panels * PANEL_ELEMENTS;
    const tile t = {.a = along, .a_row = k->along_row, .a_k = 1, .k = rows, .segments = 1, .load = 1,
                    .b = k->scaled + (size_t)c * (size_t)rows, .b_k = TILE_COLUMNS,
                    .c = k->dw + (size_t)word * k->C + c, .c_row = k->C};
    multiply_rows(t, words, MINIMUM(TILE_COLUMNS, k->C - c));
  }
  end_products();
}

// Some strips of dx for some panels of the chunk: dx^T = w^T odds, then turned and multiplied by the rows' factors.
static void input_gradient_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int C = k->C, q = task % k->strip_tasks, group = task / k->strip_tasks;
  const int first_strip = k->strips * q / k->strip_tasks, end_strip = k->strips * (q + 1) / k->strip_tasks;
  const int first = k->panels * group / k->panel_tasks, end = k->panels * (group + 1) / k->panel_tasks;
  begin_products();
  for (int block = 0; block < blocks_turned(k); block++) {
    const int word = block * WORDS_TURNED, words = MINIMUM(WORDS_TURNED, k->V - word);
    for (int panel = first; panel < end; panel++) {
      const float *odds = k->odds + ((size_t)panel * k->odds_rows + word / STEP) * PANEL;
      for (int strip = first_strip; strip < end_strip; strip++) {
        const int c = first_column(k, strip), columns = first_column(k, strip + 1) - c;
        const packed_rows left = left_at(turned_strip(k, block, strip), C, columns, words);
        for (int j = 0; j < PANEL; j += TILE_COLUMNS) {
          const tile t = {.a = left.start, .a_row = left.row, .a_k = left.k, .k = elements(words), .segments = 1,
                          .b = odds + j, .b_k = PANEL, .load = block > 0,
                          .c = k->dx_turned + ((size_t)panel * C + c) * PANEL + j, .c_row = PANEL};
          multiply_rows(t, columns, TILE_COLUMNS);
        }
      }
    }
  }
  end_products();
  const int c = first_column(k, first_strip), end_c = first_column(k, end_strip);
  for (int row = first * PANEL; row < MINIMUM(k->rows, end * PANEL); row += LANES) {
    const int rows = MINIMUM(LANES, k->rows - row);
    for (int i = c; i < end_c; i += LANES) {
      const int count = MINIMUM(LANES, end_c - i);
      f32x16 block[LANES];
      for (int r = 0; r < LANES; r++) {
        block[r] = r < count ? load16(k->dx_turned + ((size_t)(row / PANEL) * C + i + r) * PANEL + row % PANEL) : zero16();
      }
      transpose16(block);
      for (int r = 0; r < rows; r++) {
        float *dx = k->dx + (size_t)(k->first + row + r) * C + i;
        store_up_to(dx, mul16(block[r], set16(k->factors[row + r])), count);
      }
    }
  }
}

// Rows beyond the chunk's end are zero, so that whole panels can be multiplied.
static void scale_inputs_task(void *arguments, int task, int worker) {
  (void)worker;
  const head_loss *k = arguments;
  const int c = task * TILE_COLUMNS, columns = MINIMUM(TILE_COLUMNS, k->C - c), rows = k->panels * PANEL;
  float *out = k->scaled + (size_t)c * (size_t)(k->panels * PANEL_ELEMENTS);
  for (int row = 0; row < rows; row += STEP, out += TILE_COLUMNS) {
    for (int j = 0; j < TILE_COLUMNS; j += LANES) {
      f32x16 scaled[2];
      for (int s = 0; s < STEP; s++) {
        const float *x = k->x + (size_t)(k->first + row + s) * k->C + c + j;
        const int present = row + s < k->rows && j < columns;
        scaled[s] = present ? mul16(load_clipped(x, columns - j), set16(k->factors[row + s])) : zero16();
      }
#if STEP == 2
      store16(out + j, pair_lanes(scaled[0], scaled[1]));
#else
      store16(out + j, operand16(scaled[0]));
#endif
    }
  }
}

int KERNEL(head_loss)(stlm_context *context, float *losses, const float *x, const float *w, const int32_t *targets,
                      int N, int C, int V, float *dx, float *dw, float gradient_scale) {
  head_loss k = {.losses = losses, .x = x, .w = w, .targets = targets, .C = C, .V = V, .dx = dx, .dw = dw};
  k.gradient_scale = gradient_scale;
  // About 128 MB of logits at most; a result does not depend on it.
  const int wanted = MAXIMUM(PANEL, MINIMUM(512, (32 << 20) / V / PANEL * PANEL));
  const size_t chunk = round_up((size_t)MINIMUM(wanted, N), PANEL), padded_C = round_up((size_t)C, TILE_COLUMNS);
  k.threads = stlm_threads(context);
  k.word_tasks = (V + WORDS - 1) / WORDS;
  k.weight_row = row_elements(elements(C));
  k.strips = (C + STRIP - 1) / STRIP;
  k.strip_tasks = (k.strips + 1) / 2;
  k.turned_block = left_bytes(MINIMUM(C, STRIP), WORDS_TURNED) / 4;
  k.odds_rows = elements(V);
  k.along_row = row_elements((int)chunk / STEP);
  // Tile registers read whole blocks of rows.
  k.weights = stlm_scratch(context, SLOT_WEIGHTS, round_up((size_t)V, LEFT_ROWS) * (size_t)k.weight_row * 4);
  k.logits = stlm_scratch(context, SLOT_LOGITS, chunk * (size_t)V * 4);
  k.columns = stlm_scratch(context, SLOT_INPUT, chunk * (size_t)MAXIMUM(elements(C), C) * 4);
  k.dx_turned = k.columns;
  k.maxima = stlm_scratch(context, SLOT_SUMS, (size_t)k.word_tasks * chunk * 8);
  k.factors = stlm_scratch(context, SLOT_ROWS, chunk * 4);
  if (!k.weights || !k.logits || !k.columns || !k.maxima || !k.factors) return STLM_OUT_OF_MEMORY;
  k.sums = k.maxima + (size_t)k.word_tasks * chunk;
  if (dx) {
    k.turned = stlm_scratch(context, SLOT_TURNED, (size_t)blocks_turned(&k) * (size_t)k.strips * k.turned_block * 4);
    k.odds = stlm_scratch(context, SLOT_ODDS, chunk * (size_t)k.odds_rows * 4);
    k.scaled = stlm_scratch(context, SLOT_PANELS, chunk / STEP * padded_C * 4);
    k.memory = stlm_worker_scratch(context, (size_t)k.along_row * WORDS * 4, &k.stride);
    if (!k.turned || !k.odds || !k.scaled || !k.memory) return STLM_OUT_OF_MEMORY;
  }
  stlm_run(context, blocks_turned(&k), pack_weights_task, &k);
  for (k.first = 0; k.first < N; k.first += (int)chunk) {
    k.rows = MINIMUM((int)chunk, N - k.first);
    k.panels = (k.rows + PANEL - 1) / PANEL;
    stlm_run(context, k.panels, pack_inputs_task, &k);
    stlm_run(context, k.word_tasks, logits_task, &k);
    stlm_run(context, k.panels, losses_task, &k);
    if (!dx) continue;
    // Two strips and eight panels stay in the core's cache; fewer panels only where that leaves threads idle, because a
    // task reads all words of its strips and panels.
    k.panel_tasks = MINIMUM(k.panels, MAXIMUM((k.panels + 7) / 8, (2 * k.threads + k.strip_tasks - 1) / k.strip_tasks));
    stlm_run(context, (int)padded_C / TILE_COLUMNS, scale_inputs_task, &k);
    stlm_run(context, k.word_tasks, weight_gradient_task, &k);
    stlm_run(context, k.strip_tasks * k.panel_tasks, input_gradient_task, &k);
  }
  return STLM_OK;
}
