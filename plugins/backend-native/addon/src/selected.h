// The linear layer of which each row wants some outputs alone.
#pragma once
#include "sparse.h"

namespace deft {

struct SelectedLinear {
  const float* x;
  Weight w;             // stored [dOut, dIn]
  const float* select;  // [rows, dOut]: wanted where |select| > threshold
  const float* bias;
  float* y;
  i64 rows, d_in, d_out;
  float break_even;  // the largest share of wanted outputs at which the others are left out
  float threshold;
};

// y_j = x·W_j + b_j where it is wanted and 0 elsewhere, whichever way is taken.
SparseDecision selected_linear(const SelectedLinear& s);

}  // namespace deft
