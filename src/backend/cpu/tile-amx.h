// Products on AMX tile registers: blocks of 32 x 32 outputs in four accumulators of 16 x 16, 32 numbers of k at a time
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18). The same operands as tile.h, with
// a in rows of elements (a_k = 1) that go on in zeros to a multiple of 16, and readable to a multiple of 32 rows: what
// stands there reaches no output.
#ifndef STLM_TILE_AMX_H
#define STLM_TILE_AMX_H

#define TILE_SIDE 32

// Every register: 16 rows of 64 bytes. Belongs to the thread, so each task sets it.
INLINE void begin_products(void) {
  struct { uint8_t palette, start_row, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } shape = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shape.row_bytes[i] = 64;
    shape.rows[i] = 16;
  }
  _tile_loadconfig(&shape);
}
INLINE void end_products(void) { _tile_release(); }

// rows 1..32, columns 1..32 of c, by way of `block`.
INLINE void multiply_block(const tile *t, int rows, int columns) {
  float block[TILE_SIDE][TILE_SIDE] __attribute__((aligned(64)));
  const int lower = rows > 16, right = columns > 16;
  if (t->load) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j += LANES) store16(&block[i][j], load_clipped(t->c + i * t->c_row + j, columns - j));
    }
    // Rows below the last hold what the stack held; the sums made of it are not read.
    _tile_loadd(0, &block[0][0], sizeof block[0]);
    if (right) _tile_loadd(1, &block[0][16], sizeof block[0]);
    if (lower) _tile_loadd(2, &block[16][0], sizeof block[0]);
    if (lower && right) _tile_loadd(3, &block[16][16], sizeof block[0]);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const float *b = t->b;
  const size_t a_bytes = (size_t)t->a_row * 4, b_bytes = (size_t)t->b_k * 4;
  for (int segment = 0; segment < t->segments; segment++) {
    const float *a = t->a + segment * t->a_segment;
    for (int k = 0; k < t->k; k += 16, b += 16 * t->b_k) {
      _tile_loadd(4, a + k, a_bytes);
      _tile_loadd(6, b, b_bytes);
      _tile_dpbf16ps(0, 4, 6);
      if (right) {
        _tile_loadd(7, b + 16, b_bytes);
        _tile_dpbf16ps(1, 4, 7);
      }
      if (lower) {
        _tile_loadd(5, a + 16 * t->a_row + k, a_bytes);
        _tile_dpbf16ps(2, 5, 6);
        if (right) _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, &block[0][0], sizeof block[0]);
  if (right) _tile_stored(1, &block[0][16], sizeof block[0]);
  if (lower) _tile_stored(2, &block[16][0], sizeof block[0]);
  if (lower && right) _tile_stored(3, &block[16][16], sizeof block[0]);
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < columns; j += LANES) {
      const int count = MINIMUM(LANES, columns - j);
      const ptrdiff_t at = i * t->c_row + j;
      f32x16 value = load16(&block[i][j]);
      if (t->bias) value = add16(value, load_part(t->bias + j, count));
      if (t->residual) value = add16(value, load_part(t->residual + at, count));
      if (count == LANES) store16(t->c + at, value);
      else store_part(t->c + at, value, count);
    }
  }
}

// All rows of one panel of columns.
INLINE void multiply_rows(tile t, int rows, int columns) {
  for (int row = 0; row < rows; row += TILE_SIDE) {
    multiply_block(&t, MINIMUM(TILE_SIDE, rows - row), columns);
    t.a += TILE_SIDE * t.a_row;
    t.c += TILE_SIDE * t.c_row;
    if (t.residual) t.residual += TILE_SIDE * t.c_row;
  }
}

#endif
