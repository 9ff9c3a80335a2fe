// AdamW, dropout and the scatter-add of an embedding's gradient.
#include <cmath>

#include "parts.h"
#include "random.h"

namespace deft {
namespace DEFT_ISA {

// p ← p(1 − lr·λ); m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
void adamw(const AdamW& o, float* value, float* m, float* v, const float* gradient, i64 n) {
  const float decay = static_cast<float>(1 - o.learning_rate * o.weight_decay);
  const float b1 = static_cast<float>(o.beta1), c1 = static_cast<float>(1 - o.beta1);
  const float b2 = static_cast<float>(o.beta2), c2 = static_cast<float>(1 - o.beta2);
  const float pace = static_cast<float>(o.learning_rate / (1 - std::pow(o.beta1, o.step)));
  const float root = static_cast<float>(std::sqrt(1 - std::pow(o.beta2, o.step))), epsilon = static_cast<float>(o.epsilon);
  parallel_flat(n, [&](i64 begin, i64 end) {
    each(begin, end, [&](i64 i, auto lanes) {
      ahead(gradient + i);
      ahead_to_write(m + i);
      ahead_to_write(v + i);
      ahead_to_write(value + i);
      const vf g = lanes.load(gradient + i);
      const vf first = b1 * lanes.load(m + i) + c1 * g;
      const vf second = b2 * lanes.load(v + i) + c2 * g * g;
      lanes.store(m + i, first);
      lanes.store(v + i, second);
      lanes.store(value + i, decay * lanes.load(value + i) - pace * first / (square_root(second) / root + epsilon));
    });
  });
}

void dropout(const float* x, float* y, double probability, u32 seed, i64 n) {
  const Dropout drop(probability, seed);
  parallel_flat(n, [&](i64 begin, i64 end) {
    each(begin, end, [&](i64 i, auto lanes) {
      ahead(x + i);
      ahead_to_write(y + i);
      lanes.store(y + i, lanes.load(x + i) * drop.factors(static_cast<u32>(i)));
    });
  });
}

void scatter_add(const i32* ids, const float* dy, float* out, i64 rows, i64 size, i64 n) {
  parallel_flat(size * n, [&](i64 begin, i64 end) {
    each(begin, end, [&](i64 i, auto lanes) { lanes.store(out + i, vf{}); });
  });
  // each thread owns columns, so that the order of the additions does not depend on the number of threads
  parallel((n + 15) / 16, rows * 16, [&](i64 begin, i64 end) {
    const i64 c0 = begin * 16, c1 = smaller(n, end * 16);
    for (i64 r = 0; r < rows; ++r) {
      float* into = out + ids[r] * n;
      const float* from = dy + r * n;
      each(c0, c1, [&](i64 c, auto lanes) { lanes.store(into + c, lanes.load(into + c) + lanes.load(from + c)); });
    }
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
