// y[n,c] = w[c] (x[n,c] - mean[n]) rstd[n] + b[c]   (Ba, Kiros & Hinton 2016). Reference: ../reference/layer-norm.ts

#include "rows.h"

typedef struct {
  float *y, *dx, *partial;
  float *mean_out, *rstd_out;
  const float *dy, *x, *w, *b, *mean, *rstd;
  int N, C, accumulate;
  float eps;
} layer_norm;

static const float layer_norm_ones[LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// x - mean, zero in lanes beyond the row.
INLINE f32x16 centered(const float *x, f32x16 mean, int count) {
  const f32x16 d = sub16(load_up_to(x, count), mean);
  return count == LANES ? d : mul16(d, load_part(layer_norm_ones, count));
}

static void layer_norm_task(void *arguments, int block, int worker) {
  (void)worker;
  const layer_norm *k = arguments;
  const int C = k->C;
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *x = k->x + (size_t)n * C;
    float *y = k->y + (size_t)n * C;
    f32x16 sum = zero16(), squares = zero16();
    EACH_VECTOR(c, count, C) sum = add16(sum, load_up_to(x + c, count));
    const float mean = finite_or_nan(sum16(sum)) / (float)C;
    EACH_VECTOR(c, count, C) {
      const f32x16 d = centered(x + c, set16(mean), count);
      squares = fma16(d, d, squares);
    }
    const float rstd = 1.0f / __builtin_sqrtf(finite_or_nan(sum16(squares)) / (float)C + k->eps);
    k->mean_out[n] = mean;
    k->rstd_out[n] = rstd;
    EACH_VECTOR(c, count, C) {
      const f32x16 normal = mul16(centered(x + c, set16(mean), count), set16(rstd));
      const f32x16 b = k->b ? load_up_to(k->b + c, count) : zero16();
      store_up_to(y + c, fma16(normal, load_up_to(k->w + c, count), b), count);
    }
  }
}

int KERNEL(layer_norm)(stlm_context *context, float *y, float *mean, float *rstd, const float *x, const float *w,
                       const float *b, int N, int C, float eps) {
  layer_norm k = {.y = y, .mean_out = mean, .rstd_out = rstd, .x = x, .w = w, .b = b, .N = N, .C = C, .eps = eps};
  stlm_run(context, row_blocks(N), layer_norm_task, &k);
  return STLM_OK;
}

static void layer_norm_gradient_task(void *arguments, int block, int worker) {
  (void)worker;
  const layer_norm *k = arguments;
  const int C = k->C;
  float *dw = k->partial + (size_t)block * 2 * C, *db = dw + C;
  memset(dw, 0, (size_t)C * 8);
  for (int n = block * ROW_BLOCK; n < row_end(k->N, block); n++) {
    const float *x = k->x + (size_t)n * C, *dy = k->dy + (size_t)n * C;
    float *dx = k->dx + (size_t)n * C;
    const f32x16 mean = set16(k->mean[n]), rstd = set16(k->rstd[n]);
    f32x16 sum = zero16(), products = zero16();
    EACH_VECTOR(c, count, C) {
      const f32x16 g = load_up_to(dy + c, count), normal = mul16(centered(x + c, mean, count), rstd);
      const f32x16 gw = mul16(g, load_up_to(k->w + c, count));
      sum = add16(sum, gw);
      products = fma16(gw, normal, products);
      store_up_to(dw + c, fma16(g, normal, load_up_to(dw + c, count)), count);
      store_up_to(db + c, add16(g, load_up_to(db + c, count)), count);
    }
    const f32x16 mean_g = set16(sum16(sum) / (float)C), mean_gx = set16(sum16(products) / (float)C);
    EACH_VECTOR(c, count, C) {
      const f32x16 normal = mul16(centered(x + c, mean, count), rstd);
      const f32x16 gw = mul16(load_up_to(dy + c, count), load_up_to(k->w + c, count));
      const f32x16 inner = sub16(sub16(gw, mean_g), mul16(normal, mean_gx));
      const f32x16 before = k->accumulate ? load_up_to(dx + c, count) : zero16();
      store_up_to(dx + c, fma16(inner, rstd, before), count);
    }
  }
}

int KERNEL(layer_norm_gradient)(stlm_context *context, float *dx, float *dw, float *db, const float *dy,
                                const float *x, const float *w, const float *mean, const float *rstd, int N, int C,
                                int accumulate) {
  float *partial = stlm_scratch(context, SLOT_PARTIAL, (size_t)row_blocks(N) * (size_t)C * 8);
  if (!partial) return STLM_OUT_OF_MEMORY;
  layer_norm k = {.dx = dx, .partial = partial, .dy = dy, .x = x, .w = w, .mean = mean, .rstd = rstd};
  k.N = N;
  k.C = C;
  k.accumulate = accumulate;
  stlm_run(context, row_blocks(N), layer_norm_gradient_task, &k);
  partial_sums sums = {.out = dw, .partial = partial, .stride = (size_t)C * 2, .blocks = row_blocks(N), .C = C};
  add_partials(&sums);
  if (db) {
    sums.out = db;
    sums.partial = partial + C;
    add_partials(&sums);
  }
  return STLM_OK;
}
