// Rotary positions in place over adjacent pairs   (Su et al. 2021, section 3.2.2).   Reference: reference/rope.ts
// x (N, stride) float or bf16, row n = b T + t; the first `heads` heads of D columns turn. A block owns `POSITIONS` positions: it
// computes their cosines and sines once, in double precision, and turns all heads of its share of the sequences with them.
// Grid (ceil(T / 4), any), block 128, dynamic shared memory 4 D/2 x 2 floats.
#include "numbers.cuh"

constexpr int POSITIONS = 4;

/**
 * Cosine and sine of position * base^(-2i / D). The angle is reduced to a quarter turn in double, so that far positions keep their
 * digits; Taylor series do the rest, with an error below 3e-8. CUDA's own functions would reserve a stack for large arguments.
 */
__device__ __forceinline__ void rotation(float* cosine, float* sine, int position, int i, int D, float base) {
  const double quarter = 1.5707963267948966;
  const double angle = position * pow((double)base, -2.0 * i / D), turns = floor(angle / quarter + 0.5);
  const float r = (float)(angle - turns * quarter), q = r * r;
  const float s = r + r * q * (-1.0f / 6 + q * (1.0f / 120 + q * (-1.0f / 5040 + q * (1.0f / 362880))));
  const float c = 1.0f + q * (-0.5f + q * (1.0f / 24 + q * (-1.0f / 720 + q * (1.0f / 40320))));
  const int quadrant = (int)((long long)turns & 3);
  *sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
  *cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

template <class T>
__device__ void rope(T* x, int N, int period, int heads, int D, int stride, float base, int first_position, float direction) {
  DYN_SMEM(shared);
  const int pairs = D / 2, start = blockIdx.x * POSITIONS;
  const int positions = min(POSITIONS, period - start);
  float *cosines = (float*)shared, *sines = cosines + POSITIONS * pairs;
  for (int j = threadIdx.x; j < positions * pairs; j += blockDim.x) {
    rotation(&cosines[j], &sines[j], first_position + start + j / pairs, j % pairs, D, base);
    sines[j] *= direction;
  }
  __syncthreads();
  const bool aligned = sizeof(T) == 2 && D % 8 == 0 && stride % 8 == 0 && is_aligned16(x);
  for (int b = blockIdx.y; b * period + start < N; b += gridDim.y) {
    const u64 row = (u64)b * period + start;
    if (aligned) {
      // Four pairs at a time.
      const int packets = heads * D / 8;
      for (int j = threadIdx.x; j < positions * packets; j += blockDim.x) {
        const int p = j / packets, column = (j - p * packets) * 8;
        if (row + p >= N) continue;
        const int table = p * pairs + (column % D) / 2;
        T* at = x + (row + p) * stride + column;
        Floats<8> v = load_floats<8>(at);
#pragma unroll
        for (int k = 0; k < 4; k++) {
          const float even = v.v[2 * k], odd = v.v[2 * k + 1], c = cosines[table + k], s = sines[table + k];
          v.v[2 * k] = even * c - odd * s;
          v.v[2 * k + 1] = even * s + odd * c;
        }
        store_floats<8>(at, v);
      }
    } else {
      const int columns = heads * pairs;
      for (int j = threadIdx.x; j < positions * columns; j += blockDim.x) {
        const int p = j / columns, pair = j - p * columns;
        if (row + p >= N) continue;
        const int table = p * pairs + pair % pairs;
        T* at = x + (row + p) * stride + 2 * pair;
        const float even = to_float(at[0]), odd = to_float(at[1]), c = cosines[table], s = sines[table];
        store(at, even * c - odd * s);
        store(at + 1, even * s + odd * c);
      }
    }
  }
}

// direction: 1, or -1 to turn back.
extern "C" __global__ void __launch_bounds__(128)
    rope_f32(float* x, int N, int T, int heads, int D, int stride, float base, int first_position, float direction) {
  rope<float>(x, N, T, heads, D, stride, base, first_position, direction);
}
extern "C" __global__ void __launch_bounds__(128)
    rope_bf16(bf16* x, int N, int T, int heads, int D, int stride, float base, int first_position, float direction) {
  rope<bf16>(x, N, T, heads, D, stride, base, first_position, direction);
}
