#include "selected.h"

#include <cmath>
#include <cstring>
#include <memory>

#include "cpu.h"
#include "parallel.h"

namespace deft {

namespace {

// Outputs whose rows of W a thread takes at a time.
constexpr i64 OUTPUTS = 64;
// Bytes of x that stay in a core's second cache while the rows of W pass by.
constexpr i64 CACHE = i64(1) << 20;

double wanted_share(const SelectedLinear& s) {
  i64 count = 0;
  for (i64 r = 0; r < s.rows; ++r) count += kernels().count_active(s.select + r * s.d_out, s.d_out, s.threshold);
  return static_cast<double>(count) / static_cast<double>(larger(1, s.rows * s.d_out));
}

void multiply_densely(const SelectedLinear& s) {
  linear(Activation::identity, s.x, s.w, s.bias, s.y, nullptr, false, s.rows, s.d_in, s.d_out);
  base::parallel_flat(s.rows * s.d_out, [&](i64 begin, i64 end) {
    for (i64 i = begin; i < end; ++i) s.y[i] = std::fabs(s.select[i]) <= s.threshold ? 0.f : s.y[i];
  });
}

// Outputs [first, first + count) of rows [from, from + rows): a list of rows for each output, so that each row of W is read once. `at` has room for count·rows.
void multiply_outputs(const SelectedLinear& s, i64 from, i64 rows, i64 first, i64 count, i32* at) {
  i32 found[OUTPUTS + LIST_OVERHANG];
  float unused[OUTPUTS + LIST_OVERHANG];
  i64 named[OUTPUTS] = {};
  for (i64 r = 0; r < rows; ++r) {
    const i64 line = (from + r) * s.d_out + first;
    const i64 n = kernels().list_active(s.select + line, count, s.threshold, found, unused);
    std::memset(s.y + line, 0, static_cast<std::size_t>(count) * sizeof(float));
    for (i64 i = 0; i < n; ++i) at[found[i] * rows + named[found[i]]++] = static_cast<i32>(r);
  }
  for (i64 j = 0; j < count; ++j) {
    if (named[j] == 0) continue;
    const i64 output = first + j;
    kernels().selected_rows(s.w.data + output * s.d_in, s.x + from * s.d_in, s.d_in, at + j * rows, named[j], s.bias ? s.bias[output] : 0.f, s.y + from * s.d_out + output, s.d_out);
  }
}

}  // namespace

SparseDecision selected_linear(const SelectedLinear& s) {
  if (s.rows == 0) return {0, false};
  const double density = wanted_share(s);
  if (!s.w.data || s.d_in == 0 || density > s.break_even) {
    multiply_densely(s);
    return {density, false};
  }
  const i64 rows = smaller(s.rows, larger(16, CACHE / (s.d_in * static_cast<i64>(sizeof(float)))));
  const i64 blocks = (s.d_out + OUTPUTS - 1) / OUTPUTS;
  const i64 work = static_cast<i64>(density * static_cast<double>(rows * OUTPUTS * s.d_in)) + rows * OUTPUTS;
  for (i64 from = 0; from < s.rows; from += rows) {
    const i64 here = smaller(rows, s.rows - from);
    base::parallel(blocks, work, [&](i64 begin, i64 end) {
      std::unique_ptr<i32[]> at(new i32[static_cast<std::size_t>(OUTPUTS * here)]);
      for (i64 b = begin; b < end; ++b) multiply_outputs(s, from, here, b * OUTPUTS, smaller(OUTPUTS, s.d_out - b * OUTPUTS), at.get());
    });
  }
  return {density, true};
}

}  // namespace deft
