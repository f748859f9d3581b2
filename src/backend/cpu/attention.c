// Causal attention with grouped heads   (Vaswani et al. 2017; Ainslie et al. 2023; recomputation as in Dao et al. 2022).
// Reference: ../reference/attention.ts
//
// A task takes one head (forward) or one key/value head with its group (backward) and walks over tiles of 32 queries.
// Scores stand transposed, one row of 32 queries per key: maxima, sums and exponentials run down the keys in order, one
// lane per query, so a row's result depends neither on where its tile begins nor on the length of the sequence.
//
// Compiled for f32 and, with STLM_BF16, for bf16: scores, softmax and sums are float32 in both, and in bf16 what is
// multiplied is packed first.

#include "math16.h"
#include "philox16.h"
#include "rows.h"
#include "tile.h"

#define QUERIES 32

typedef struct {
  float *y, *lse, *dqkv;
  const float *qkv, *dy;
  const float *y_in, *lse_in;
  int B, T, H, Hkv, D, dropout;
  // Keys and values of all positions, B times `capacity` rows, of which `past` came before this call; NULL outside of generation.
  float *cache;
  int capacity, past;
  float scale;
  dropout_key key;
  char *memory;
  size_t stride;
} attention;

// Columns of a packed row of D values.
INLINE int padded(int D) { return (int)round_up((size_t)D, TILE_COLUMNS); }
INLINE ptrdiff_t row_width(const attention *k) { return (ptrdiff_t)(k->H + 2 * k->Hkv) * k->D; }
INLINE ptrdiff_t cache_width(const attention *k) { return (ptrdiff_t)2 * k->Hkv * k->D; }

// A left operand of rows of numbers, in elements.
typedef struct {
  const float *start;
  ptrdiff_t row;
} left_rows;

// Elements of a packed row of k numbers of a left operand; none where f32 reads it in place.
INLINE size_t left_row(int k) {
#ifdef STLM_BF16
  return (size_t)row_elements(elements(k));
#else
  (void)k;
  return 0;
#endif
}

// Rows of k numbers, `stride` apart, as a left operand: in f32 where they lie, in bf16 packed into out.
INLINE left_rows pack_left_rows(float *out, const float *a, ptrdiff_t stride, int rows, int k) {
#ifdef STLM_BF16
  pack_along(out, (int)left_row(k), a, stride, rows, k);
  return (left_rows){out, (ptrdiff_t)left_row(k)};
#else
  (void)out, (void)rows, (void)k;
  return (left_rows){a, stride};
#endif
}

// c (rows, 32) = a (rows, D) b (D, 32)
INLINE void times_transposed(float *c, left_rows a, const float *b, int rows, int D) {
  for (int j = 0; j < QUERIES; j += TILE_COLUMNS) {
    const tile t = {.a = a.start, .a_row = a.row, .a_k = 1, .b = b + j, .b_k = QUERIES, .c = c + j, .c_row = QUERIES,
                    .k = elements(D), .segments = 1};
    run_rows(t, rows, TILE_COLUMNS);
  }
}

// c (rows, D) [+]= a b with b (k, padded D) packed.
INLINE void times_packed(tile t, float *c, ptrdiff_t c_row, const float *b, int rows, int D) {
  t.b_k = padded(D);
  t.c_row = c_row;
  t.segments = 1;
  for (int d = 0; d < D; d += TILE_COLUMNS) {
    t.b = b + d;
    t.c = c + d;
    run_rows(t, rows, MINIMUM(TILE_COLUMNS, D - d));
  }
}

// out (count, padded D) = `count` rows times `factor`.
INLINE void scale_rows(float *out, const float *rows, ptrdiff_t stride, int count, int D, float factor) {
  for (int i = 0; i < count; i++, rows += stride, out += padded(D)) {
    EACH_VECTOR(d, n, D) store_up_to(out + d, mul16(load_up_to(rows + d, n), set16(factor)), n);
  }
}

// The (keys, 32) weights as a left operand of 32 rows, one for each query: element k of row i at start[i + 32 k].
INLINE const float *pack_weights(float *weights, int keys) {
#ifdef STLM_BF16
  pack_rows(weights, QUERIES, weights, QUERIES, keys, QUERIES);
#else
  (void)keys;
#endif
  return weights;
}

// The dropout words of keys s..s+3 for the 32 queries from q on; `row` numbers the first query's row of weights.
INLINE void weight_words(uint32_t words[4][QUERIES], const attention *k, uint64_t row, int s) {
  const uint64_t T = (uint64_t)k->T;
  for (int g = 0; g < QUERIES; g += LANES) {
    uint32_t blocks[LANES], column[LANES];
    u32x16 out[4];
    if (T % 4 == 0) {
      // The four keys share one block per query.
      for (int j = 0; j < LANES; j++) blocks[j] = (uint32_t)(((row + (uint64_t)(g + j)) * T + (uint64_t)s) / 4);
      philox16(out, uload(blocks), &k->key);
      for (int i = 0; i < 4; i++) ustore(&words[i][g], out[i]);
      continue;
    }
    for (int i = 0; i < 4; i++) {
      uint32_t all[4][LANES];
      for (int j = 0; j < LANES; j++) {
        const uint64_t element = (row + (uint64_t)(g + j)) * T + (uint64_t)(s + i);
        blocks[j] = (uint32_t)(element / 4);
        column[j] = (uint32_t)(element % 4);
      }
      philox16(out, uload(blocks), &k->key);
      for (int w = 0; w < 4; w++) ustore(all[w], out[w]);
      for (int j = 0; j < LANES; j++) words[i][g + j] = all[column[j]][j];
    }
  }
}

// Scores of keys after the query are minus infinity: their weight is exactly zero.
INLINE void mask_later_keys(float *scores, int first_query, int keys) {
  for (int s = first_query; s < keys; s++) {
    for (int j = 0; j < s - first_query && j < QUERIES; j++) scores[s * QUERIES + j] = -__builtin_inff();
  }
}

// Softmax down the keys, not yet divided by the sum, which is kept in sums[32]; lse[32] = log of the sum of exponentials.
INLINE void softmax_keys(float *scores, int keys, float *sums, float *lse) {
  for (int g = 0; g < QUERIES; g += LANES) {
    f32x16 max = load16(scores + g), sum = zero16();
    for (int s = 1; s < keys; s++) max = max16(load16(scores + s * QUERIES + g), max);
    for (int s = 0; s < keys; s++) {
      float *p = scores + s * QUERIES + g;
      const f32x16 e = exp16(sub16(load16(p), max));
      sum = add16(sum, e);
      store16(p, e);
    }
    store16(sums + g, sum);
    store16(lse + g, max);
  }
  for (int j = 0; j < QUERIES; j++) lse[j] += log1(sums[j]);
}

INLINE void drop_weights(float *weights, const attention *k, uint64_t row, int keys) {
  uint32_t words[4][QUERIES];
  for (int s = 0; s < keys; s++) {
    if (s % 4 == 0) weight_words(words, k, row, s);
    for (int g = 0; g < QUERIES; g += LANES) {
      float *p = weights + s * QUERIES + g;
      store16(p, keep_at_least(mul16(load16(p), set16(k->key.keep)), uload(&words[s % 4][g]), k->key.threshold));
    }
  }
}

static void attention_task(void *arguments, int task, int worker) {
  const attention *k = arguments;
  const int T = k->T, D = k->D, P = padded(D), b = task / k->H, h = task % k->H;
  const ptrdiff_t width = row_width(k);
  const int past = k->past, positions = past + T, kv = h / (k->H / k->Hkv);
  const float *q = k->qkv + (ptrdiff_t)b * T * width + h * D;
  const ptrdiff_t kv_width = k->cache ? cache_width(k) : width;
  const float *keys = k->cache ? k->cache + (ptrdiff_t)b * k->capacity * kv_width + kv * D
                               : k->qkv + (ptrdiff_t)b * T * width + (k->H + kv) * D;
  const float *values = keys + k->Hkv * D;
  float *queries = (float *)(k->memory + (size_t)worker * k->stride), *scaled = queries + D * QUERIES;
  float *scores = scaled + QUERIES * P, *packed = scores + round_up((size_t)positions, 4) * QUERIES;
  float *key_memory = packed + (size_t)positions * (size_t)P, sums[QUERIES], lse[QUERIES];
  pack_rows(packed, P, values, kv_width, positions, D);
  const left_rows key_rows = pack_left_rows(key_memory, keys, kv_width, positions, D);
  for (int first = 0; first < T; first += QUERIES) {
    const int count = MINIMUM(QUERIES, T - first), seen = past + first + count;
    const uint64_t row = (uint64_t)task * (uint64_t)T + (uint64_t)first;
    float *y = k->y + ((ptrdiff_t)b * T + first) * k->H * D + h * D;
    scale_rows(scaled, q + first * width, width, count, D, k->scale);
    pack_columns(queries, QUERIES, scaled, P, D, count);
    times_transposed(scores, key_rows, queries, seen, D);
    mask_later_keys(scores, past + first, seen);
    softmax_keys(scores, seen, sums, lse);
    memcpy(k->lse + row, lse, (size_t)count * 4);
    if (k->dropout) drop_weights(scores, k, row, seen);
    const tile t = {.a = pack_weights(scores, seen), .a_row = 1, .a_k = QUERIES, .k = elements(seen)};
    times_packed(t, y, (ptrdiff_t)k->H * D, packed, count, D);
    for (int j = 0; j < count; j++) {
      const f32x16 inverse = set16(1.0f / sums[j]);
      float *p = y + (ptrdiff_t)j * k->H * D;
      EACH_VECTOR(d, n, D) store_up_to(p + d, mul16(load_up_to(p + d, n), inverse), n);
    }
  }
}

// The keys and values of this call go to their positions in the cache.
INLINE void append_to_cache(const attention *k) {
  const size_t from = (size_t)row_width(k), to = (size_t)cache_width(k);
  for (int b = 0; b < k->B; b++) {
    for (int t = 0; t < k->T; t++) {
      const float *row = k->qkv + ((size_t)b * (size_t)k->T + (size_t)t) * from + (size_t)k->H * (size_t)k->D;
      memcpy(k->cache + ((size_t)b * (size_t)k->capacity + (size_t)(k->past + t)) * to, row, to * 4);
    }
  }
}

int KERNEL(attention)(stlm_context *context, float *y, float *lse, const float *qkv, float *cache, int capacity,
                      int past, int B, int T, int H, int Hkv, int D, float scale, int dropout, uint32_t seed,
                      uint32_t purpose, uint32_t first, uint32_t step, uint32_t site, uint32_t threshold,
                      float keep) {
  attention k = {.y = y, .lse = lse, .qkv = qkv, .B = B, .T = T, .H = H, .Hkv = Hkv, .D = D, .scale = scale};
  k.cache = cache;
  k.capacity = capacity;
  k.past = past;
  k.dropout = dropout;
  k.key = (dropout_key){seed, purpose, first, step, site, threshold, keep};
  if (cache) append_to_cache(&k);
  const size_t positions = (size_t)past + (size_t)T, P = (size_t)padded(D);
  const size_t floats = ((size_t)D + P + round_up(positions, 4)) * QUERIES + positions * (P + left_row(D));
  k.memory = stlm_worker_scratch(context, floats * 4, &k.stride);
  if (!k.memory) return STLM_OUT_OF_MEMORY;
  stlm_run(context, B * H, attention_task, &k);
  return STLM_OK;
}

// In place: scores become the weights that met the values, products become the gradient of the scores.
INLINE void score_gradients(float *scores, float *products, const attention *k, uint64_t row, int keys,
                            const float *lse, const float *delta) {
  uint32_t words[4][QUERIES];
  for (int s = 0; s < keys; s++) {
    if (k->dropout && s % 4 == 0) weight_words(words, k, row, s);
    for (int g = 0; g < QUERIES; g += LANES) {
      float *weight = scores + s * QUERIES + g, *product = products + s * QUERIES + g;
      const f32x16 p = exp16(sub16(load16(weight), load16(lse + g)));
      f32x16 kept = p, dp = load16(product);
      if (k->dropout) {
        const u32x16 word = uload(&words[s % 4][g]);
        kept = keep_at_least(mul16(p, set16(k->key.keep)), word, k->key.threshold);
        dp = keep_at_least(mul16(dp, set16(k->key.keep)), word, k->key.threshold);
      }
      store16(weight, kept);
      store16(product, mul16(p, sub16(dp, load16(delta + g))));
    }
  }
}

static void attention_gradient_task(void *arguments, int task, int worker) {
  const attention *k = arguments;
  const int T = k->T, D = k->D, P = padded(D), b = task / k->Hkv, kv = task % k->Hkv, group = k->H / k->Hkv;
  const ptrdiff_t width = row_width(k), y_width = (ptrdiff_t)k->H * D;
  const float *base = k->qkv + (ptrdiff_t)b * T * width;
  const float *keys = base + (k->H + kv) * D, *values = keys + k->Hkv * D;
  float *out = k->dqkv + (ptrdiff_t)b * T * width;
  const size_t all = round_up((size_t)T, 4) * QUERIES;
  float *q_columns = (float *)(k->memory + (size_t)worker * k->stride), *dy_columns = q_columns + D * QUERIES;
  float *q_rows = dy_columns + D * QUERIES, *dy_rows = q_rows + QUERIES * P, *scaled = dy_rows + QUERIES * P;
  float *scores = scaled + QUERIES * P, *products = scores + all, *packed_keys = products + all;
  float *dk = packed_keys + (size_t)T * (size_t)P, *dv = dk + (size_t)T * (size_t)P, *key_memory = dv + (size_t)T * (size_t)P;
  float *value_memory = key_memory + (size_t)T * left_row(D), *weight_memory = value_memory + (size_t)T * left_row(D);
  float lse[QUERIES] = {0}, delta[QUERIES] = {0};
  const left_rows key_rows = pack_left_rows(key_memory, keys, width, T, D);
  const left_rows value_rows = pack_left_rows(value_memory, values, width, T, D);
  // These keys carry the scale into dq.
  for (int first = 0; first < T; first += QUERIES) {
    const int count = MINIMUM(QUERIES, T - first);
    scale_rows(scaled, keys + first * width, width, count, D, k->scale);
    pack_rows(packed_keys + first / STEP * P, P, scaled, P, count, D);
  }
  memset(dk, 0, (size_t)T * (size_t)P * 8);
  for (int h = kv * group; h < (kv + 1) * group; h++) {
    for (int first = 0; first < T; first += QUERIES) {
      const int count = MINIMUM(QUERIES, T - first), seen = first + count;
      const uint64_t row = ((uint64_t)b * (uint64_t)k->H + (uint64_t)h) * (uint64_t)T + (uint64_t)first;
      const float *q = base + first * width + h * D;
      const float *dy = k->dy + ((ptrdiff_t)b * T + first) * y_width + h * D;
      const float *y = k->y_in + ((ptrdiff_t)b * T + first) * y_width + h * D;
      scale_rows(scaled, q, width, count, D, k->scale);
      pack_columns(q_columns, QUERIES, scaled, P, D, count);
      pack_rows(q_rows, P, scaled, P, count, D);
      pack_columns(dy_columns, QUERIES, dy, y_width, D, count);
      pack_rows(dy_rows, P, dy, y_width, count, D);
      for (int j = 0; j < count; j++) {
        f32x16 sum = zero16();
        EACH_VECTOR(d, n, D) sum = fma16(load_up_to(dy + j * y_width + d, n), load_up_to(y + j * y_width + d, n), sum);
        delta[j] = sum16(sum);
        lse[j] = k->lse_in[row + (uint64_t)j];
      }
      times_transposed(scores, key_rows, q_columns, seen, D);
      times_transposed(products, value_rows, dy_columns, seen, D);
      mask_later_keys(scores, first, seen);
      score_gradients(scores, products, k, row, seen, lse, delta);
      // One row for each key, then one for each query, which takes the place of the products.
      const left_rows weights = pack_left_rows(weight_memory, scores, QUERIES, seen, count);
      const tile to_values = {.a = weights.start, .a_row = weights.row, .a_k = 1, .k = elements(count), .load = 1};
      times_packed(to_values, dv, P, dy_rows, seen, D);
      const left_rows gradients = pack_left_rows(weight_memory, products, QUERIES, seen, count);
      const tile to_keys = {.a = gradients.start, .a_row = gradients.row, .a_k = 1, .k = elements(count), .load = 1};
      times_packed(to_keys, dk, P, q_rows, seen, D);
      const tile to_queries = {.a = pack_weights(products, seen), .a_row = 1, .a_k = QUERIES, .k = elements(seen)};
      times_packed(to_queries, out + first * width + h * D, width, packed_keys, count, D);
    }
  }
  float *dk_out = out + (k->H + kv) * D, *dv_out = dk_out + k->Hkv * D;
  for (int t = 0; t < T; t++) {
    memcpy(dk_out + t * width, dk + (size_t)t * (size_t)P, (size_t)D * 4);
    memcpy(dv_out + t * width, dv + (size_t)t * (size_t)P, (size_t)D * 4);
  }
}

int KERNEL(attention_gradient)(stlm_context *context, float *dqkv, const float *dy, const float *y, const float *lse,
                               const float *qkv, int B, int T, int H, int Hkv, int D, float scale, int dropout,
                               uint32_t seed, uint32_t purpose, uint32_t first, uint32_t step, uint32_t site,
                               uint32_t threshold, float keep) {
  attention k = {.dqkv = dqkv, .dy = dy, .y_in = y, .lse_in = lse, .qkv = qkv, .B = B, .T = T, .H = H, .Hkv = Hkv};
  k.D = D;
  k.scale = scale;
  k.dropout = dropout;
  k.key = (dropout_key){seed, purpose, first, step, site, threshold, keep};
  const size_t P = (size_t)padded(D);
  const size_t floats = ((size_t)D * 2 + P * 3 + round_up((size_t)T, 4) * 2) * QUERIES +
                        (size_t)T * (P * 3 + left_row(D) * 2 + left_row(QUERIES));
  k.memory = stlm_worker_scratch(context, floats * 4, &k.stride);
  if (!k.memory) return STLM_OUT_OF_MEMORY;
  stlm_run(context, B * Hkv, attention_gradient_task, &k);
  return STLM_OK;
}
