#include "door.h"
#include "packed_handle.h"
#include "sparse.h"

namespace deft {

namespace {

// (breakEven, threshold, keep, transposed, rows, dIn, dOut, x, weight, packed, bias, y, decision): decision = density, 1 when zeros were skipped
void sparse_forward(Args& a) {
  SparseLinear s{};
  s.break_even = static_cast<float>(a.number("breakEven"));
  s.threshold = static_cast<float>(a.number("threshold"));
  if (!(s.threshold >= 0)) a.refuse("threshold must be at least 0");
  s.keep = a.size("keep");
  const bool transposed = a.flag("transposed");
  s.rows = a.size("rows");
  s.d_in = a.size("dIn");
  s.d_out = a.size("dOut");
  s.x = a.floats("x", a.count({s.rows, s.d_in}));
  const i64 size = a.count({s.d_in, s.d_out});
  const float* data = a.floats_or_null("weight", size);
  s.w = {data, transposed, packed_argument(a, s.d_in, s.d_out)};
  if (!s.w.packed && !data && size > 0) a.refuse("weight must be given either plain or packed");
  s.bias = a.floats_or_null("bias", s.d_out);
  s.y = a.floats("y", a.count({s.rows, s.d_out}));
  float* decision = a.floats("decision", 2);
  const SparseDecision made = sparse_linear(s);
  decision[0] = static_cast<float>(made.density);
  decision[1] = made.skipped ? 1.f : 0.f;
}

}  // namespace

const Door sparse_doors[] = {{"sparseLinear", sparse_forward, false}, {nullptr, nullptr}};

}  // namespace deft
