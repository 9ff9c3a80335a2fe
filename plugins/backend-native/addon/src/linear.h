// The linear layer, its gradients, and the low-rank branch.
#pragma once
#include "gemm.h"

namespace deft {

struct Weight {
  const float* data;  // null when packed
  bool transposed;    // stored [dOut, dIn]
  Packed* packed;     // of W (forward) or Wᵀ (input gradient); null: use `data`
};

// y = f(x·W + b); `pre` (may be null without `slope`) keeps x·W + b, or f′ there.
void linear(Activation kind, const float* x, const Weight& w, const float* bias, float* y, float* pre, bool slope, i64 rows, i64 d_in, i64 d_out);
// dx = dy·Wᵀ, or dx += dy·Wᵀ when `onto`
void linear_input_gradient(const float* dy, const Weight& w, bool onto, float* dx, i64 rows, i64 d_in, i64 d_out);
// dW = xᵀ·dy, in the weight's order
void linear_weight_gradient(const float* x, const float* dy, bool transposed, float* dw, i64 rows, i64 d_in, i64 d_out);

// y = base + s·(x·A)·B, xa = x·A
void low_rank(const float* x, const float* base, const float* down, const float* up, float scale, float* y, float* xa, i64 rows, i64 d_in, i64 d_out, i64 rank);

struct LowRankGradient {
  const float *x, *xa, *dy, *down, *up;
  float scale;
  bool onto;  // dx is added to
  float *dx, *ddown, *dup, *dxa;  // dx and dxa: [rows, dIn] and [rows, rank]; dx may be null
};
void low_rank_gradient(const LowRankGradient& g, i64 rows, i64 d_in, i64 d_out, i64 rank);

// y[i] = op(a[i])·op(b[i]) for each i of the batch; a shared operand is the same for all.
void multiply_batch(bool ta, bool tb, i64 batch, i64 m, i64 n, i64 k, const float* a, bool share_a, const float* b, bool share_b, float* y);

}  // namespace deft
