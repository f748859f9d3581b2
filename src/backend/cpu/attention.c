// Causal attention with grouped heads   (Vaswani et al. 2017; Ainslie et al. 2023; recomputation as in Dao et al. 2022).
// Reference: ../reference/attention.ts
//
// A task takes one head (forward) or one key/value head with its group (backward) and walks over tiles of 32 queries.
// Scores stand transposed, one row of 32 queries per key: maxima, sums and exponentials run down the keys in order, one
// lane per query, so a row's result depends neither on where its tile begins nor on the length of the sequence.

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

// c (rows, 32) = a (rows, D; a_row apart) b (D, 32)
INLINE void times_transposed(float *c, const float *a, ptrdiff_t a_row, const float *b, int rows, int D) {
  for (int j = 0; j < QUERIES; j += TILE_COLUMNS) {
    const tile t = {.a = a, .a_row = a_row, .a_k = 1, .b = b + j, .b_k = QUERIES, .c = c + j, .c_row = QUERIES, .k = D,
                    .segments = 1};
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

// out (D, 32) = the transposed block of `count` rows times `factor`, zeros beyond.
INLINE void pack_queries(float *out, const float *rows, ptrdiff_t stride, int count, int D, float factor) {
  pack_columns(out, QUERIES, rows, stride, D, count);
  for (int i = 0; i < D * QUERIES; i += LANES) store16(out + i, mul16(load16(out + i), set16(factor)));
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
  const int T = k->T, D = k->D, b = task / k->H, h = task % k->H;
  const ptrdiff_t width = row_width(k);
  const int past = k->past, positions = past + T, kv = h / (k->H / k->Hkv);
  const float *q = k->qkv + (ptrdiff_t)b * T * width + h * D;
  const ptrdiff_t kv_width = k->cache ? cache_width(k) : width;
  const float *keys = k->cache ? k->cache + (ptrdiff_t)b * k->capacity * kv_width + kv * D
                               : k->qkv + (ptrdiff_t)b * T * width + (k->H + kv) * D;
  const float *values = keys + k->Hkv * D;
  float *queries = (float *)(k->memory + (size_t)worker * k->stride), *scores = queries + D * QUERIES;
  float *packed = scores + (size_t)round_up((size_t)positions, 4) * QUERIES, sums[QUERIES], lse[QUERIES];
  pack_rows(packed, padded(D), values, kv_width, positions, D);
  for (int first = 0; first < T; first += QUERIES) {
    const int count = MINIMUM(QUERIES, T - first), seen = past + first + count;
    const uint64_t row = (uint64_t)task * (uint64_t)T + (uint64_t)first;
    float *y = k->y + ((ptrdiff_t)b * T + first) * k->H * D + h * D;
    pack_queries(queries, q + first * width, width, count, D, k->scale);
    times_transposed(scores, keys, kv_width, queries, seen, D);
    mask_later_keys(scores, past + first, seen);
    softmax_keys(scores, seen, sums, lse);
    memcpy(k->lse + row, lse, (size_t)count * 4);
    if (k->dropout) drop_weights(scores, k, row, seen);
    const tile t = {.a = scores, .a_row = 1, .a_k = QUERIES, .k = seen};
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
                      uint32_t purpose, uint32_t step, uint32_t site, uint32_t threshold, float keep) {
  attention k = {.y = y, .lse = lse, .qkv = qkv, .B = B, .T = T, .H = H, .Hkv = Hkv, .D = D, .scale = scale};
  k.cache = cache;
  k.capacity = capacity;
  k.past = past;
  k.dropout = dropout;
  k.key = (dropout_key){seed, purpose, step, site, threshold, keep};
  if (cache) append_to_cache(&k);
  const size_t positions = (size_t)past + (size_t)T;
  const size_t floats = (size_t)D * QUERIES + round_up(positions, 4) * QUERIES + positions * (size_t)padded(D);
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
  float *q_rows = dy_columns + D * QUERIES, *dy_rows = q_rows + QUERIES * P, *scores = dy_rows + QUERIES * P;
  float *products = scores + all, *packed_keys = products + all;
  float *dk = packed_keys + (size_t)T * (size_t)P, *dv = dk + (size_t)T * (size_t)P;
  float lse[QUERIES] = {0}, delta[QUERIES] = {0};
  // The keys carry the scale into dq.
  pack_rows(packed_keys, P, keys, width, T, D);
  for (int i = 0; i < T * P; i += LANES) store16(packed_keys + i, mul16(load16(packed_keys + i), set16(k->scale)));
  memset(dk, 0, (size_t)T * (size_t)P * 8);
  for (int h = kv * group; h < (kv + 1) * group; h++) {
    for (int first = 0; first < T; first += QUERIES) {
      const int count = MINIMUM(QUERIES, T - first), seen = first + count;
      const uint64_t row = ((uint64_t)b * (uint64_t)k->H + (uint64_t)h) * (uint64_t)T + (uint64_t)first;
      const float *q = base + first * width + h * D;
      const float *dy = k->dy + ((ptrdiff_t)b * T + first) * y_width + h * D;
      const float *y = k->y_in + ((ptrdiff_t)b * T + first) * y_width + h * D;
      pack_queries(q_columns, q, width, count, D, k->scale);
      pack_queries(dy_columns, dy, y_width, count, D, 1.0f);
      pack_rows(q_rows, P, q, width, count, D);
      for (int i = 0; i < count * P; i += LANES) store16(q_rows + i, mul16(load16(q_rows + i), set16(k->scale)));
      pack_rows(dy_rows, P, dy, y_width, count, D);
      for (int j = 0; j < count; j++) {
        f32x16 sum = zero16();
        EACH_VECTOR(d, n, D) sum = fma16(load_up_to(dy + j * y_width + d, n), load_up_to(y + j * y_width + d, n), sum);
        delta[j] = sum16(sum);
        lse[j] = k->lse_in[row + (uint64_t)j];
      }
      times_transposed(scores, keys, width, q_columns, seen, D);
      times_transposed(products, values, width, dy_columns, seen, D);
      mask_later_keys(scores, first, seen);
      score_gradients(scores, products, k, row, seen, lse, delta);
      const tile to_values = {.a = scores, .a_row = QUERIES, .a_k = 1, .k = count, .load = 1};
      times_packed(to_values, dv, P, dy_rows, seen, D);
      const tile to_keys = {.a = products, .a_row = QUERIES, .a_k = 1, .k = count, .load = 1};
      times_packed(to_keys, dk, P, q_rows, seen, D);
      const tile to_queries = {.a = products, .a_row = 1, .a_k = QUERIES, .k = seen};
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
                               uint32_t seed, uint32_t purpose, uint32_t step, uint32_t site, uint32_t threshold,
                               float keep) {
  attention k = {.dqkv = dqkv, .dy = dy, .y_in = y, .lse_in = lse, .qkv = qkv, .B = B, .T = T, .H = H, .Hkv = Hkv};
  k.D = D;
  k.scale = scale;
  k.dropout = dropout;
  k.key = (dropout_key){seed, purpose, step, site, threshold, keep};
  const size_t P = (size_t)padded(D);
  const size_t floats = (size_t)D * QUERIES * 2 + P * QUERIES * 2 + round_up((size_t)T, 4) * QUERIES * 2 + (size_t)T * P * 3;
  k.memory = stlm_worker_scratch(context, floats * 4, &k.stride);
  if (!k.memory) return STLM_OUT_OF_MEMORY;
  stlm_run(context, B * Hkv, attention_gradient_task, &k);
  return STLM_OK;
}
