// Products by OpenBLAS, which keeps to one thread: the splitting over threads is OpenMP's, here.
#include <cblas.h>

#include "gemm.h"
#include "parallel.h"

extern "C" void openblas_set_num_threads(int);
extern "C" char* openblas_get_config(void);

namespace deft {

void gemm_here(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc) {
  if (empty_product(m, n, k, beta, c, ldc)) return;
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              alpha, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta, c, static_cast<int>(ldc));
}

void gemm(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc) {
  if (n > m) {  // split the columns, 16 at a time
    base::parallel((n + 15) / 16, m * k, [&](i64 begin, i64 end) {
      const i64 c0 = begin * 16, c1 = smaller(n, end * 16);
      gemm_here(ta, tb, m, c1 - c0, k, alpha, a, lda, tb ? b + c0 * ldb : b + c0, ldb, beta, c + c0, ldc);
    });
    return;
  }
  base::parallel((m + 7) / 8, n * k, [&](i64 begin, i64 end) {
    const i64 r0 = begin * 8, r1 = smaller(m, end * 8);
    gemm_here(ta, tb, r1 - r0, n, k, alpha, ta ? a + r0 : a + r0 * lda, lda, b, ldb, beta, c + r0 * ldc, ldc);
  });
}

bool packing_gains(i64, i64, i64) { return false; }
i64 packed_size(bool, i64, i64) { return 0; }
Packed* pack(bool, bool, i64, i64, const float*, float*) { return nullptr; }

bool bf16_products() { return false; }
std::string gemm_library() { return openblas_get_config(); }
void gemm_threads(int) { openblas_set_num_threads(1); }

}  // namespace deft
