// Activations, their gradients with the density term inside, and the epilogue of the linear layer.
#include "kernels.h"
#include "math.h"
#include "parts.h"

namespace deft {
namespace DEFT_ISA {
namespace {

template <class A>
void map(const float* x, float* y, i64 begin, i64 end) {
  each(begin, end, [&](i64 i, auto lanes) {
    ahead(x + i);
    ahead_to_write(y + i);
    lanes.store(y + i, A::value(lanes.load(x + i)));
  });
}

template <class A>
void map_all(const float* x, float* y, i64 n) {
  parallel_flat(n, [&](i64 begin, i64 end) { map<A>(x, y, begin, end); });
}

template <class A>
void finish(const float* bias, float* pre, float* y, i64 rows, i64 n) {
  for (i64 r = 0; r < rows; ++r) {
    float* p = pre + r * n;
    float* o = y + r * n;
    if (p == o) {
      each(0, n, [&](i64 i, auto lanes) {
        ahead(p + i);
        const vf v = lanes.load(p + i);
        lanes.store(o + i, A::value(bias ? v + lanes.load(bias + i) : v));
      });
    } else {
      each(0, n, [&](i64 i, auto lanes) {
        ahead(p + i);
        ahead_to_write(o + i);
        vf v = lanes.load(p + i);
        if (bias) {
          v += lanes.load(bias + i);
          lanes.store(p + i, v);
        }
        lanes.store(o + i, A::value(v));
      });
    }
  }
}

// 2aε/(a²+ε)², the derivative of a²/(a²+ε).
inline vf penalty_slope(vf a, float epsilon) {
  const vf d = a * a + epsilon;
  return (2.f * epsilon) * a / (d * d);
}

struct GradientInput {
  const float *x, *y, *dy, *weights, *dp;
  float epsilon;
  float* dx;
  i64 n, seq;  // seq: rows of an example, which has a number in dp
};

template <class A, bool FROM_OUTPUT>
void gradient_rows(const GradientInput& in, i64 begin, i64 end) {
  for (i64 r = begin; r < end; ++r) {
    const i64 at = r * in.n;
    const float w = in.weights ? in.dp[r / in.seq] * in.weights[r] : 0.f;
    each(at, at + in.n, [&](i64 i, auto lanes) {
      vf value, slope;
      if constexpr (FROM_OUTPUT) {
        ahead(in.y + i);
        value = lanes.load(in.y + i);
        slope = A::from_output(value);
      } else {
        ahead(in.x + i);
        const Jet jet = A::jet(lanes.load(in.x + i));
        value = jet.y;
        slope = jet.slope;
      }
      if (in.dy) ahead(in.dy + i);
      ahead_to_write(in.dx + i);
      vf g = in.dy ? lanes.load(in.dy + i) : splat(0.f);
      if (in.weights) g += w * penalty_slope(value, in.epsilon);
      lanes.store(in.dx + i, g * slope);
    });
  }
}

template <class A, bool FROM_OUTPUT>
void gradient(const GradientInput& in, i64 rows) {
  if (in.weights) {
    parallel(rows, in.n, [&](i64 begin, i64 end) { gradient_rows<A, FROM_OUTPUT>(in, begin, end); });
    return;
  }
  // without weights the array is flat
  parallel_flat(rows * in.n, [&](i64 begin, i64 end) {
    GradientInput piece = in;
    piece.x = in.x ? in.x + begin : nullptr;
    piece.y = in.y ? in.y + begin : nullptr;
    piece.dy = in.dy ? in.dy + begin : nullptr;
    piece.dx = in.dx + begin;
    piece.n = end - begin;
    gradient_rows<A, FROM_OUTPUT>(piece, 0, 1);
  });
}

}  // namespace

void activation(Activation kind, const float* x, float* y, i64 n) {
  switch (kind) {
    case Activation::identity: return map_all<Identity>(x, y, n);
    case Activation::relu: return map_all<Relu>(x, y, n);
    case Activation::gelu: return map_all<Gelu>(x, y, n);
    case Activation::gelu_new: return map_all<GeluNew>(x, y, n);
    case Activation::silu: return map_all<Silu>(x, y, n);
    case Activation::tanh: return map_all<Tanh>(x, y, n);
    case Activation::sigmoid: return map_all<Sigmoid>(x, y, n);
  }
}

void activation_gradient(Activation kind, const float* x, const float* y, const float* dy, const float* weights, const float* dp, i64 batch, float epsilon, float* dx, i64 rows, i64 n) {
  const GradientInput in{x, y, dy, weights, dp, epsilon, dx, n, batch > 0 ? rows / batch : 0};
  switch (kind) {
    case Activation::identity: return;  // refused at the door
    case Activation::relu: return y ? gradient<Relu, true>(in, rows) : gradient<Relu, false>(in, rows);
    case Activation::gelu: return gradient<Gelu, false>(in, rows);
    case Activation::gelu_new: return gradient<GeluNew, false>(in, rows);
    case Activation::silu: return gradient<Silu, false>(in, rows);
    case Activation::tanh: return y ? gradient<Tanh, true>(in, rows) : gradient<Tanh, false>(in, rows);
    case Activation::sigmoid: return y ? gradient<Sigmoid, true>(in, rows) : gradient<Sigmoid, false>(in, rows);
  }
}

void epilogue(Activation kind, const float* bias, float* pre, float* y, i64 rows, i64 n) {
  switch (kind) {
    case Activation::identity: return finish<Identity>(bias, pre, y, rows, n);
    case Activation::relu: return finish<Relu>(bias, pre, y, rows, n);
    case Activation::gelu: return finish<Gelu>(bias, pre, y, rows, n);
    case Activation::gelu_new: return finish<GeluNew>(bias, pre, y, rows, n);
    case Activation::silu: return finish<Silu>(bias, pre, y, rows, n);
    case Activation::tanh: return finish<Tanh>(bias, pre, y, rows, n);
    case Activation::sigmoid: return finish<Sigmoid>(bias, pre, y, rows, n);
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
