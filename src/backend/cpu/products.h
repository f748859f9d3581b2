// Products of packed operands: on AMX by its tile registers, else by the blocks of tile.h; and how each wants its left
// operand packed.
#ifndef STLM_PRODUCTS_H
#define STLM_PRODUCTS_H

#include "tile.h"

// A packed left operand: element k of row i stands at start[i * row + k * this.k].
typedef struct {
  const float *start;
  ptrdiff_t row, k;
} packed_rows;

#ifdef STLM_TILES
#include "tile-amx.h"
#define LEFT_ROWS TILE_SIDE
#else
#define LEFT_ROWS LANES
// All rows of one panel of columns.
INLINE void multiply_rows(tile t, int rows, int columns) { run_rows(t, rows, columns); }
INLINE void begin_products(void) {}
INLINE void end_products(void) {}
#endif

// Bytes that pack_left may fill for `rows` rows of k numbers.
INLINE size_t left_bytes(int rows, int k) {
  return round_up((size_t)rows, LEFT_ROWS) * (size_t)row_elements(elements(k)) * 4;
}

// Where pack_left puts element k of row i of a left operand: rows of elements where a_k is 1, else columns (what a block
// reads at one k stands together). AMX can read rows only; f32 takes columns always.
INLINE packed_rows left_at(void *memory, ptrdiff_t a_k, int rows, int k) {
#if defined(STLM_TILES)
  const int along = 1;
#elif defined(STLM_BF16)
  const int along = a_k == 1;
#else
  const int along = 0;
#endif
  (void)a_k;
  if (along) return (packed_rows){memory, row_elements(elements(k)), 1};
  return (packed_rows){memory, 1, (ptrdiff_t)round_up((size_t)rows, LANES)};
}

// Copies a[i * a_row + k * a_k], one of the two distances 1.
INLINE packed_rows pack_left(void *memory, const float *a, ptrdiff_t a_row, ptrdiff_t a_k, int rows, int k) {
  const packed_rows to = left_at(memory, a_k, rows, k);
  float *out = memory;
#ifdef STLM_TILES
  if (a_k != 1) pack_turned(out, (int)to.row, a, a_k, k, rows);
  else pack_along(out, (int)to.row, a, a_row, rows, k);
#else
  if (to.k == 1) pack_along(out, (int)to.row, a, a_row, rows, k);
  else if (a_k == 1) pack_columns(out, (int)to.k, a, a_row, k, rows);
  else pack_rows(out, (int)to.k, a, a_k, k, rows);
#endif
  return to;
}

#endif
