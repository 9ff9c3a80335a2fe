// The density penalty p_b = Σ w·a²/(a²+ε) and its gradient.
#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {

void density(const float* a, const float* weights, float epsilon, float* p, i64 batch, i64 seq, i64 n) {
  // rows are summed in vectors, rows among each other in double, one thread per piece of the batch × seq grid
  double* sums = reinterpret_cast<double*>(scratch(2 * batch * seq + 2));
  parallel(batch * seq, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      sums[r] = 0;
      if (weights[r] == 0.f) continue;
      vf s0 = {}, s1 = {};
      const float* row = a + r * n;
      i64 i = 0;
      for (; i + 2 * W <= n; i += 2 * W) {
        ahead(row + i);
        ahead(row + i + W);
        const vf u = load(row + i), v = load(row + i + W);
        const vf uu = u * u, vv = v * v;
        s0 += uu / (uu + epsilon);
        s1 += vv / (vv + epsilon);
      }
      each(i, n, [&](i64 j, auto lanes) {
        const vf v = lanes.load(row + j);
        const vf vv = v * v;
        s0 += vv / (vv + epsilon);
      });
      sums[r] = wide_sum_of(s0 + s1) * weights[r];
    }
  });
  for (i64 b = 0; b < batch; ++b) {
    double total = 0;
    for (i64 s = 0; s < seq; ++s) total += sums[b * seq + s];
    p[b] = static_cast<float>(total);
  }
}

void density_gradient(const float* a, const float* weights, const float* dy, float epsilon, float* da, i64 batch, i64 seq, i64 n) {
  parallel(batch * seq, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const float w = 2.f * epsilon * weights[r] * dy[r / seq];
      each(r * n, r * n + n, [&](i64 i, auto lanes) {
        ahead(a + i);
        ahead_to_write(da + i);
        const vf v = lanes.load(a + i);
        const vf d = v * v + epsilon;
        lanes.store(da + i, w * v / (d * d));
      });
    }
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
