// What both libraries leave to the caller.
#include "gemm.h"

namespace deft {

bool empty_product(i64 m, i64 n, i64 k, float beta, float* c, i64 ldc) {
  if (m > 0 && n > 0 && k > 0) return false;
  for (i64 i = 0; i < m; ++i) {
    for (i64 j = 0; j < n; ++j) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
  }
  return true;
}

}  // namespace deft
