// Unary and broadcasting binary operations.
#include <cmath>

#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {
namespace {

template <class F>
void map(const float* x, float* y, i64 n, F f) {
  parallel_flat(n, [&](i64 begin, i64 end) {
    each(begin, end, [&](i64 i, auto lanes) {
      ahead(x + i);
      ahead_to_write(y + i);
      lanes.store(y + i, f(lanes.load(x + i, 1.f)));
    });
  });
}

vf logarithm(vf x) {
  vf y = x;
  for (int i = 0; i < W; ++i) y[i] = std::log(x[i]);
  return y;
}

template <class F>
void row(const float* a, i64 sa, const float* b, i64 sb, float* y, i64 begin, i64 end, F f) {
  if (sa == 1 && sb == 1) {
    each(begin, end, [&](i64 i, auto lanes) {
      ahead(a + i);
      ahead(b + i);
      ahead_to_write(y + i);
      lanes.store(y + i, f(lanes.load(a + i), lanes.load(b + i, 1.f)));
    });
  } else if (sa == 1 && sb == 0) {
    const vf v = splat(*b);
    each(begin, end, [&](i64 i, auto lanes) { lanes.store(y + i, f(lanes.load(a + i), v)); });
  } else if (sa == 0 && sb == 1) {
    const vf v = splat(*a);
    each(begin, end, [&](i64 i, auto lanes) { lanes.store(y + i, f(v, lanes.load(b + i, 1.f))); });
  } else {
    const vf v = f(splat(*a), splat(*b));
    each(begin, end, [&](i64 i, auto lanes) { lanes.store(y + i, v); });
  }
}

// Four nested axes; the last has stride 1 or 0 in each operand.
template <class F>
void broadcast(const float* a, const float* b, float* y, const Strides& s, F f) {
  const i64 outer = s.size[0] * s.size[1] * s.size[2], inner = s.size[3];
  if (outer == 1) {
    parallel_flat(inner, [&](i64 begin, i64 end) { row(a, s.a[3], b, s.b[3], y, begin, end, f); });
    return;
  }
  parallel(outer, inner, [&](i64 begin, i64 end) {
    for (i64 o = begin; o < end; ++o) {
      const i64 k = o % s.size[2], j = o / s.size[2] % s.size[1], i = o / s.size[2] / s.size[1];
      row(a + i * s.a[0] + j * s.a[1] + k * s.a[2], s.a[3], b + i * s.b[0] + j * s.b[1] + k * s.b[2], s.b[3], y + o * inner, 0, inner, f);
    }
  });
}

}  // namespace

void unary(Unary op, const float* x, float* y, i64 n) {
  switch (op) {
    case Unary::negate: return map(x, y, n, [](vf v) { return -v; });
    case Unary::square: return map(x, y, n, [](vf v) { return v * v; });
    case Unary::sqrt: return map(x, y, n, [](vf v) { return square_root(v); });
    case Unary::rsqrt: return map(x, y, n, [](vf v) { return 1.f / square_root(v); });
    case Unary::exp: return map(x, y, n, [](vf v) { return exponential(v); });
    case Unary::tanh: return map(x, y, n, [](vf v) { return hyperbolic_tangent(v); });
    case Unary::sigmoid: return map(x, y, n, [](vf v) { return logistic(v); });
    case Unary::relu: return map(x, y, n, [](vf v) { return Relu::value(v); });
    case Unary::erf: return map(x, y, n, [](vf v) { return error_function(v); });
    case Unary::absolute: return map(x, y, n, [](vf v) { return (vf)((vi)v & 0x7fffffff); });
    case Unary::reciprocal: return map(x, y, n, [](vf v) { return 1.f / v; });
    case Unary::log: return map(x, y, n, [](vf v) { return logarithm(v); });
  }
}

void binary(Binary op, const float* a, const float* b, float* y, const Strides& s) {
  switch (op) {
    case Binary::add: return broadcast(a, b, y, s, [](vf u, vf v) { return u + v; });
    case Binary::subtract: return broadcast(a, b, y, s, [](vf u, vf v) { return u - v; });
    case Binary::multiply: return broadcast(a, b, y, s, [](vf u, vf v) { return u * v; });
    case Binary::divide: return broadcast(a, b, y, s, [](vf u, vf v) { return u / v; });
    case Binary::maximum: return broadcast(a, b, y, s, [](vf u, vf v) { return u > v || u != u ? u : v; });
    case Binary::minimum: return broadcast(a, b, y, s, [](vf u, vf v) { return u < v || u != u ? u : v; });
    case Binary::squared_difference: return broadcast(a, b, y, s, [](vf u, vf v) { return (u - v) * (u - v); });
  }
}

void accumulate(float* into, const float* x, i64 n) {
  parallel_flat(n, [&](i64 begin, i64 end) {
    each(begin, end, [&](i64 i, auto lanes) {
      ahead(x + i);
      ahead_to_write(into + i);
      lanes.store(into + i, lanes.load(into + i) + lanes.load(x + i));
    });
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
