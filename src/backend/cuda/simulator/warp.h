// What the lanes of a warp do together: synchronise, shuffle, vote, load matrices and multiply them on tensor cores.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cudasim {

void warpSync(uint32_t mask);

/** The 64 bits that lane `source` gave. Fails where that lane is not in the mask. */
uint64_t shuffle(uint32_t mask, uint64_t value, int source);

uint32_t ballot(uint32_t mask, bool predicate);

/** Four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8. See kernels/prelude.cuh. */
void loadMatrices(uint32_t (&registers)[4], const void* row, bool transposed);

/** Rows of ldmatrix so far that lay in the banks of an earlier row of the same matrix: each costs a GPU another access. */
extern uint64_t bankConflicts;

/** d += a b on fragments of mma.m16n8k16, bf16 with f32 sums. Sums of products in order of k, then added to d. */
void multiplyMatrices(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

int laneIndex();

template <class T>
T shuffleAs(uint32_t mask, T value, int source) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8 && sizeof(T) >= 4);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, source);
  memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cudasim
