// Tile registers of AMX in plain C, so that the code for them runs where there are none: compiled with
// -DSTLM_AMX_SIMULATED -include this. After the pseudocode of the Intel 64 and IA-32 Architectures Software Developer's
// Manual, volume 2: pairs of bfloat16 are multiplied and added along k, in ascending order. A wrong shape or an instruction
// before its configuration ends the program.
#ifndef AMX_SIMULATED_H
#define AMX_SIMULATED_H

#if defined(__AVX512F__)
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int configured;
  uint8_t rows[8], row_bytes[8];
  float numbers[8][16][16];
} simulated_tiles;
static __attribute__((unused)) _Thread_local simulated_tiles simulated;

static inline void simulated_loadconfig(const void *memory) {
  const uint8_t *bytes = (const uint8_t *)memory;
  if (bytes[0] != 1) abort();
  simulated.configured = 1;
  for (int i = 0; i < 8; i++) {
    uint16_t width;
    memcpy(&width, bytes + 16 + 2 * i, 2);
    simulated.rows[i] = bytes[48 + i];
    simulated.row_bytes[i] = (uint8_t)width;
    if (simulated.rows[i] > 16 || width > 64) abort();
  }
  for (int i = 1; i < 16; i++) if (bytes[i]) abort();
}
static inline void simulated_need(int tile) {
  if (!simulated.configured || simulated.rows[tile] == 0) abort();
}
static inline void simulated_move(int tile, const void *from, void *to, size_t stride) {
  simulated_need(tile);
  for (int i = 0; i < simulated.rows[tile]; i++) {
    if (from) memcpy(simulated.numbers[tile][i], (const char *)from + (size_t)i * stride, simulated.row_bytes[tile]);
    else memcpy((char *)to + (size_t)i * stride, simulated.numbers[tile][i], simulated.row_bytes[tile]);
  }
}
static inline float simulated_half(float pair, int index) {
  uint32_t u;
  memcpy(&u, &pair, 4);
  u = index ? u & 0xffff0000u : u << 16;
  memcpy(&pair, &u, 4);
  return pair;
}
static inline void simulated_product(int c, int a, int b) {
  simulated_need(c);
  simulated_need(a);
  simulated_need(b);
  for (int i = 0; i < simulated.rows[c]; i++) {
    for (int k = 0; k < simulated.row_bytes[a] / 4; k++) {
      for (int j = 0; j < simulated.row_bytes[c] / 4; j++) {
        const float x = simulated.numbers[a][i][k], y = simulated.numbers[b][k][j];
        simulated.numbers[c][i][j] += simulated_half(x, 0) * simulated_half(y, 0);
        simulated.numbers[c][i][j] += simulated_half(x, 1) * simulated_half(y, 1);
      }
    }
  }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(memory) simulated_loadconfig(memory)
#define _tile_release() (simulated.configured = 0)
#define _tile_zero(tile) (simulated_need(tile), (void)memset(simulated.numbers[tile], 0, sizeof simulated.numbers[tile]))
#define _tile_loadd(tile, from, stride) simulated_move(tile, from, NULL, stride)
#define _tile_stored(tile, to, stride) simulated_move(tile, NULL, to, stride)
#define _tile_dpbf16ps(c, a, b) simulated_product(c, a, b)
#endif

#endif
