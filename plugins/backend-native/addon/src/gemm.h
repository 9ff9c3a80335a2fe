// Matrix products by the library that the addon was built with (oneDNN or OpenBLAS); none is written here. Row-major, float32.
#pragma once
#include <string>

#include "common.h"

namespace deft {

// C = alpha·op(A)·op(B) + beta·C with op(A) m×k and op(B) k×n, on all threads.
void gemm(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc);

// The same on the calling thread alone, from inside a parallel region.
void gemm_here(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc);

// Whether nothing is to be multiplied (an empty result, or an empty sum: then C becomes beta·C).
bool empty_product(i64 m, i64 n, i64 k, float beta, float* c, i64 ldc);

// A frozen matrix, k×n, in the order that the library prefers: in float32, or rounded to bfloat16.
class Packed {
 public:
  virtual ~Packed() = default;
  // c[m, n] = a[m, k]·W + bias (may be null), or c + that when `onto`, on all threads; sums in float32, `a` rounded as W is.
  virtual void multiply(const float* a, const float* bias, bool onto, float* c, i64 m) = 0;
  // The values as a plain matrix, k×n, or n×k when `transposed`.
  virtual void unpack(bool transposed, float* w) = 0;
  i64 k = 0, n = 0;
};

// Whether float32 products with so many rows are faster by a packed matrix.
bool packing_gains(i64 rows, i64 k, i64 n);

// The floats that a packed matrix takes; 0 where the library or the machine has no such product, or no order of its own for it.
i64 packed_size(bool bf16, i64 k, i64 n);

// Packs op(W) into `room`, which must hold packed_size(…) > 0 floats and outlive the result.
Packed* pack(bool bf16, bool transposed, i64 k, i64 n, const float* w, float* room);

bool bf16_products();
std::string gemm_library();
void gemm_threads(int n);

}  // namespace deft
