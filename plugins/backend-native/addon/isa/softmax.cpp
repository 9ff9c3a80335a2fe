// Softmax over the last axis and the mean cross entropy.
#include <cmath>

#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {
namespace {

struct RowSum {
  float top, sum;
};

RowSum row_sum(const float* x, i64 n) {
  const float low = -__builtin_inff();
  vf m = splat(low);
  each(0, n, [&](i64 i, auto lanes) {
    ahead(x + i);
    const vf v = lanes.load(x + i, low);
    m = v > m || v != v ? v : m;
  });
  const float top = max_of(m);
  vf s = {};
  each(0, n, [&](i64 i, auto lanes) { s += exponential_of_negative(lanes.load(x + i, low) - top); });
  return {top, sum_of(s)};
}

}  // namespace

void softmax(const float* x, float* y, i64 rows, i64 n) {
  parallel(rows, 4 * n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const float* row = x + r * n;
      float* out = y + r * n;
      const RowSum z = row_sum(row, n);
      const float scale = 1.f / z.sum;
      each(0, n, [&](i64 i, auto lanes) {
        ahead_to_write(out + i);
        lanes.store(out + i, exponential_of_negative(lanes.load(row + i) - z.top) * scale);
      });
    }
  });
}

void cross_entropy(const float* logits, const i32* labels, i32 ignore, float* loss, float* log_sum, i64 rows, i64 n) {
  parallel(rows, 4 * n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      const RowSum z = row_sum(logits + r * n, n);
      log_sum[r] = z.top + std::log(z.sum);
    }
  });
  double total = 0;
  i64 counted = 0;
  for (i64 r = 0; r < rows; ++r) {
    if (labels[r] == ignore) continue;
    total += static_cast<double>(log_sum[r]) - logits[r * n + labels[r]];
    ++counted;
  }
  *loss = static_cast<float>(total / static_cast<double>(counted));
}

void cross_entropy_gradient(const float* logits, const i32* labels, const float* log_sum, float dy, i32 ignore, float* dx, i64 rows, i64 n) {
  i64 counted = 0;
  for (i64 r = 0; r < rows; ++r) counted += labels[r] != ignore;
  const float scale = dy / static_cast<float>(counted);
  parallel(rows, 4 * n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      float* out = dx + r * n;
      const float* row = logits + r * n;
      if (labels[r] == ignore) {
        each(0, n, [&](i64 i, auto lanes) { lanes.store(out + i, vf{}); });
        continue;
      }
      const float z = log_sum[r];
      each(0, n, [&](i64 i, auto lanes) {
        ahead(row + i);
        ahead_to_write(out + i);
        lanes.store(out + i, exponential(lanes.load(row + i) - z) * scale);
      });
      out[labels[r]] -= scale;
    }
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
