// The linear layer that skips the zeros of its input.
#pragma once
#include "linear.h"

namespace deft {

struct SparseLinear {
  const float* x;
  Weight w;
  const float* bias;
  float* y;
  i64 rows, d_in, d_out;
  float break_even;  // the largest share of entries at which skipping the others is tried
  float threshold;   // entries with |x| at most this count as 0
  i64 keep;          // > 0: of each row only the so many largest count, and those equal to the least of them
};

// What was found and done.
struct SparseDecision {
  double density;  // share of entries that count: of all rows, or of the sample that settled it
  bool skipped;
};

// y = x'·W + b with x' = x where it counts and 0 elsewhere, whichever way is taken.
SparseDecision sparse_linear(const SparseLinear& s);

}  // namespace deft
