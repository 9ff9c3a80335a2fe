// Linear layers whose weight is held in 4 or 8 bits.
#pragma once
#include "common.h"

namespace deft {

struct QuantizedMatrix;

// y = x·Wᵀ + b, bias may be null
void quantized_linear(const QuantizedMatrix& w, const float* x, const float* bias, float* y, i64 rows);
// dx = dy·W
void quantized_input_gradient(const QuantizedMatrix& w, const float* dy, float* dx, i64 rows);

}  // namespace deft
