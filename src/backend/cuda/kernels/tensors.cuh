// Several tensors in one launch. The kernel's last parameter is a table with a row for each, which lies in constant memory; the
// blocks of a tensor follow those of the one before it. Table of launch/tables.ts.
#ifndef STLM_TENSORS
#define STLM_TENSORS

#include "numbers.cuh"

template <class Row, int CAPACITY>
struct Table {
  Row rows[CAPACITY];
};

/** The row that this block works for: the last one that begins at it or before. All threads of a block take the same way. */
template <class Row, int CAPACITY>
__device__ __forceinline__ const Row& row_of_block(const Table<Row, CAPACITY>& table, int count) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) >> 1;
    if (table.rows[middle].first_block <= blockIdx.x) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return table.rows[low];
}

#endif
