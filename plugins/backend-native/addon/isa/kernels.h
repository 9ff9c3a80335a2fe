// The table of kernels that each instruction set fills. Sizes are in elements, arrays are dense unless a stride is named.
#pragma once
#include "../src/common.h"

namespace deft {

struct AttentionShape {
  i64 batch, heads, queries, keys, depth;
  float scale;
  bool causal;
  i64 bias_batch;  // 0 without a bias, 1 when all of the batch share it
  float dropout;
  u32 seed;
};
struct AttentionInput {
  const float *q, *k, *v, *mask, *bias;
};
struct AttentionGradientInput {
  const float *log_sum, *dy;
  float *dq, *dk, *dv, *dbias;
};
struct AdamW {
  double learning_rate, beta1, beta2, epsilon, weight_decay, step;
};
struct Strides {
  i64 size[4], a[4], b[4];
};

// W [dOut, dIn] in 4 bits (codebook[code]·scale, two codes in a byte, the first in its high half) or in 8 (code·(scale/127)).
// `block` consecutive elements share a scale; with scale_codes it is scale_codebook[code]·scales[block/scale_block] + offset.
struct QuantizedMatrix {
  i64 d_out, d_in, block, scale_block;
  bool int8;
  const std::uint8_t *codes, *scale_codes;
  const float *codebook, *scales, *scale_codebook;
  float offset;
};

// The entries of a row that are not skipped.
struct ActiveRow {
  const i32* at;
  const float* value;
  i64 count;
};
// Entries that a list has room for beyond those that it may hold.
constexpr i64 LIST_OVERHANG = 16;
// A part of W where it lies.
struct Band {
  const float* data;
  i64 ld, rows, columns;
};
// Lanes of the widest vectors.
constexpr i64 WIDEST = 16;
// Columns of a tile of W.
constexpr i64 SPARSE_COLUMNS = 64;

struct Kernels {
  const char* name;
  // activation.cpp
  void (*activation)(Activation, const float* x, float* y, i64 n);
  void (*activation_gradient)(Activation, const float* x, const float* y, const float* slope, const float* dy, const float* weights, const float* dp, i64 batch, float epsilon, float* dx, float* p, i64 rows, i64 n);  // p [batch]: the penalty, where it is wanted
  void (*epilogue)(Activation, bool slope, const float* bias, float* pre, float* y, i64 rows, i64 n);  // one thread; pre += bias, y = f(pre), then with `slope` pre = f′(pre); without, y may be pre
  // density.cpp
  void (*density)(const float* a, const float* weights, float epsilon, float* p, i64 batch, i64 seq, i64 n);
  void (*density_gradient)(const float* a, const float* weights, const float* dy, float epsilon, float* da, float* p, i64 batch, i64 seq, i64 n);
  // norm.cpp
  void (*norm)(bool rms, const float* x, const float* residual, const float* gamma, const float* beta, float epsilon, float* y, float* mean, float* rstd, float* z, i64 rows, i64 n);
  void (*norm_gradient)(bool rms, bool onto, const float* dy, const float* z, const float* gamma, const float* mean, const float* rstd, float* dz, i64 rows, i64 n);
  void (*norm_parameter_gradient)(const float* dy, const float* z, const float* mean, const float* rstd, float* dgamma, float* dbeta, i64 rows, i64 n);
  // attention.cpp
  void (*attention)(const AttentionShape&, const AttentionInput&, float* context, float* log_sum);
  void (*attention_gradient)(const AttentionShape&, const AttentionInput&, const AttentionGradientInput&);
  // low_rank.cpp, one thread: out [rows, rank] = s·m·F with F [n, rank] in rows of ld_factor, a multiple of WIDEST; y [rows, n] = start + s·k·F with F [rank, n], start may
  // be null; sum [rank, n] += kᵀ·m
  void (*project)(const float* m, const float* factor, i64 ld_factor, float scale, float* out, i64 rows, i64 n, i64 rank);
  void (*expand)(const float* coefficient, const float* factor, const float* start, float scale, float* y, i64 rows, i64 n, i64 rank);
  void (*add_outer)(const float* coefficient, const float* m, float* sum, i64 rows, i64 n, i64 rank);
  // softmax.cpp
  void (*softmax)(const float* x, float* y, i64 rows, i64 n);
  void (*cross_entropy)(const float* logits, const i32* labels, i32 ignore, float* loss, float* log_sum, i64 rows, i64 n);
  void (*cross_entropy_gradient)(const float* logits, const i32* labels, const float* log_sum, float dy, i32 ignore, float* dx, i64 rows, i64 n);
  // reduce.cpp
  void (*sum_last)(const float* x, float* y, float scale, i64 rows, i64 n);
  void (*sum_first)(const float* x, float* y, float scale, i64 rows, i64 n);
  void (*max_last)(const float* x, float* y, i64 rows, i64 n);
  double (*squared_norm)(const float* x, i64 n);
  // elementwise.cpp
  void (*unary)(Unary, const float* x, float* y, i64 n);
  void (*binary)(Binary, const float* a, const float* b, float* y, const Strides&);
  void (*accumulate)(float* into, const float* x, i64 n);
  void (*adamw)(const AdamW&, float* value, float* m, float* v, const float* gradient, i64 n);
  void (*dropout)(const float* x, float* y, double probability, u32 seed, i64 n);
  void (*scatter_add)(const i32* ids, const float* dy, float* out, i64 rows, i64 size, i64 n);
  // quantized.cpp
  void (*quantized_block)(const QuantizedMatrix&, i64 row_begin, i64 row_end, i64 column_begin, i64 column_end, float* out);  // one thread
  bool (*quantized_few_rows)(const QuantizedMatrix&, const float* x, const float* bias, float* y, i64 rows);  // false: not for this shape
  // sparse.cpp, one thread: entries with |x| > threshold; y[r] = start + Σ value·w[at] with w in memory, or in a tile that lies together while `next` is
  // fetched
  i64 (*count_active)(const float* x, i64 n, float threshold);
  i64 (*list_active)(const float* x, i64 n, float threshold, i32* at, float* value);
  void (*sparse_few)(const ActiveRow* rows, i64 count, const float* w, i64 ldw, i64 columns, const float* bias, float* y, i64 ldy);
  void (*copy_band)(const Band&, float* tiles);  // one tile of band.rows × SPARSE_COLUMNS after the other
  void (*sparse_tile)(const ActiveRow* rows, i64 count, const float* tile, i64 columns, const float* start, i64 ld_start, float* y, i64 ldy, const Band& next);
  // selected.cpp, one thread: y[at[i]·ldy] = start + w·x[at[i]] over n entries, for the `count` rows of x that `at` names
  void (*selected_rows)(const float* w, const float* x, i64 n, const i32* at, i64 count, float start, float* y, i64 ldy);
};

extern const Kernels kernels_portable;
#ifdef DEFT_X86
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

}  // namespace deft
