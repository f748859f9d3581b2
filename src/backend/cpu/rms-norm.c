// y[n,c] = w[c] x[n,c] rstd[n]   (Zhang & Sennrich 2019). Reference: ../reference/rms-norm.ts

#include "rows.h"

typedef struct {
  float *y, *rstd, *dx, *partial;
  const float *dy, *x, *w;
  int N, C, accumulate;
  float eps;
} rms_norm;

static void rms_norm_task(void *arguments, int block, int worker) {
  (void)worker;
  const rms_norm *k = arguments;
  const int C = k->C;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *x = k->x + (size_t)n * C;
    float *y = k->y + (size_t)n * C;
    f32x16 squares = zero16();
    EACH_VECTOR(c, count, C) {
      const f32x16 v = load_up_to(x + c, count);
      squares = fma16(v, v, squares);
    }
    const float rstd = 1.0f / __builtin_sqrtf(finite_or_nan(sum16(squares)) / (float)C + k->eps);
    k->rstd[n] = rstd;
    EACH_VECTOR(c, count, C) {
      const f32x16 scaled = mul16(load_up_to(x + c, count), set16(rstd));
      store_up_to(y + c, mul16(scaled, load_up_to(k->w + c, count)), count);
    }
  }
}

int KERNEL(rms_norm)(stlm_context *context, float *y, float *rstd, const float *x, const float *w, int N, int C,
                     float eps) {
  rms_norm k = {.y = y, .rstd = rstd, .x = x, .w = w, .N = N, .C = C, .eps = eps};
  stlm_run(context, row_blocks(N), rms_norm_task, &k);
  return STLM_OK;
}

static void rms_norm_gradient_task(void *arguments, int block, int worker) {
  (void)worker;
  const rms_norm *k = arguments;
  const int C = k->C;
  float *partial = k->partial + (size_t)block * C;
  memset(partial, 0, (size_t)C * 4);
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *x = k->x + (size_t)n * C, *dy = k->dy + (size_t)n * C;
    float *dx = k->dx + (size_t)n * C;
    const f32x16 rstd = set16(k->rstd[n]);
    f32x16 products = zero16();
    EACH_VECTOR(c, count, C) {
      const f32x16 v = load_up_to(x + c, count), g = load_up_to(dy + c, count);
      products = fma16(mul16(g, load_up_to(k->w + c, count)), v, products);
      store_up_to(partial + c, fma16(mul16(g, v), rstd, load_up_to(partial + c, count)), count);
    }
    const f32x16 projection = set16(k->rstd[n] * k->rstd[n] * (sum16(products) / (float)C));
    EACH_VECTOR(c, count, C) {
      const f32x16 g = mul16(load_up_to(dy + c, count), load_up_to(k->w + c, count));
      const f32x16 inner = sub16(g, mul16(load_up_to(x + c, count), projection));
      const f32x16 before = k->accumulate ? load_up_to(dx + c, count) : zero16();
      store_up_to(dx + c, fma16(inner, rstd, before), count);
    }
  }
}

int KERNEL(rms_norm_gradient)(stlm_context *context, float *dx, float *dw, const float *dy, const float *x,
                              const float *w, const float *rstd, int N, int C, int accumulate) {
  float *partial = stlm_scratch(context, SLOT_PARTIAL, (size_t)row_blocks(N) * (size_t)C * 4);
  if (!partial) return STLM_OUT_OF_MEMORY;
  rms_norm k = {.dx = dx, .partial = partial, .dy = dy, .x = x, .w = w, .N = N, .C = C, .accumulate = accumulate};
  k.rstd = (float *)rstd;
  stlm_run(context, row_blocks(N), rms_norm_gradient_task, &k);
  const partial_sums sums = {.out = dw, .partial = partial, .stride = (size_t)C, .blocks = row_blocks(N), .C = C};
  add_partials(&sums);
  return STLM_OK;
}
