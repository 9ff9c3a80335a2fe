// Attention, forward and backward, tiled over queries. Heads are read by stride from [batch, seq, heads·depth]; the keys and values of one are laid out in panels for all of its queries.
#include <cfloat>
#include <cmath>

#include "../src/gemm.h"
#include "math.h"
#include "panels.h"
#include "parts.h"
#include "random.h"

namespace deft {
namespace DEFT_ISA {
namespace {

constexpr i64 TILE = 64;  // queries at a time: their scores stay in a core's own caches

struct Place {
  i64 b, h, query, keys;  // offsets of the head in q and in k, v
};

Place place(const AttentionShape& s, i64 b, i64 h) {
  const i64 width = s.heads * s.depth;
  return {b, h, b * s.queries * width + h * s.depth, b * s.keys * width + h * s.depth};
}

// (1 − m)·finfo.min for each key; returns false when every key is attended to.
bool additive_mask(const float* mask, float* add, i64 keys) {
  bool any = false;
  for (i64 j = 0; j < keys; ++j) {
    add[j] = (1.f - mask[j]) * -FLT_MAX;
    any |= mask[j] != 1.f;
  }
  return any;
}

// How many keys, from the first, a query may look at.
i64 keys_seen(const AttentionShape& s, i64 query) { return s.causal ? smaller(s.keys, larger(0, query + s.keys - s.queries + 1)) : s.keys; }

// Adds bias and masks to a row of scores.
void add_masks(const AttentionShape& s, const AttentionInput& in, const Place& at, const float* add, i64 query, float* row) {
  if (in.bias) {
    const float* bias = in.bias + (((s.bias_batch == 1 ? 0 : at.b) * s.heads + at.h) * s.queries + query) * s.keys;
    each(0, s.keys, [&](i64 j, auto lanes) { lanes.store(row + j, lanes.load(row + j) + lanes.load(bias + j)); });
  }
  const i64 seen = keys_seen(s, query);
  if (add) each(0, seen, [&](i64 j, auto lanes) { lanes.store(row + j, lanes.load(row + j) + lanes.load(add + j)); });
  each(seen, s.keys, [&](i64 j, auto lanes) { lanes.store(row + j, lanes.load(row + j) + -FLT_MAX); });
}

u32 first_index(const AttentionShape& s, const Place& at, i64 query) {
  return static_cast<u32>(((at.b * s.heads + at.h) * s.queries + query) * s.keys);
}

// p [rows, keys] of queries [q0, q0 + rows): adds bias and masks to scores.
void mask_scores(const AttentionShape& s, const AttentionInput& in, const Place& at, const float* add, i64 q0, i64 rows, float* p) {
  if (!in.bias && !add && !s.causal) return;
  for (i64 r = 0; r < rows; ++r) add_masks(s, in, at, add, q0 + r, p + r * s.keys);
}

// In place softmax of a row; returns log Σ exp.
float softmax_row(float* p, i64 n) {
  const float low = -__builtin_inff();
  vf m = splat(low);
  each(0, n, [&](i64 j, auto lanes) { m = maximum(lanes.load(p + j, low), m); });
  const float top = max_of(m);
  vf sum = {};
  each(0, n, [&](i64 j, auto lanes) {
    const vf e = exponential_of_negative(lanes.load(p + j, low) - top);
    lanes.store(p + j, e);
    sum += e;
  });
  const float total = sum_of(sum), scale = 1.f / total;
  each(0, n, [&](i64 j, auto lanes) { lanes.store(p + j, lanes.load(p + j) * scale); });
  return top + std::log(total);
}

void drop_row(const Dropout& drop, u32 first, const float* from, float* to, i64 n) {
  each(0, n, [&](i64 j, auto lanes) { lanes.store(to + j, lanes.load(from + j) * drop.factors(first + static_cast<u32>(j))); });
}

void forward_head(const AttentionShape& s, const AttentionInput& in, const Place& at, float* context, float* log_sum) {
  const i64 width = s.heads * s.depth, tile = smaller(TILE, s.queries);
  const bool few = s.queries < TILE_ROWS;  // panels are not worth their copies
  const i64 turned = few ? 0 : panels_size(s.depth, s.keys), v_size = few ? 0 : panels_size(s.keys, s.depth);
  float* kt = scratch(turned + v_size + tile * s.keys + s.keys);
  float *v = kt + turned, *p = v + v_size, *masked = p + tile * s.keys;
  const float* add = in.mask && additive_mask(in.mask + at.b * s.keys, masked, s.keys) ? masked : nullptr;
  const Dropout drop(s.dropout, s.seed);
  if (!few) {
    pack_panels_transposed(in.k + at.keys, width, s.depth, s.keys, kt);
    pack_panels(in.v + at.keys, width, s.keys, s.depth, v);
  }
  for (i64 q0 = 0; q0 < s.queries; q0 += tile) {
    const i64 rows = smaller(tile, s.queries - q0);
    const float* q = in.q + at.query + q0 * width;
    float* y = context + at.query + q0 * width;
    if (few) gemm_here(false, true, rows, s.keys, s.depth, s.scale, q, width, in.k + at.keys, width, 0, p, s.keys);
    else multiply_panels({q, width, 1}, rows, kt, s.depth, s.keys, s.scale, false, p, s.keys);
    mask_scores(s, in, at, add, q0, rows, p);
    for (i64 r = 0; r < rows; ++r) {
      float* row = p + r * s.keys;
      log_sum[(at.b * s.heads + at.h) * s.queries + q0 + r] = softmax_row(row, s.keys);
      if (s.dropout > 0) drop_row(drop, first_index(s, at, q0 + r), row, row, s.keys);
    }
    if (few) gemm_here(false, false, rows, s.depth, s.keys, 1, p, s.keys, in.v + at.keys, width, 0, y, width);
    else multiply_panels({p, s.keys, 1}, rows, v, s.keys, s.depth, 1, false, y, width);
  }
}

// p: scores → probabilities, renormalised; g: dP → dS = P∘(dP − Σ P∘dP). With the sum over P∘dP and P normalised again the
// rows of dS sum to zero to rounding, also where a row is saturated; rowsum(dO∘O) would lose that.
void backward_row(float* p, float* g, float log_sum, i64 n) {
  const float low = -__builtin_inff();
  vf z = {}, along = {};
  each(0, n, [&](i64 j, auto lanes) {
    // renormalising makes the shift's rounding harmless; scores may exceed log_sum by rounding only (and NaN stays)
    const vf e = exponential_of_negative(minimum(splat(0.5f), lanes.load(p + j, low) - log_sum));
    lanes.store(p + j, e);
    z += e;
    along += e * lanes.load(g + j);
  });
  const float scale = 1.f / sum_of(z), delta = sum_of(along) * scale;
  each(0, n, [&](i64 j, auto lanes) {
    const vf q = lanes.load(p + j) * scale;
    lanes.store(p + j, q);
    lanes.store(g + j, q * (lanes.load(g + j) - delta));
  });
}

// In a row that padding and order mask wholly, half of a gradient passes a score that one of them masks, and none a score that both do.
void clamp_row(const AttentionShape& s, const float* mask, i64 query, float* g) {
  const i64 seen = keys_seen(s, query);
  for (i64 j = 0; j < seen; ++j)
    if (mask[j] == 1.f) return;
  for (i64 j = 0; j < s.keys; ++j) g[j] *= j < seen || mask[j] == 1.f ? 0.5f : 0.f;
}

void backward_head(const AttentionShape& s, const AttentionInput& in, const AttentionGradientInput& out, const Place& at, bool first_bias) {
  const i64 width = s.heads * s.depth, tile = smaller(TILE, s.queries), area = tile * s.keys;
  const i64 turned = panels_size(s.depth, s.keys), k_size = panels_size(s.keys, s.depth), tile_size = panels_size(tile, s.depth);
  // panels of kᵀ, vᵀ and k, and of a tile's dy, then of its q; then what stands by rows
  float* kt = scratch(2 * turned + k_size + tile_size + 3 * area + s.keys);
  float *vt = kt + turned, *k = vt + turned, *of_tile = k + k_size, *p = of_tile + tile_size, *g = p + area, *dropped = g + area, *masked = dropped + area;
  const float* add = in.mask && additive_mask(in.mask + at.b * s.keys, masked, s.keys) ? masked : nullptr;
  const Dropout drop(s.dropout, s.seed);
  pack_panels_transposed(in.k + at.keys, width, s.depth, s.keys, kt);
  pack_panels_transposed(in.v + at.keys, width, s.depth, s.keys, vt);
  pack_panels(in.k + at.keys, width, s.keys, s.depth, k);
  for (i64 q0 = 0; q0 < s.queries; q0 += tile) {
    const i64 rows = smaller(tile, s.queries - q0), query = at.query + q0 * width;
    const bool onto = q0 > 0;
    multiply_panels({in.q + query, width, 1}, rows, kt, s.depth, s.keys, s.scale, false, p, s.keys);
    mask_scores(s, in, at, add, q0, rows, p);
    multiply_panels({out.dy + query, width, 1}, rows, vt, s.depth, s.keys, 1, false, g, s.keys);
    for (i64 r = 0; r < rows; ++r) {
      float *row = p + r * s.keys, *slope = g + r * s.keys;
      if (s.dropout > 0) drop_row(drop, first_index(s, at, q0 + r), slope, slope, s.keys);
      backward_row(row, slope, out.log_sum[(at.b * s.heads + at.h) * s.queries + q0 + r], s.keys);
      if (s.causal && in.mask) clamp_row(s, in.mask + at.b * s.keys, q0 + r, slope);
      if (s.dropout > 0) drop_row(drop, first_index(s, at, q0 + r), row, dropped + r * s.keys, s.keys);
    }
    pack_panels(out.dy + query, width, rows, s.depth, of_tile);
    multiply_panels({s.dropout > 0 ? dropped : p, 1, s.keys}, s.keys, of_tile, rows, s.depth, 1, onto, out.dv + at.keys, width);
    multiply_panels({g, s.keys, 1}, rows, k, s.keys, s.depth, s.scale, false, out.dq + query, width);
    pack_panels(in.q + query, width, rows, s.depth, of_tile);
    multiply_panels({g, 1, s.keys}, s.keys, of_tile, rows, s.depth, s.scale, onto, out.dk + at.keys, width);
    if (out.dbias) {
      float* d = out.dbias + (((s.bias_batch == 1 ? 0 : at.b) * s.heads + at.h) * s.queries + q0) * s.keys;
      each(0, rows * s.keys, [&](i64 i, auto lanes) { lanes.store(d + i, first_bias ? lanes.load(g + i) : lanes.load(d + i) + lanes.load(g + i)); });
    }
  }
}

// Runs f(b, h) for every head; `by_head` keeps a head's batch entries on one thread, in order. Threads take heads that follow each other: their rows are those that they have made in the kernels before.
template <class F>
void for_heads(const AttentionShape& s, bool by_head, F f) {
  const i64 runs = by_head ? s.batch : 1, items = by_head ? s.heads : s.batch * s.heads;
  parallel(items, runs * s.queries * s.keys * s.depth, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i)
      for (i64 b = 0; b < runs; ++b) by_head ? f(b, i) : f(i / s.heads, i % s.heads);
  });
}

}  // namespace

void attention(const AttentionShape& s, const AttentionInput& in, float* context, float* log_sum) {
  for_heads(s, false, [&](i64 b, i64 h) { forward_head(s, in, place(s, b, h), context, log_sum); });
}

void attention_gradient(const AttentionShape& s, const AttentionInput& in, const AttentionGradientInput& out) {
  const bool shared = out.dbias && s.bias_batch == 1;
  for_heads(s, shared, [&](i64 b, i64 h) { backward_head(s, in, out, place(s, b, h), !shared || b == 0); });
}

}  // namespace DEFT_ISA
}  // namespace deft
