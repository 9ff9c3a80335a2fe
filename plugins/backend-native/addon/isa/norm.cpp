// LayerNorm and RMSNorm with the residual's addition inside, and their gradients.
#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

float sum_row(const float* x, i64 n) {
  vf s = {};
  each(0, n, [&](i64 i, auto lanes) {
    ahead(x + i);
    s += lanes.load(x + i);
  });
  return sum_of(s);
}

float squares_about(const float* x, float centre, i64 n) {
  vf s = {};
  each(0, n, [&](i64 i, auto lanes) {
    const vf d = lanes.load(x + i, centre) - centre;
    s += d * d;
  });
  return sum_of(s);
}

void norm_row(const float* z, const float* gamma, const float* beta, float mean, float rstd, float* y, i64 n) {
  each(0, n, [&](i64 i, auto lanes) {
    ahead_to_write(y + i);
    const vf v = (lanes.load(z + i) - mean) * rstd * lanes.load(gamma + i);
    lanes.store(y + i, beta ? v + lanes.load(beta + i) : v);
  });
}

}  // namespace

void norm(bool rms, const float* x, const float* residual, const float* gamma, const float* beta, float epsilon, float* y, float* mean, float* rstd, float* z, i64 rows, i64 n) {
  parallel(rows, 2 * n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const float* row = x + r * n;
      if (residual) {
        const float* other = residual + r * n;
        float* sum = z + r * n;
        each(0, n, [&](i64 i, auto lanes) {
          ahead(row + i);
          ahead(other + i);
          ahead_to_write(sum + i);
          lanes.store(sum + i, lanes.load(row + i) + lanes.load(other + i));
        });
        row = sum;
      }
      const float m = rms ? 0.f : sum_row(row, n) / static_cast<float>(n);
      const float k = 1.f / __builtin_sqrtf(squares_about(row, m, n) / static_cast<float>(n) + epsilon);
      mean[r] = m;
      rstd[r] = k;
      norm_row(row, gamma, beta, m, k, y + r * n, n);
    }
  });
}

void norm_gradient(bool rms, bool onto, const float* dy, const float* z, const float* gamma, const float* mean, const float* rstd, float* dz, i64 rows, i64 n) {
  parallel(rows, 2 * n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const float *d = dy + r * n, *row = z + r * n;
      float* o = dz + r * n;
      const float m = mean[r], k = rstd[r];
      vf plain = {}, along = {};
      each(0, n, [&](i64 i, auto lanes) {
        ahead(d + i);
        ahead(row + i);
        const vf g = lanes.load(d + i) * lanes.load(gamma + i);
        plain += g;
        along += g * ((lanes.load(row + i, m) - m) * k);
      });
      const float a = rms ? 0.f : sum_of(plain) / static_cast<float>(n), b = sum_of(along) / static_cast<float>(n);
      each(0, n, [&](i64 i, auto lanes) {
        ahead_to_write(o + i);
        const vf g = lanes.load(d + i) * lanes.load(gamma + i);
        const vf v = k * (g - a - (lanes.load(row + i) - m) * k * b);
        lanes.store(o + i, onto ? lanes.load(o + i) + v : v);
      });
    }
  });
}

void norm_parameter_gradient(const float* dy, const float* z, const float* mean, const float* rstd, float* dgamma, float* dbeta, i64 rows, i64 n) {
  // columns are split over the threads, so that each sum runs over the rows in order whatever the number of threads
  parallel((n + W - 1) / W, rows * W, [&](i64 begin, i64 end) {
    each(begin * W, smaller(n, end * W), [&](i64 c, auto lanes) {
      vf g = {}, b = {};
      for (i64 r = 0; r < rows; ++r) {
        const vf d = lanes.load(dy + r * n + c);
        g += d * ((lanes.load(z + r * n + c) - mean[r]) * rstd[r]);
        b += d;
      }
      lanes.store(dgamma + c, g);
      if (dbeta) lanes.store(dbeta + c, b);
    });
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
