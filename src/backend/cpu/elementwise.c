// Sums and multiples of whole buffers, dropout, and one step of AdamW.
// Reference: ../reference/elementwise.ts, dropout.ts, adamw.ts

#include "philox16.h"
#include "rows.h"

typedef struct {
  float *y;
  const float *a, *b;
  float factor;
  int64_t length;
  dropout_key key;
} elementwise;

static void add_task(void *arguments, int block, int worker) {
  (void)worker;
  const elementwise *k = arguments;
  EACH_ELEMENT(i, n, k->length, block) store_up_to(k->y + i, add16(load_up_to(k->a + i, n), load_up_to(k->b + i, n)), n);
}

int KERNEL(add)(stlm_context *context, float *y, const float *a, const float *b, int64_t length) {
  elementwise k = {.y = y, .a = a, .b = b, .length = length};
  stlm_run(context, element_blocks(length), add_task, &k);
  return STLM_OK;
}

static void scale_task(void *arguments, int block, int worker) {
  (void)worker;
  const elementwise *k = arguments;
  EACH_ELEMENT(i, n, k->length, block) store_up_to(k->y + i, mul16(load_up_to(k->a + i, n), set16(k->factor)), n);
}

int KERNEL(scale)(stlm_context *context, float *y, const float *x, float factor, int64_t length) {
  elementwise k = {.y = y, .a = x, .factor = factor, .length = length};
  stlm_run(context, element_blocks(length), scale_task, &k);
  return STLM_OK;
}

static void dropout_task(void *arguments, int block, int worker) {
  (void)worker;
  const elementwise *k = arguments;
  const f32x16 keep = set16(k->key.keep);
  const int64_t end = element_end(k->length, block);
  for (int64_t first = (int64_t)block * ELEMENT_BLOCK; first < end; first += 64) {
    uint32_t words[64];
    philox_words(words, (uint64_t)first, &k->key);
    for (int v = 0; v < 64 && first + v < end; v += LANES) {
      const int64_t i = first + v;
      const int n = (int)MINIMUM(LANES, end - i);
      const f32x16 kept = keep_at_least(mul16(load_up_to(k->a + i, n), keep), uload(words + v), k->key.threshold);
      const f32x16 residual = k->b ? load_up_to(k->b + i, n) : zero16();
      store_up_to(k->y + i, add16(residual, kept), n);
    }
  }
}

int KERNEL(dropout)(stlm_context *context, float *y, const float *x, const float *residual, int64_t length,
                    uint32_t seed, uint32_t purpose, uint32_t first, uint32_t step, uint32_t site, uint32_t threshold,
                    float keep) {
  elementwise k = {.y = y, .a = x, .b = residual, .length = length};
  k.key = (dropout_key){seed, purpose, first, step, site, threshold, keep};
  stlm_run(context, element_blocks(length), dropout_task, &k);
  return STLM_OK;
}

typedef struct {
  float *p, *m, *v;
  const float *g;
  int64_t length;
  float beta1, beta2, rate, inverse2, eps, decay, gradient_scale;
} adamw;

static void adamw_task(void *arguments, int block, int worker) {
  (void)worker;
  const adamw *k = arguments;
  const f32x16 beta1 = set16(k->beta1), beta2 = set16(k->beta2);
  const f32x16 rest1 = set16(1.0f - k->beta1), rest2 = set16(1.0f - k->beta2);
  EACH_ELEMENT(i, n, k->length, block) {
    const f32x16 g = mul16(load_up_to(k->g + i, n), set16(k->gradient_scale));
    const f32x16 m = fma16(beta1, load_up_to(k->m + i, n), mul16(rest1, g));
    const f32x16 v = fma16(beta2, load_up_to(k->v + i, n), mul16(mul16(rest2, g), g));
    const f32x16 deviation = add16(sqrt16(mul16(v, set16(k->inverse2))), set16(k->eps));
    const f32x16 p = load_up_to(k->p + i, n);
    // p - decay p - rate m / deviation
    const f32x16 moved = sub16(fma16(set16(-k->decay), p, p), div16(mul16(m, set16(k->rate)), deviation));
    store_up_to(k->m + i, m, n);
    store_up_to(k->v + i, v, n);
    store_up_to(k->p + i, moved, n);
  }
}

// rate = lr / (1 - beta1^step), inverse2 = 1 / (1 - beta2^step), decay = lr * weightDecay.
int KERNEL(adamw)(stlm_context *context, float *p, const float *g, float *m, float *v, int64_t length, float beta1,
                  float beta2, float rate, float inverse2, float eps, float decay, float gradient_scale) {
  adamw k = {p, m, v, g, length, beta1, beta2, rate, inverse2, eps, decay, gradient_scale};
  stlm_run(context, element_blocks(length), adamw_task, &k);
  return STLM_OK;
}
