// Activations, their gradients with the density term inside, and the epilogue of the linear layer.
#include "kernels.h"
#include "penalty.h"

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

// Adds the bias to `pre` and makes y = f of that; `pre` then keeps what f was taken of, or f′ there.
template <class A, bool SLOPE>
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
        if (bias) v += lanes.load(bias + i);
        if constexpr (SLOPE) {
          const Jet jet = A::jet(v);
          lanes.store(p + i, jet.slope);
          lanes.store(o + i, jet.y);
        } else {
          if (bias) lanes.store(p + i, v);
          lanes.store(o + i, A::value(v));
        }
      });
    }
  }
}

struct GradientInput {
  const float *x, *y, *slope, *dy, *weights, *dp;  // x; or y where f′ can be had of it; or f′ itself, and y for the density
  float epsilon;
  float* dx;
  i64 n, seq;    // seq: rows of an example, which has a number in dp
  double* sums;  // of the penalty by row; null where it is not wanted
};

enum class Density { none, slope, slope_and_sum };

// Where y and f′ are taken from.
template <class A>
struct ByInput {
  template <class L>
  static Jet at(const GradientInput& in, i64 i, bool, L lanes) {
    ahead(in.x + i);
    return A::jet(lanes.load(in.x + i));
  }
};
template <class A>
struct ByOutput {
  template <class L>
  static Jet at(const GradientInput& in, i64 i, bool, L lanes) {
    ahead(in.y + i);
    const vf y = lanes.load(in.y + i);
    return {y, A::from_output(y)};
  }
};
struct BySlope {
  template <class L>
  static Jet at(const GradientInput& in, i64 i, bool wants_y, L lanes) {
    ahead(in.slope + i);
    vf y = {};
    if (wants_y) {
      ahead(in.y + i);
      y = lanes.load(in.y + i);
    }
    return {y, lanes.load(in.slope + i)};
  }
};

template <class From, Density DENSITY>
void gradient_rows(const GradientInput& in, i64 begin, i64 end) {
  const float *dy = in.dy, epsilon = normal_epsilon(in.epsilon);
  float* dx = in.dx;
  for (i64 r = begin; r < end; ++r) {
    const float w = DENSITY != Density::none ? 2.f * epsilon * in.dp[r / in.seq] * in.weights[r] : 0.f;
    vf sum = {};
    each(r * in.n, r * in.n + in.n, [&](i64 i, auto lanes) {
      ahead_to_write(dx + i);
      const Jet jet = From::at(in, i, DENSITY != Density::none, lanes);
      vf g = {};
      if (dy) {
        ahead(dy + i);
        g = lanes.load(dy + i);
      }
      if constexpr (DENSITY != Density::none) {
        const Jet density = penalty(jet.y, w, epsilon);
        if constexpr (DENSITY == Density::slope_and_sum) sum += lanes.kept(density.y);
        g += density.slope;
      }
      lanes.store(dx + i, g * jet.slope);
    });
    if constexpr (DENSITY == Density::slope_and_sum) in.sums[r] = row_sum(sum, in.weights[r]);
  }
}

template <class From>
void gradient(const GradientInput& in, i64 rows) {
  if (in.weights) {
    parallel(rows, in.n, [&](i64 begin, i64 end) {
      if (in.sums) {
        gradient_rows<From, Density::slope_and_sum>(in, begin, end);
      } else {
        gradient_rows<From, Density::slope>(in, begin, end);
      }
    });
    return;
  }
  // without weights the array is flat
  parallel_flat(rows * in.n, [&](i64 begin, i64 end) {
    GradientInput piece = in;
    piece.x = in.x ? in.x + begin : nullptr;
    piece.y = in.y ? in.y + begin : nullptr;
    piece.slope = in.slope ? in.slope + begin : nullptr;
    piece.dy = in.dy ? in.dy + begin : nullptr;
    piece.dx = in.dx + begin;
    piece.n = end - begin;
    gradient_rows<From, Density::none>(piece, 0, 1);
  });
}

void gradient_of(Activation kind, const GradientInput& in, i64 rows) {
  if (in.slope) return gradient<BySlope>(in, rows);
  switch (kind) {
    case Activation::identity: return;  // refused at the door
    case Activation::relu: return in.y ? gradient<ByOutput<Relu>>(in, rows) : gradient<ByInput<Relu>>(in, rows);
    case Activation::gelu: return gradient<ByInput<Gelu>>(in, rows);
    case Activation::gelu_new: return gradient<ByInput<GeluNew>>(in, rows);
    case Activation::silu: return gradient<ByInput<Silu>>(in, rows);
    case Activation::tanh: return in.y ? gradient<ByOutput<Tanh>>(in, rows) : gradient<ByInput<Tanh>>(in, rows);
    case Activation::sigmoid: return in.y ? gradient<ByOutput<Sigmoid>>(in, rows) : gradient<ByInput<Sigmoid>>(in, rows);
  }
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

void activation_gradient(Activation kind, const float* x, const float* y, const float* slope, const float* dy, const float* weights, const float* dp, i64 batch, float epsilon, float* dx, float* p, i64 rows, i64 n) {
  const i64 seq = batch > 0 ? rows / batch : 0;
  const GradientInput in{x, y, slope, dy, weights, dp, epsilon, dx, n, seq, p ? row_sums(rows) : nullptr};
  gradient_of(kind, in, rows);
  if (p) sum_rows(in.sums, p, batch, seq);
}

void epilogue(Activation kind, bool slope, const float* bias, float* pre, float* y, i64 rows, i64 n) {
  const auto by = [&](auto activation) {
    using A = decltype(activation);
    return slope ? finish<A, true>(bias, pre, y, rows, n) : finish<A, false>(bias, pre, y, rows, n);
  };
  switch (kind) {
    case Activation::identity: return finish<Identity, false>(bias, pre, y, rows, n);
    case Activation::relu: return by(Relu{});
    case Activation::gelu: return by(Gelu{});
    case Activation::gelu_new: return by(GeluNew{});
    case Activation::silu: return by(Silu{});
    case Activation::tanh: return by(Tanh{});
    case Activation::sigmoid: return by(Sigmoid{});
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
