// The inner loop of every product: a block of at most TILE_ROWS x (16 TILE_VECTORS) outputs, kept in registers while k
// runs. Each output is ONE chain of fused multiply-adds over k in ascending order, started from zero or from what the
// output holds, so that neither block sizes nor threads nor the instruction set change a bit of it. In bf16 a link of the
// chain is an element of two numbers, and the instruction set's own way to add its products: see operands.h.
#ifndef STLM_TILE_H
#define STLM_TILE_H

#include "operands.h"

#if defined(__AVX512F__) && !defined(STLM_PORTABLE)
#define TILE_ROWS 14
#define TILE_VECTORS 2
#elif defined(__AVX2__) && !defined(STLM_PORTABLE)
#define TILE_ROWS 6
#define TILE_VECTORS 1
#else
#define TILE_ROWS 4
#define TILE_VECTORS 1
#endif
#define TILE_COLUMNS (TILE_VECTORS * LANES)

// k, and all distances, count elements.
// c[i,j] = chain over k of a[i * a_row + k * a_k] * b[k * b_k + j] [+ bias[j]] [+ residual[i,j]]. In `segments` runs of
// k each; a moves by a_segment from one to the next, b just goes on. Rows of b must be readable in whole vectors.
typedef struct {
  const float *a;
  ptrdiff_t a_row, a_k, a_segment;
  const float *b;
  ptrdiff_t b_k;
  float *c;
  ptrdiff_t c_row;
  int k, segments;
  int load; // start from c
  const float *bias, *residual; // residual has the rows of c
  const float *c_ahead;         // where the block after this one starts from c
  const float *ahead;           // what will be read afterwards, of which each block fetches so many cache lines
  int ahead_lines;
} tile;

INLINE void tile_fixed(const int rows, const int vectors, const tile *t, const int last) {
  f32x16 sum[TILE_ROWS][TILE_VECTORS];
  const ptrdiff_t c_row = t->c_row;
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int w = 0; w < vectors; w++) {
      const float *p = t->c + i * c_row + w * LANES;
      sum[i][w] = !t->load ? zero16() : w == vectors - 1 ? load_part(p, last) : load16(p);
    }
  }
  // Where the sums go, or what the next block starts from, is on its way while this one computes.
  const float *c_ahead = t->load ? t->c_ahead : t->c;
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int w = 0; w < vectors; w++) __builtin_prefetch(c_ahead + i * c_row + w * LANES, 1);
  }
  for (int line = 0; line < t->ahead_lines; line++) __builtin_prefetch(t->ahead + line * LANES, 0, 2);
  const float *b = t->b;
  const ptrdiff_t a_row = t->a_row, a_k = t->a_k, b_k = t->b_k;
  for (int segment = 0; segment < t->segments; segment++) {
    // Five pointers, each for three rows, keep every address within one instruction.
    const float *a[5];
#pragma GCC unroll 5
    for (int g = 0; g < 5; g++) a[g] = t->a + segment * t->a_segment + 3 * g * a_row;
    for (int k = t->k; k > 0; k--) {
      f32x16 row[TILE_VECTORS];
#pragma GCC unroll 2
      for (int w = 0; w < vectors; w++) row[w] = load16(b + w * LANES);
      b += b_k;
#pragma GCC unroll 16
      for (int i = 0; i < rows; i++) {
        const float *x = &a[i / 3][(i % 3) * a_row];
#pragma GCC unroll 2
        for (int w = 0; w < vectors; w++) sum[i][w] = multiply16(x, row[w], sum[i][w]);
      }
#pragma GCC unroll 5
      for (int g = 0; g < (rows + 2) / 3; g++) a[g] += a_k;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int w = 0; w < vectors; w++) {
      const int count = w == vectors - 1 ? last : LANES;
      const ptrdiff_t at = i * c_row + w * LANES;
      f32x16 value = sum[i][w];
      if (t->bias) value = add16(value, load_part(t->bias + w * LANES, count));
      if (t->residual) value = add16(value, load_part(t->residual + at, count));
      if (count == LANES) store16(t->c + at, value);
      else store_part(t->c + at, value, count);
    }
  }
}

typedef void (*tile_function)(const tile *t, int last);

#define TILE_FUNCTION(rows, vectors) \
  __attribute__((noinline)) static void tile_##rows##x##vectors(const tile *t, int last) { \
    tile_fixed(rows, vectors, t, last); \
  }
#if TILE_VECTORS == 2
#define TILES_OF(rows) TILE_FUNCTION(rows, 1) TILE_FUNCTION(rows, 2)
#define ENTRIES_OF(rows) {tile_##rows##x1, tile_##rows##x2},
#else
#define TILES_OF(rows) TILE_FUNCTION(rows, 1)
#define ENTRIES_OF(rows) {tile_##rows##x1},
#endif
#if TILE_ROWS == 14
#define EACH_HEIGHT(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#elif TILE_ROWS == 6
#define EACH_HEIGHT(F) F(1) F(2) F(3) F(4) F(5) F(6)
#else
#define EACH_HEIGHT(F) F(1) F(2) F(3) F(4)
#endif
EACH_HEIGHT(TILES_OF)
static const tile_function tile_functions[TILE_ROWS][TILE_VECTORS] = {EACH_HEIGHT(ENTRIES_OF)};

// One block: rows 1..TILE_ROWS, columns 1..TILE_COLUMNS.
INLINE void run_tile(const tile *t, int rows, int columns) {
  const int vectors = (columns + LANES - 1) / LANES;
  tile_functions[rows - 1][vectors - 1](t, columns - (vectors - 1) * LANES);
}

INLINE int blocks_of_rows(int rows) { return (rows + TILE_ROWS - 1) / TILE_ROWS; }

// Lets product `part` of `parts` like this one, each of so many rows, fetch its share of what is read after all of them.
INLINE void fetch_ahead(tile *t, const float *next, size_t numbers, int part, int parts, int rows) {
  const size_t share = numbers / (size_t)parts, lines = (size_t)blocks_of_rows(rows) * LANES;
  t->ahead = next + share * (size_t)part;
  t->ahead_lines = (int)((share + lines - 1) / lines);
}

// All rows of one panel of columns. t names the first row; heights differ by at most one.
INLINE void run_rows(tile t, int rows, int columns) {
  const int blocks = blocks_of_rows(rows);
  const float *a = t.a, *residual = t.residual;
  float *c = t.c;
  for (int i = 0, row = 0; i < blocks; i++) {
    const int height = (rows - row + blocks - i - 1) / (blocks - i);
    t.a = a + row * t.a_row;
    t.c = c + row * t.c_row;
    // Below, and then at the top of the columns to the right.
    t.c_ahead = i + 1 < blocks ? t.c + height * t.c_row : c + columns;
    if (residual) t.residual = residual + row * t.c_row;
    run_tile(&t, height, columns);
    if (t.ahead) t.ahead += t.ahead_lines * LANES;
    row += height;
  }
}

#endif
