// Products that leave something out where that pays: entries of the input that are 0, outputs that nobody wants.
#include "door.h"
#include "packed_handle.h"
#include "selected.h"
#include "sparse.h"

namespace deft {

namespace {

float threshold_argument(Args& a) {
  const float threshold = static_cast<float>(a.number("threshold"));
  if (!(threshold >= 0)) a.refuse("threshold must be at least 0");
  return threshold;
}

// (weight, packed): plain to skip by, packed for the dense product where there is one
Weight weight_argument(Args& a, bool transposed, i64 d_in, i64 d_out) {
  const i64 size = a.count({d_in, d_out});
  const float* data = a.floats_or_null("weight", size);
  const Weight w{data, transposed, packed_argument(a, d_in, d_out)};
  if (!w.packed && !data && size > 0) a.refuse("weight must be given either plain or packed");
  return w;
}

// [density, 1 when something was left out]
void tell(float* decision, const SparseDecision& made) {
  decision[0] = static_cast<float>(made.density);
  decision[1] = made.skipped ? 1.f : 0.f;
}

// (breakEven, threshold, keep, transposed, rows, dIn, dOut, x, weight, packed, bias, y, decision)
void sparse_forward(Args& a) {
  SparseLinear s{};
  s.break_even = static_cast<float>(a.number("breakEven"));
  s.threshold = threshold_argument(a);
  s.keep = a.size("keep");
  const bool transposed = a.flag("transposed");
  s.rows = a.size("rows");
  s.d_in = a.size("dIn");
  s.d_out = a.size("dOut");
  s.x = a.floats("x", a.count({s.rows, s.d_in}));
  s.w = weight_argument(a, transposed, s.d_in, s.d_out);
  s.bias = a.floats_or_null("bias", s.d_out);
  s.y = a.floats("y", a.count({s.rows, s.d_out}));
  float* decision = a.floats("decision", 2);
  tell(decision, sparse_linear(s));
}

// (breakEven, threshold, rows, dIn, dOut, x, weight, packed, select, bias, y, decision)
void selected_forward(Args& a) {
  SelectedLinear s{};
  s.break_even = static_cast<float>(a.number("breakEven"));
  s.threshold = threshold_argument(a);
  s.rows = a.size("rows");
  s.d_in = a.size("dIn");
  s.d_out = a.size("dOut");
  s.x = a.floats("x", a.count({s.rows, s.d_in}));
  s.w = weight_argument(a, true, s.d_in, s.d_out);
  const i64 outputs = a.count({s.rows, s.d_out});
  s.select = a.floats("select", outputs);
  s.bias = a.floats_or_null("bias", s.d_out);
  s.y = a.floats("y", outputs);
  float* decision = a.floats("decision", 2);
  tell(decision, selected_linear(s));
}

}  // namespace

const Door skipping_doors[] = {{"sparseLinear", sparse_forward, false}, {"selectedLinear", selected_forward}, {nullptr, nullptr}};

}  // namespace deft
