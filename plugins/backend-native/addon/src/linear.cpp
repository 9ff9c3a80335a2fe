#include "linear.h"

#include <cstring>

#include "cpu.h"
#include "parallel.h"

namespace deft {

namespace {
// How a product by a weight is shared out: the library's own way costs up to a fifth by the transpose of a weight, and a few hundredths by a small one.
enum class Split { library, rows, columns };  // columns: for the transpose alone

Split split_of(i64 rows, i64 k, i64 n, bool transposed) {
  constexpr i64 SMALL_WEIGHT = i64(1) << 19;  // elements: each thread reads all of it when rows are shared out
  const i64 threads = thread_count();
  if (threads < 2) return Split::library;
  if (transposed) return rows >= 256 * threads ? Split::rows : n >= 64 * threads ? Split::columns : Split::library;
  return rows >= 128 * threads && k * n <= SMALL_WEIGHT ? Split::rows : Split::library;
}

// Calls f(begin, end) on each thread's part of n, or on all of it where `work` does not pay for a fork.
template <class F>
void in_parts(i64 n, i64 work, F f) {
  const i64 threads = thread_count();
  base::parallel(threads, work / threads, [&](i64 begin, i64 end) { f(n * begin / threads, n * end / threads); });
}

// y [rows, n] = x [rows, k]·op(w) + beta·y, then finish(begin, end) on all rows, a thread's own where it has made them.
template <class F>
void by_weight(const float* x, const float* w, bool transposed, float beta, float* y, i64 rows, i64 k, i64 n, i64 finishing, F finish) {
  const i64 ldw = transposed ? k : n, work = rows * k * n;
  switch (split_of(rows, k, n, transposed)) {
    case Split::rows:
      return in_parts(rows, work, [&](i64 begin, i64 end) {
        gemm_here(false, transposed, end - begin, n, k, 1, x + begin * k, k, w, ldw, beta, y + begin * n, n);
        if (finishing) finish(begin, end);
      });
    case Split::columns:
      in_parts(n, work, [&](i64 begin, i64 end) {
        gemm_here(false, true, rows, end - begin, k, 1, x, k, w + begin * k, k, beta, y + begin, n);
      });
      break;
    case Split::library: gemm(false, transposed, rows, n, k, 1, x, k, w, ldw, beta, y, n);
  }
  if (finishing) base::parallel(rows, finishing, finish);
}

i64 padded(i64 rank) { return (rank + WIDEST - 1) / WIDEST * WIDEST; }

// out [n, padded(rank)] = a matrix with these strides, zeros behind its columns
void pad_columns(const float* from, i64 row, i64 column, float* out, i64 n, i64 rank) {
  const i64 ld = padded(rank);
  for (i64 i = 0; i < n; ++i)
    for (i64 j = 0; j < ld; ++j) out[i * ld + j] = j < rank ? from[i * row + j * column] : 0.f;
}

// Calls f(row, count) on blocks of rows, whose operands stay in a core's caches from one small product to the next.
template <class F>
void by_blocks(i64 rows, i64 work, F f) {
  const i64 block = 32;
  base::parallel((rows + block - 1) / block, block * work, [&](i64 begin, i64 end) {
    for (i64 r = begin * block; r < smaller(rows, end * block); r += block) f(r, smaller(block, rows - r));
  });
}
}  // namespace

void linear(Activation kind, const float* x, const Weight& w, const float* bias, float* y, float* pre, bool slope, i64 rows, i64 d_in, i64 d_out) {
  float* product = pre ? pre : y;
  const float* late = w.packed ? nullptr : bias;  // the library adds it inside its product by a packed weight
  const i64 finishing = late || kind != Activation::identity || pre ? d_out : 0;
  const auto epilogue = [&](i64 begin, i64 end) { kernels().epilogue(kind, slope, late, product + begin * d_out, y + begin * d_out, end - begin, d_out); };
  if (!w.packed) return by_weight(x, w.data, w.transposed, 0, product, rows, d_in, d_out, finishing, epilogue);
  w.packed->multiply(x, bias, false, product, rows);
  if (finishing) base::parallel(rows, finishing, epilogue);
}

void linear_input_gradient(const float* dy, const Weight& w, bool onto, float* dx, i64 rows, i64 d_in, i64 d_out) {
  if (!w.packed) return by_weight(dy, w.data, !w.transposed, onto ? 1.f : 0.f, dx, rows, d_out, d_in, 0, [](i64, i64) {});
  constexpr i64 CACHED = i64(1) << 20;  // elements of a result beyond which the library's own sum takes a tenth longer than a product and an addition
  const bool apart = onto && rows * d_in > CACHED;
  float* product = apart ? scratch(rows * d_in, 1) : dx;
  w.packed->multiply(dy, nullptr, onto && !apart, product, rows);
  if (apart) kernels().accumulate(dx, product, rows * d_in);
}

void linear_weight_gradient(const float* x, const float* dy, bool transposed, float* dw, i64 rows, i64 d_in, i64 d_out) {
  if (transposed) {
    gemm(true, false, d_out, d_in, rows, 1, dy, d_out, x, d_in, 0, dw, d_in);
  } else {
    gemm(true, false, d_in, d_out, rows, 1, x, d_in, dy, d_out, 0, dw, d_out);
  }
}

void low_rank(const float* x, const float* base, const float* down, const float* up, float scale, float* y, float* xa, i64 rows, i64 d_in, i64 d_out, i64 rank) {
  const i64 ld = padded(rank);
  float* wide_down = scratch(d_in * ld);
  pad_columns(down, rank, 1, wide_down, d_in, rank);
  by_blocks(rows, rank * (d_in + d_out), [&](i64 r, i64 n) {
    kernels().project(x + r * d_in, wide_down, ld, 1, xa + r * rank, n, d_in, rank);
    kernels().expand(xa + r * rank, up, base + r * d_out, scale, y + r * d_out, n, d_out, rank);
  });
}

void low_rank_gradient(const LowRankGradient& g, i64 rows, i64 d_in, i64 d_out, i64 rank) {
  const i64 ld = padded(rank), threads = thread_count(), sums = rank * (d_in + d_out);
  float* wide_up = scratch(d_out * ld + rank * d_in + threads * sums);
  float *down = wide_up + d_out * ld, *partial = down + rank * d_in;  // Aᵀ; then each thread's sums of dB [rank, dOut] and dAᵀ [rank, dIn]
  pad_columns(g.up, 1, d_out, wide_up, d_out, rank);
  for (i64 j = 0; j < rank; ++j)
    for (i64 i = 0; i < d_in; ++i) down[j * d_in + i] = g.down[i * rank + j];
  std::memset(partial, 0, static_cast<std::size_t>(threads * sums) * sizeof(float));
  by_blocks(rows, 2 * sums, [&](i64 r, i64 n) {
    float *dup = partial + omp_get_thread_num() * sums, *ddown = dup + rank * d_out;
    const float *x = g.x + r * d_in, *dy = g.dy + r * d_out;
    float* dxa = g.dxa + r * rank;
    kernels().project(dy, wide_up, ld, g.scale, dxa, n, d_out, rank);                             // s·dy·Bᵀ
    kernels().add_outer(g.xa + r * rank, dy, dup, n, d_out, rank);                                // (x·A)ᵀ·dy
    kernels().add_outer(dxa, x, ddown, n, d_in, rank);                                            // (s·dy·Bᵀ)ᵀ·x
    if (!g.dx) return;
    float* dx = g.dx + r * d_in;
    kernels().expand(dxa, down, g.onto ? dx : nullptr, 1, dx, n, d_in, rank);                     // (s·dy·Bᵀ)·Aᵀ
  });
  for (i64 t = 1; t < threads; ++t) kernels().accumulate(partial, partial + t * sums, sums);
  for (i64 i = 0; i < rank * d_out; ++i) g.dup[i] = g.scale * partial[i];
  for (i64 j = 0; j < rank; ++j)
    for (i64 i = 0; i < d_in; ++i) g.ddown[i * rank + j] = partial[rank * d_out + j * d_in + i];
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
