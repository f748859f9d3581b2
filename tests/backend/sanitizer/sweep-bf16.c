// The products of bf16 over odd shapes, each buffer in an allocation of exactly its size. Compiled by
// tests/backend/sanitizer.test.ts together with attention-bf16.c and pool.c.

#include "../../../src/backend/cpu/kernels-bf16.c"
#include "exact-buffers.h"

stlm_context *stlm_create(int threads);
void stlm_destroy(stlm_context *context);

#define NAME(kernel) PASTE(stlm_##kernel##_bf16, ISA_NAME)
int NAME(attention)(stlm_context *context, float *y, float *lse, const float *qkv, float *cache, int capacity, int past,
                    int B, int T, int H, int Hkv, int D, float scale, int dropout, uint32_t seed, uint32_t purpose,
                    uint32_t first, uint32_t step, uint32_t site, uint32_t threshold, float keep);
int NAME(attention_gradient)(stlm_context *context, float *dqkv, const float *dy, const float *y, const float *lse,
                             const float *qkv, int B, int T, int H, int Hkv, int D, float scale, int dropout,
                             uint32_t seed, uint32_t purpose, uint32_t first, uint32_t step, uint32_t site,
                             uint32_t threshold, float keep);

static void products(stlm_context *c, int M, int N, int K) {
  const size_t m = (size_t)M, n = (size_t)N, k = (size_t)K;
  for (int flags = 0; flags < 8; flags++) {
    float *bias = flags & 1 ? NULL : reals(n), *residual = flags & 2 ? NULL : reals(m * n);
    CHECK(NAME(matmul)(c, reals(m * n), reals(m * k), reals(k * n), bias, residual, M, N, K, flags));
  }
}

static void head(stlm_context *c, int N, int C, int V) {
  const size_t n = (size_t)N, w = (size_t)C, v = (size_t)V;
  int32_t *targets = ids(N, V);
  if (N > 2) targets[1] = -1;
  CHECK(NAME(head_loss)(c, reals(n), reals(n * w), reals(v * w), targets, N, C, V, reals(n * w), reals(v * w), 1.0f));
  CHECK(NAME(head_loss)(c, reals(n), reals(n * w), reals(v * w), ids(N, V), N, C, V, NULL, NULL, 1.0f));
}

static void heads(stlm_context *c, int B, int T, int Hkv, int group, int D) {
  const int H = Hkv * group;
  const size_t width = (size_t)((H + 2 * Hkv) * D), y = (size_t)(B * T * H * D), qkv = (size_t)(B * T) * width;
  const size_t rows = (size_t)(B * H * T);
  for (int dropout = 0; dropout < 2; dropout++) {
    CHECK(NAME(attention)(c, reals(y), reals(rows), reals(qkv), NULL, 0, 0, B, T, H, Hkv, D, 0.3f, dropout, 1, 3,
                          4000000000u, 4, 5, 0x30000000u, 1.2f));
    CHECK(NAME(attention_gradient)(c, reals(qkv), reals(y), reals(y), reals(rows), reals(qkv), B, T, H, Hkv, D, 0.3f,
                                   dropout, 1, 3, 4000000000u, 4, 5, 0x30000000u, 1.2f));
  }
  const int past = 3, capacity = past + T;
  CHECK(NAME(attention)(c, reals(y), reals(rows), reals(qkv), reals((size_t)(B * capacity * 2 * Hkv * D)), capacity, past,
                        B, T, H, Hkv, D, 0.3f, 0, 1, 3, 0, 4, 5, 0, 1.0f));
}

int main(void) {
  static const int sizes[] = {1, 33, 17, 66};
  for (int threads = 1; threads <= 3; threads += 2) {
    stlm_context *c = stlm_create(threads);
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) {
        products(c, sizes[i], sizes[j], sizes[(i + 2 * j) % 4]);
        head(c, sizes[i], sizes[j], 1 + 2 * sizes[(i + j) % 4]);
      }
      heads(c, 1 + i % 2, sizes[i], 1 + i % 3, 1 + i % 2, 2 * (1 + 8 * i));
    }
    products(c, 35, 40, 2051);
    head(c, 515, 34, 387);
    stlm_destroy(c);
  }
  printf("clean\n");
  return 0;
}
