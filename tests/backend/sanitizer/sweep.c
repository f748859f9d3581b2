// Runs every C kernel over odd shapes, each buffer in an allocation of exactly its size, so that AddressSanitizer sees
// any step beyond it and UBSan any undefined arithmetic. Also: threads beyond the processors, and a fork.
// Compiled by tests/backend/sanitizer.test.ts together with pool.c and rope-table.c.

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../src/backend/cpu/kernels.c"
#include "exact-buffers.h"

stlm_context *stlm_create(int threads);
void stlm_destroy(stlm_context *context);
void stlm_rope_table(float *table, int positions, int D, double base);

#define NAME(kernel) PASTE(stlm_##kernel, ISA_NAME)

static void products(stlm_context *c, int M, int N, int K) {
  const size_t m = (size_t)M, n = (size_t)N, k = (size_t)K;
  for (int flags = 0; flags < 8; flags++) {
    CHECK(NAME(matmul)(c, reals(m * n), reals(m * k), reals(k * n), reals(n), flags & 1 ? NULL : reals(m * n), M, N, K, flags));
    float *same = reals(m * n);
    CHECK(NAME(matmul)(c, same, reals(m * k), reals(k * n), NULL, same, M, N, K, flags & 3));
  }
}

static void rows(stlm_context *c, int N, int C) {
  const size_t n = (size_t)N, w = (size_t)C;
  CHECK(NAME(rms_norm)(c, reals(n * w), reals(n), reals(n * w), reals(w), N, C, 1e-5f));
  CHECK(NAME(rms_norm_gradient)(c, reals(n * w), reals(w), reals(n * w), reals(n * w), reals(w), reals(n), N, C, N % 2));
  CHECK(NAME(layer_norm)(c, reals(n * w), reals(n), reals(n), reals(n * w), reals(w), reals(w), N, C, 1e-5f));
  CHECK(NAME(layer_norm_gradient)(c, reals(n * w), reals(w), reals(w), reals(n * w), reals(n * w), reals(w), reals(n), reals(n), N, C, N % 2));
  CHECK(NAME(swiglu)(c, reals(n * w), reals(2 * n * w), N, C));
  CHECK(NAME(swiglu_gradient)(c, reals(2 * n * w), reals(n * w), reals(2 * n * w), N, C));
  CHECK(NAME(column_sum)(c, reals(w), reals(n * w), N, C));
  const int V = 2 * N + 3;
  CHECK(NAME(embedding)(c, reals(n * w), reals((size_t)V * w), ids(N, V), reals((n + 2) * w), 2, N, N, C));
  CHECK(NAME(embedding_gradient)(c, reals((size_t)V * w), reals(n * w), reals(n * w), ids(N, V), N, N, C));
  CHECK(NAME(head_loss)(c, reals(n), reals(n * w), reals((size_t)V * w), ids(N, V), N, C, V, reals(n * w), reals((size_t)V * w), 1.0f / (float)N));
  CHECK(NAME(head_loss)(c, reals(n), reals(n * w), reals((size_t)V * w), ids(N, V), N, C, V, NULL, NULL, 1.0f));
}

static void each_number(stlm_context *c, int64_t length) {
  const size_t n = (size_t)length;
  CHECK(NAME(gelu)(c, reals(n), reals(n), length));
  CHECK(NAME(gelu_gradient)(c, reals(n), reals(n), reals(n), length));
  CHECK(NAME(add)(c, reals(n), reals(n), reals(n), length));
  CHECK(NAME(scale)(c, reals(n), reals(n), 0.5f, length));
  CHECK(NAME(sum)(c, reals(1), reals(n), length, 1));
  CHECK(NAME(dropout)(c, reals(n), reals(n), reals(n), length, 1, 3, 4000000000u, 4, 5, 0x30000000u, 1.25f));
  float *v = reals(n);
  for (size_t i = 0; i < n; i++) v[i] *= v[i];
  CHECK(NAME(adamw)(c, reals(n), reals(n), reals(n), v, length, 0.9f, 0.95f, 1e-3f, 1.1f, 1e-8f, 1e-4f, 1.0f));
}

static void heads(stlm_context *c, int B, int T, int Hkv, int group, int D) {
  const int H = Hkv * group;
  const size_t width = (size_t)((H + 2 * Hkv) * D), y = (size_t)(B * T * H * D), qkv = (size_t)(B * T) * width;
  for (int dropout = 0; dropout < 2; dropout++) {
    CHECK(NAME(attention)(c, reals(y), reals((size_t)(B * H * T)), reals(qkv), NULL, 0, 0, B, T, H, Hkv, D, 0.3f, dropout, 1, 3, 4000000000u, 4, 5, 0x30000000u, 1.2f));
    CHECK(NAME(attention_gradient)(c, reals(qkv), reals(y), reals(y), reals((size_t)(B * H * T)), reals(qkv), B, T, H, Hkv, D, 0.3f, dropout, 1, 3, 4000000000u, 4, 5, 0x30000000u, 1.2f));
  }
  float *table = reals((size_t)(T + 2) * 2 * (size_t)D);
  stlm_rope_table(table, T + 2, D, 10000.0);
  CHECK(NAME(rope)(c, reals(qkv), table, B * T, T, H + Hkv, D, (int)width, 2, T % 2));
}

static void sweep(stlm_context *c, int count) {
  static const int sizes[] = {1, 33, 16, 3, 67, 17};
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < count; j++) {
      products(c, sizes[i], sizes[j], sizes[(i + j) % count]);
      rows(c, sizes[i], sizes[j]);
    }
    each_number(c, sizes[i]);
    heads(c, 1 + i % 2, sizes[i], 1 + i % 3, 1 + i % 2, 2 * (1 + 5 * i % 18));
  }
  products(c, 30, 40, 1100);
  products(c, 33, 1, 1024);
  rows(c, 290, 19);
  each_number(c, 33001);
}

// argv[1]: how many of the sizes above to combine; fewer where the arithmetic is emulated.
int main(int argc, char **argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 3;
  for (int threads = 1; threads <= 9; threads += 4) {
    stlm_context *context = stlm_create(threads);
    if (threads == 9) each_number(context, 70001);
    else sweep(context, count);
    if (threads == 5) {
      // A child has the caller's memory but not its threads: it must neither wait for them nor end them.
      const pid_t child = fork();
      if (child == 0) {
        alarm(60);
        each_number(context, 70001);
        stlm_destroy(context);
        _exit(0);
      }
      int status = 1;
      if (waitpid(child, &status, 0) != child || status != 0) return 2;
    }
    stlm_destroy(context);
  }
  printf("clean\n");
  return 0;
}
