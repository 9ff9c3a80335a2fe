// Names shared by every unit of the addon.
#pragma once
#include <cstdint>

namespace deft {

using i64 = std::int64_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;

// The numbers are those of `ACTIVATIONS` in src/activation.ts.
enum class Activation : int { identity = 0, relu, gelu, gelu_new, silu, tanh, sigmoid };

enum class Unary : int { negate = 0, square, sqrt, rsqrt, exp, tanh, sigmoid, relu, erf, absolute, reciprocal, log };

enum class Binary : int { add = 0, subtract, multiply, divide, maximum, minimum, squared_difference };

// static: a unit built for a newer instruction set must not lend its copy to the others
static inline i64 smaller(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 larger(i64 a, i64 b) { return a > b ? a : b; }

}  // namespace deft
