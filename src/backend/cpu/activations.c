// SwiGLU (Shazeer 2020) and GELU in its exact form (Hendrycks & Gimpel 2016), with gradients.
// Reference: ../reference/swiglu.ts, gelu.ts

#include "math16.h"
#include "rows.h"

typedef struct {
  float *y;
  const float *x, *dy;
  int N, F;
  int64_t length;
} activation;

static void swiglu_task(void *arguments, int block, int worker) {
  (void)worker;
  const activation *k = arguments;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *gate = k->x + (size_t)n * 2 * k->F, *value = gate + k->F;
    float *y = k->y + (size_t)n * k->F;
    EACH_VECTOR(f, count, k->F) {
      const f32x16 g = load_up_to(gate + f, count);
      store_up_to(y + f, mul16(mul16(g, sigmoid16(g)), load_up_to(value + f, count)), count);
    }
  }
}

int KERNEL(swiglu)(stlm_context *context, float *y, const float *x, int N, int F) {
  activation k = {.y = y, .x = x, .N = N, .F = F};
  stlm_run(context, row_blocks(N), swiglu_task, &k);
  return STLM_OK;
}

static void swiglu_gradient_task(void *arguments, int block, int worker) {
  (void)worker;
  const activation *k = arguments;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *gate = k->x + (size_t)n * 2 * k->F, *value = gate + k->F, *dy = k->dy + (size_t)n * k->F;
    float *dgate = k->y + (size_t)n * 2 * k->F, *dvalue = dgate + k->F;
    EACH_VECTOR(f, count, k->F) {
      const f32x16 g = load_up_to(gate + f, count), d = load_up_to(dy + f, count), s = sigmoid16(g);
      // d silu(g) / dg = s (1 + g (1 - s))
      const f32x16 slope = mul16(s, fma16(g, sub16(set16(1.0f), s), set16(1.0f)));
      store_up_to(dvalue + f, mul16(d, mul16(g, s)), count);
      store_up_to(dgate + f, mul16(mul16(d, load_up_to(value + f, count)), slope), count);
    }
  }
}

int KERNEL(swiglu_gradient)(stlm_context *context, float *dx, const float *dy, const float *x, int N, int F) {
  activation k = {.y = dx, .x = x, .dy = dy, .N = N, .F = F};
  stlm_run(context, row_blocks(N), swiglu_gradient_task, &k);
  return STLM_OK;
}

static void gelu_task(void *arguments, int block, int worker) {
  (void)worker;
  const activation *k = arguments;
  EACH_ELEMENT(i, n, k->length, block) {
    const f32x16 x = load_up_to(k->x + i, n);
    store_up_to(k->y + i, mul16(x, normal_cdf16(x)), n);
  }
}

int KERNEL(gelu)(stlm_context *context, float *y, const float *x, int64_t length) {
  activation k = {.y = y, .x = x, .length = length};
  stlm_run(context, element_blocks(length), gelu_task, &k);
  return STLM_OK;
}

static void gelu_gradient_task(void *arguments, int block, int worker) {
  (void)worker;
  const activation *k = arguments;
  EACH_ELEMENT(i, n, k->length, block) {
    const f32x16 x = load_up_to(k->x + i, n);
    const f32x16 density = mul16(exp16(mul16(mul16(x, x), set16(-0.5f))), set16(0.398942280f));
    store_up_to(k->y + i, mul16(load_up_to(k->dy + i, n), fma16(x, density, normal_cdf16(x))), n);
  }
}

int KERNEL(gelu_gradient)(stlm_context *context, float *dx, const float *dy, const float *x, int64_t length) {
  activation k = {.y = dx, .x = x, .dy = dy, .length = length};
  stlm_run(context, element_blocks(length), gelu_gradient_task, &k);
  return STLM_OK;
}
