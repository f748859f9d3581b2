// What begins and ends a micro-batch: its ids and targets out of the windows of its step, and the counter of micro-batches.
// Reference: reference/micro-batch.ts
#include "numbers.cuh"

/**
 * ids, targets (B, T) int: window n = micro_batch * size + b of windows (num_windows, T + 1), from its first and from its second id
 * on; -2 for a window that does not exist. One thread a token, block 256.
 */
extern "C" __global__ void __launch_bounds__(256)
    cut_windows(int* ids, int* targets, const int* windows, int num_windows, const int* micro_batch_at, int micro_batch, int size,
                int tokens, int T) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i >= tokens) return;
  const long long n = (long long)scalar(micro_batch_at, micro_batch) * size + i / T;
  const bool exists = n >= 0 && n < num_windows;
  const int* window = windows + (exists ? n : 0) * (T + 1) + i % T;
  ids[i] = exists ? window[0] : -2;
  targets[i] = exists ? window[1] : -2;
}

/** One thread. */
extern "C" __global__ void increment(int* counter) { *counter += 1; }
