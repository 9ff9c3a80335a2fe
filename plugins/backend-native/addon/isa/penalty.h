// The density penalty a²/(a²+ε), and its sums over the rows of each example.
#pragma once
#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {

// The least ε for which a²+ε always has a reciprocal.
inline float normal_epsilon(float epsilon) { return epsilon > 1.17549435e-38f ? epsilon : 1.17549435e-38f; }

// a²/(a²+ε) and w·a/(a²+ε)²: its derivative for w = 2ε times what it is weighted by.
inline Jet penalty(vf a, float w, float epsilon) {
  const vf square = a * a, inverse = reciprocal(square + epsilon);
  return {square * inverse, w * a * inverse * inverse};
}

// Vectors are summed within a row, rows among each other in double.
inline double* row_sums(i64 rows) { return reinterpret_cast<double*>(scratch(2 * rows + 2)); }

// A row's part of the sum; without weight it has none, whatever it holds.
inline double row_sum(vf penalties, float weight) { return weight == 0.f ? 0 : wide_sum_of(penalties) * weight; }

// p[b] = the sum over the rows of example b
inline void sum_rows(const double* sums, float* p, i64 batch, i64 seq) {
  for (i64 b = 0; b < batch; ++b) {
    double total = 0;
    for (i64 s = 0; s < seq; ++s) total += sums[b * seq + s];
    p[b] = static_cast<float>(total);
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
