#include "linear.h"

#include <cstring>

#include "cpu.h"
#include "parallel.h"

namespace deft {

namespace {
// Rows that a thread must have for its own product to be as fast as one that the library splits.
constexpr i64 ROWS_FOR_OWN_PRODUCT = 1024;

// Calls f(begin, end) on each thread's rows when every thread gets enough of them; false when it does not.
template <class F>
bool by_rows(i64 rows, F f) {
  const i64 threads = thread_count();
  if (threads < 2 || rows < threads * ROWS_FOR_OWN_PRODUCT) return false;
  base::parallel(threads, base::GRAIN, [&](i64 begin, i64 end) { f(rows * begin / threads, rows * end / threads); });
  return true;
}
}  // namespace

void linear(Activation kind, const float* x, const Weight& w, const float* bias, float* y, float* pre, i64 rows, i64 d_in, i64 d_out) {
  float* product = pre ? pre : y;
  const i64 ldw = w.transposed ? d_in : d_out;
  const bool finish = bias || kind != Activation::identity || pre;
  const auto epilogue = [&](i64 begin, i64 end) {
    if (finish) kernels().epilogue(kind, bias, product + begin * d_out, y + begin * d_out, end - begin, d_out);
  };
  if (w.packed) {
    w.packed->multiply(x, product, rows);
  } else if (by_rows(rows, [&](i64 begin, i64 end) {
               gemm_here(false, w.transposed, end - begin, d_out, d_in, 1, x + begin * d_in, d_in, w.data, ldw, 0, product + begin * d_out, d_out);
               epilogue(begin, end);
             })) {
    return;
  } else {
    gemm(false, w.transposed, rows, d_out, d_in, 1, x, d_in, w.data, ldw, 0, product, d_out);
  }
  base::parallel(rows, finish ? d_out : 0, epilogue);
}

void linear_input_gradient(const float* dy, const Weight& w, float* dx, i64 rows, i64 d_in, i64 d_out) {
  if (w.packed) {
    w.packed->multiply(dy, dx, rows);
    return;
  }
  gemm(false, !w.transposed, rows, d_in, d_out, 1, dy, d_out, w.data, w.transposed ? d_in : d_out, 0, dx, d_in);
}

void linear_weight_gradient(const float* x, const float* dy, bool transposed, float* dw, i64 rows, i64 d_in, i64 d_out) {
  if (transposed) {
    gemm(true, false, d_out, d_in, rows, 1, dy, d_out, x, d_in, 0, dw, d_in);
  } else {
    gemm(true, false, d_in, d_out, rows, 1, x, d_in, dy, d_out, 0, dw, d_out);
  }
}

void low_rank(const float* x, const float* base, const float* down, const float* up, float scale, float* y, float* xa, i64 rows, i64 d_in, i64 d_out, i64 rank) {
  const i64 block = 128;  // a block of base stays in the cache between its copy and the product's addition
  deft::base::parallel((rows + block - 1) / block, block * (d_in + d_out), [&](i64 begin, i64 end) {
    for (i64 r = begin * block; r < smaller(rows, end * block); r += block) {
      const i64 n = smaller(block, rows - r);
      gemm_here(false, false, n, rank, d_in, 1, x + r * d_in, d_in, down, rank, 0, xa + r * rank, rank);
      std::memcpy(y + r * d_out, base + r * d_out, static_cast<std::size_t>(n * d_out) * sizeof(float));
      gemm_here(false, false, n, d_out, rank, scale, xa + r * rank, rank, up, d_out, 1, y + r * d_out, d_out);
    }
  });
}

void low_rank_gradient(const LowRankGradient& g, i64 rows, i64 d_in, i64 d_out, i64 rank) {
  gemm(false, true, rows, rank, d_out, g.scale, g.dy, d_out, g.up, d_out, 0, g.dxa, rank);       // s·dy·Bᵀ
  gemm(true, false, rank, d_out, rows, g.scale, g.xa, rank, g.dy, d_out, 0, g.dup, d_out);       // s·(x·A)ᵀ·dy
  gemm(true, false, d_in, rank, rows, 1, g.x, d_in, g.dxa, rank, 0, g.ddown, rank);              // xᵀ·(s·dy·Bᵀ)
  if (g.dx) gemm(false, true, rows, d_in, rank, 1, g.dxa, rank, g.down, rank, 0, g.dx, d_in);    // (s·dy·Bᵀ)·Aᵀ
}

void multiply_batch(bool ta, bool tb, i64 batch, i64 m, i64 n, i64 k, const float* a, bool share_a, const float* b, bool share_b, float* y) {
  const i64 lda = ta ? m : k, ldb = tb ? k : n;
  if (share_b && !ta && !share_a) {  // one product over all rows
    gemm(false, tb, batch * m, n, k, 1, a, lda, b, ldb, 0, y, n);
  } else if (batch < thread_count()) {
    for (i64 i = 0; i < batch; ++i) gemm(ta, tb, m, n, k, 1, share_a ? a : a + i * m * k, lda, share_b ? b : b + i * k * n, ldb, 0, y + i * m * n, n);
  } else {
    base::parallel(batch, m * n * k, [&](i64 begin, i64 end) {
      for (i64 i = begin; i < end; ++i) gemm_here(ta, tb, m, n, k, 1, share_a ? a : a + i * m * k, lda, share_b ? b : b + i * k * n, ldb, 0, y + i * m * n, n);
    });
  }
}

}  // namespace deft
