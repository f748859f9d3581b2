// Everything that a kernel takes from CUDA, without a CUDA header: types, bfloat16, inline PTX for ldmatrix, mma and cp.async.
// Kernel files include only this file (and helpers beside it), so nvcc, NVRTC of any version and, with the simulator's
// prelude in front (simulator/prelude.h has the same names and the same macro), g++ compile them unchanged.
#ifndef STLM_CUDA_PRELUDE
#define STLM_CUDA_PRELUDE

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define FULL_WARP 0xffffffffu

/** Dynamic shared memory of the launch as bytes; 128-byte aligned. Use at most once per kernel. */
#define DYN_SMEM(name) extern __shared__ __align__(128) unsigned char name[]

// ---- bfloat16: the upper half of a float, rounded to nearest even ------------------------------------------------------

struct bf16 {
  u16 x;
};

__device__ __forceinline__ float bf2f(bf16 v) { return __uint_as_float((u32)v.x << 16); }

/** Two floats as a pair of bf16, `lo` at the lower address. */
__device__ __forceinline__ u32 pack_bf16(float lo, float hi) {
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
  return pair;
}

__device__ __forceinline__ bf16 f2bf(float f) {
  bf16 r;
  r.x = (u16)(pack_bf16(f, 0.0f) & 0xffffu);
  return r;
}

/** Lower and upper element of a pair. */
__device__ __forceinline__ float pair_lo(u32 pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float pair_hi(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }

/** Element type of a template: float or bf16. */
__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(bf16 v) { return bf2f(v); }
__device__ __forceinline__ void store(float* p, float v) { *p = v; }
__device__ __forceinline__ void store(bf16* p, float v) { *p = f2bf(v); }

/** 2^x by one instruction, to 2 ulp; results below 2^-126 are 0. exp2f() takes four, for denormal results. */
__device__ __forceinline__ float exp2_fast(float x) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}

// ---- wide accesses: the address must be a multiple of the width; the simulator checks it ------------------------------

__device__ __forceinline__ uint4 load16(const void* p) { return *(const uint4*)p; }
__device__ __forceinline__ uint2 load8(const void* p) { return *(const uint2*)p; }
__device__ __forceinline__ u32 load4(const void* p) { return *(const u32*)p; }
__device__ __forceinline__ void store16(void* p, uint4 v) { *(uint4*)p = v; }
__device__ __forceinline__ void store8(void* p, uint2 v) { *(uint2*)p = v; }
__device__ __forceinline__ void store4(void* p, u32 v) { *(u32*)p = v; }

// ---- asynchronous copies global -> shared (Ampere and later) ------------------------------------------------------------

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

/** Copies 16 bytes past the registers and L1; both addresses are multiples of 16. */
__device__ __forceinline__ void cp_async16(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}

/** Copies the first `bytes` (0..16) and fills the rest of the 16 with zeros. With 0 nothing is read, but `global` must be aligned. */
__device__ __forceinline__ void cp_async16_zfill(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}

/** Closes the group of copies that this thread issued since the last commit; an empty group counts. */
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/** Waits until all but the last N groups of this thread have arrived. Other threads see them after a barrier. */
template <int N>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// ---- tensor cores: fragments as in the PTX manual, lane l = 4 g + t -----------------------------------------------------

/**
 * Loads four 8x8 matrices of bf16 from shared memory. Lane l gives the address (16-byte aligned) of row l % 8 of matrix l / 8;
 * register i of lane 4 g + t then holds elements (g, 2t) and (g, 2t + 1) of matrix i.
 */
__device__ __forceinline__ void ldmatrix_x4(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/** As ldmatrix_x4, but register i holds elements (2t, g) and (2t + 1, g): each matrix transposed. */
__device__ __forceinline__ void ldmatrix_x4_trans(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/**
 * d (16 x 8) += a (16 x 16) b (16 x 8), f32 sums. a: registers hold rows g, g + 8 of columns 2t.., then of columns 2t + 8..;
 * b: columns g, rows 2t.. and 2t + 8..; d: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
 */
__device__ __forceinline__ void mma_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  // Not volatile: a function of its registers, which the compiler may move between loads.
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
