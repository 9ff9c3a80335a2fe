// The density penalty p_b = Σ w·a²/(a²+ε) and its gradient.
#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {

void density(const float* a, const float* weights, float given, float* p, i64 batch, i64 seq, i64 n) {
  const float epsilon = normal_epsilon(given);
  // rows are summed in vectors, rows among each other in double, one thread per piece of the batch × seq grid
  double* sums = reinterpret_cast<double*>(scratch(2 * batch * seq + 2));
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
        s0 += penalty(load(row + i), epsilon);
        s1 += penalty(load(row + i + W), epsilon);
      }
      each(i, n, [&](i64 j, auto lanes) { s0 += penalty(lanes.load(row + j), epsilon); });
      sums[r] = wide_sum_of(s0 + s1) * weights[r];
    }
  });
  for (i64 b = 0; b < batch; ++b) {
    double total = 0;
    for (i64 s = 0; s < seq; ++s) total += sums[b * seq + s];
    p[b] = static_cast<float>(total);
  }
}

void density_gradient(const float* a, const float* weights, const float* dy, float given, float* da, i64 batch, i64 seq, i64 n) {
  const float epsilon = normal_epsilon(given);
  parallel(batch * seq, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const float w = 2.f * epsilon * dy[r / seq] * weights[r];
      each(r * n, r * n + n, [&](i64 i, auto lanes) {
        ahead(a + i);
        ahead_to_write(da + i);
        lanes.store(da + i, penalty_slope(lanes.load(a + i), w, epsilon));
      });
    }
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
