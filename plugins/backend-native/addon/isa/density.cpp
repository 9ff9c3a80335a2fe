// The density penalty p_b = Σ w·a²/(a²+ε) and its gradient.
#include "kernels.h"
#include "penalty.h"

namespace deft {
namespace DEFT_ISA {

void density(const float* a, const float* weights, float given, float* p, i64 batch, i64 seq, i64 n) {
  const float epsilon = normal_epsilon(given);
  double* sums = row_sums(batch * seq);
  parallel(batch * seq, n, [&](i64 begin, i64 end) {
    for (i64 r = end - 1; r >= begin; --r) {  // backwards: what was made last is still in the caches
      sums[r] = 0;
      if (weights[r] == 0.f) continue;
      vf s0 = {}, s1 = {};
      const float* row = a + r * n;
      i64 i = 0;
      for (; i + 2 * W <= n; i += 2 * W) {
        ahead(row + i, -n);
        ahead(row + i + W, -n);
        s0 += penalty(load(row + i), 0, epsilon).y;
        s1 += penalty(load(row + i + W), 0, epsilon).y;
      }
      each(i, n, [&](i64 j, auto lanes) { s0 += penalty(lanes.load(row + j), 0, epsilon).y; });
      sums[r] = row_sum(s0 + s1, weights[r]);
    }
  });
  sum_rows(sums, p, batch, seq);
}

void density_gradient(const float* a, const float* weights, const float* dy, float given, float* da, float* p, i64 batch, i64 seq, i64 n) {
  const float epsilon = normal_epsilon(given);
  double* sums = row_sums(batch * seq);
  parallel(batch * seq, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      vf sum = {};
      const float w = 2.f * epsilon * dy[r / seq] * weights[r];
      each(r * n, r * n + n, [&](i64 i, auto lanes) {
        ahead(a + i);
        ahead_to_write(da + i);
        const Jet jet = penalty(lanes.load(a + i), w, epsilon);
        sum += jet.y;
        lanes.store(da + i, jet.slope);
      });
      sums[r] = row_sum(sum, weights[r]);
    }
  });
  if (p) sum_rows(sums, p, batch, seq);
}

}  // namespace DEFT_ISA
}  // namespace deft
