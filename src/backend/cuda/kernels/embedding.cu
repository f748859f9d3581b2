// Rows of a table by id, with positions added; their gradient without atomics.   Reference: reference/embedding.ts
// table, positions and their gradients float; y, dy (N, C) float or bf16; ids (N) i32. The table is bf16 too where its rows are
// activations.
#include "numbers.cuh"

/** y[n] = table[ids[n]] + positions[first_position + n mod T]; NaN for an id outside 0..V-1. One warp per row, block 256. */
template <class T, class S>
__device__ void embedding(T* y, const S* table, const int* ids, const float* positions, int first_position, int N, int period,
                          int C, int V) {
  const int n = blockIdx.x * 8 + (threadIdx.x >> 5);
  if (n >= N) return;
  const int id = ids[n];
  const bool known = id >= 0 && id < V;
  const bool aligned =
      C % Packet<T>::width == 0 && is_aligned16(y) && is_aligned16(table) && is_aligned16(positions);
  const S* word = table + (u64)(known ? id : 0) * C;
  const float* place = positions ? positions + (u64)(first_position + n % period) * C : nullptr;
  y += (u64)n * C;
  for_columns<T>(C, aligned, [&](auto width, int c) {
    constexpr int W = decltype(width)::value;
    Floats<W> v = load_floats<W>(word + c);
    if (place) {
      const Floats<W> p = load_floats<W>(place + c);
#pragma unroll
      for (int k = 0; k < W; k++) v.v[k] += p.v[k];
    }
    if (!known) {
#pragma unroll
      for (int k = 0; k < W; k++) v.v[k] = __uint_as_float(0x7fffffffu);
    }
    store_floats<W>(y + c, v);
  });
}

constexpr int RUN = 512;

/**
 * The first half of sorting rows 0..N-1 by (id, row): runs of 512 rows are sorted each for itself, a row's place being the number of
 * rows that come before it. keys: the ids in that order, V for those outside the vocabulary; rows: the rows. Grid ceil(N / 512),
 * block 512.
 */
extern "C" __global__ void __launch_bounds__(RUN) embedding_runs(int* keys, int* rows, const int* ids, int N, int V) {
  __shared__ __align__(16) int tile[RUN];
  const int first = blockIdx.x * RUN, n = first + threadIdx.x, id = n < N ? ids[n] : 0;
  const int key = id >= 0 && id < V ? id : V;
  tile[threadIdx.x] = n < N ? key : 0x7fffffff;
  __syncthreads();
  // Of rows with the same id those above come before: keys up to this one count there, keys below it elsewhere.
  int before = 0;
#pragma unroll 4
  for (int j = 0; j < RUN; j += 4) {
    const uint4 four = load16(tile + j);
    const int above = (int)threadIdx.x - j;
    before += (int)four.x < key + (above > 0);
    before += (int)four.y < key + (above > 1);
    before += (int)four.z < key + (above > 2);
    before += (int)four.w < key + (above > 3);
  }
  if (n < N) {
    keys[first + before] = key;
    rows[first + before] = n;
  }
}

/**
 * The second half: order = the rows of all runs, merged. A row's place is its place in its run and, by binary search, the number of
 * rows in every other run that come before it; four lanes share the runs. Grid ceil(N / 64), block 256.
 */
extern "C" __global__ void __launch_bounds__(256) embedding_order(int* order, const int* keys, const int* rows, int N) {
  const int quarter = threadIdx.x & 3, i = blockIdx.x * 64 + (threadIdx.x >> 2), own = i / RUN;
  const int key = i < N ? keys[i] : 0;
  int before = quarter == 0 ? i % RUN : 0;
  for (int run = quarter; run * RUN < N; run += 4) {
    if (run == own) continue;
    const int bound = key + (run < own);
    int low = run * RUN, high = min(low + RUN, N);
    while (low < high) {
      const int middle = (low + high) >> 1;
      if (keys[middle] < bound) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    before += low - run * RUN;
  }
  before += __shfl_xor_sync(FULL_WARP, before, 1);
  before += __shfl_xor_sync(FULL_WARP, before, 2);
  if (i < N && quarter == 0) order[before] = rows[i];
}

/**
 * dTable[id] += dy[n] for the rows of one id in the order of n. A warp whose place in `order` is the first of its id adds them
 * all up, for 32 packets of columns; others leave. Grid (ceil(N / 8), column slabs), block 256.
 */
template <class T>
__device__ void embedding_gradient(float* d_table, const T* dy, const int* ids, const int* order, int N, int C, int V) {
  const int place = blockIdx.x * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
  if (place >= N) return;
  const int id = ids[order[place]];
  if (id < 0 || id >= V || (place > 0 && ids[order[place - 1]] == id)) return;
  const bool aligned = C % Packet<T>::width == 0 && is_aligned16(d_table) && is_aligned16(dy);
  const auto add_rows = [&](auto width) {
    constexpr int W = decltype(width)::value;
    // Lanes beyond the last column read column 0 with the others and write nothing.
    const int column = (blockIdx.y * 32 + lane) * W, c = column < C ? column : 0;
    float* target = d_table + (u64)id * C + c;
    Floats<W> sum = load_floats<W>(target);
    for (int start = place; start < N; start += 32) {
      const int n = start + lane < N ? order[start + lane] : -1;
      const int rows = __popc(__ballot_sync(FULL_WARP, n >= 0 && ids[n < 0 ? 0 : n] == id));
      // Of a frequent word thousands of rows come one after another: eight are on their way at once.
      for (int j = 0; j < rows; j += 8) {
        Floats<W> d[8];
#pragma unroll
        for (int e = 0; e < 8; e++) {
          const int row = __shfl_sync(FULL_WARP, n, (j + e) & 31);
          if (j + e < rows) d[e] = load_floats<W>(dy + (u64)row * C + c);
        }
#pragma unroll
        for (int e = 0; e < 8; e++) {
#pragma unroll
          for (int k = 0; k < W; k++) {
            if (j + e < rows) sum.v[k] += d[e].v[k];
          }
        }
      }
      if (rows < 32) break;
    }
    if (column < C) store_floats<W>(target, sum);
  };
  if (aligned) {
    add_rows(Width<Packet<T>::width>());
  } else {
    add_rows(Width<1>());
  }
}

/** dPositions[t] += dy[b T + t] in the order of b. Grid (T, any), block 128. */
template <class T>
__device__ void positions_gradient(float* d_positions, const T* dy, int N, int period, int C) {
  const int t = blockIdx.x;
  for (int c = blockIdx.y * blockDim.x + threadIdx.x; c < C; c += gridDim.y * blockDim.x) {
    float sum = d_positions[(u64)t * C + c];
#pragma unroll 4
    for (int n = t; n < N; n += period) sum += to_float(dy[(u64)n * C + c]);
    d_positions[(u64)t * C + c] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(256)
    embedding_f32(float* y, const float* table, const int* ids, const float* positions, int first_position, int N, int T, int C,
                  int V) {
  embedding<float, float>(y, table, ids, positions, first_position, N, T, C, V);
}
extern "C" __global__ void __launch_bounds__(256)
    embedding_bf16(bf16* y, const float* table, const int* ids, const float* positions, int first_position, int N, int T, int C,
                   int V) {
  embedding<bf16, float>(y, table, ids, positions, first_position, N, T, C, V);
}
extern "C" __global__ void __launch_bounds__(256)
    embedding_rows_bf16(bf16* y, const bf16* table, const int* ids, const float* positions, int first_position, int N, int T, int C,
                        int V) {
  embedding<bf16, bf16>(y, table, ids, positions, first_position, N, T, C, V);
}
extern "C" __global__ void __launch_bounds__(256, 2)
    embedding_gradient_f32(float* d_table, const float* dy, const int* ids, const int* order, int N, int C, int V) {
  embedding_gradient<float>(d_table, dy, ids, order, N, C, V);
}
extern "C" __global__ void __launch_bounds__(256, 2)
    embedding_gradient_bf16(float* d_table, const bf16* dy, const int* ids, const int* order, int N, int C, int V) {
  embedding_gradient<bf16>(d_table, dy, ids, order, N, C, V);
}
extern "C" __global__ void __launch_bounds__(128) positions_gradient_f32(float* d_positions, const float* dy, int N, int T, int C) {
  positions_gradient<float>(d_positions, dy, N, T, C);
}
extern "C" __global__ void __launch_bounds__(128) positions_gradient_bf16(float* d_positions, const bf16* dy, int N, int T, int C) {
  positions_gradient<bf16>(d_positions, dy, N, T, C);
}
