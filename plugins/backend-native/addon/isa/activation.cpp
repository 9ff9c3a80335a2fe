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

struct GradientInput {
  const float *x, *y, *dy, *weights, *dp;
  float epsilon;
  float* dx;
  i64 n, seq;    // seq: rows of an example, which has a number in dp
  double* sums;  // of the penalty by row; null where it is not wanted
};

enum class Density { none, slope, slope_and_sum };

template <class A, bool FROM_OUTPUT>
Jet jet_at(vf v) {
  if constexpr (FROM_OUTPUT) {
    return {v, A::from_output(v)};
  } else {
    return A::jet(v);
  }
}

template <class A, bool FROM_OUTPUT, Density DENSITY>
void gradient_rows(const GradientInput& in, i64 begin, i64 end) {
  const float *from = FROM_OUTPUT ? in.y : in.x, *dy = in.dy, epsilon = normal_epsilon(in.epsilon);
  float* dx = in.dx;
  for (i64 r = begin; r < end; ++r) {
    const float w = DENSITY != Density::none ? 2.f * epsilon * in.dp[r / in.seq] * in.weights[r] : 0.f;
    vf sum = {};
    each(r * in.n, r * in.n + in.n, [&](i64 i, auto lanes) {
      ahead(from + i);
      ahead_to_write(dx + i);
      const Jet jet = jet_at<A, FROM_OUTPUT>(lanes.load(from + i));
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

template <class A, bool FROM_OUTPUT>
void gradient(const GradientInput& in, i64 rows) {
  if (in.weights) {
    parallel(rows, in.n, [&](i64 begin, i64 end) {
      if (in.sums) {
        gradient_rows<A, FROM_OUTPUT, Density::slope_and_sum>(in, begin, end);
      } else {
        gradient_rows<A, FROM_OUTPUT, Density::slope>(in, begin, end);
      }
    });
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
    gradient_rows<A, FROM_OUTPUT, Density::none>(piece, 0, 1);
  });
}

void gradient_of(Activation kind, const GradientInput& in, i64 rows) {
  switch (kind) {
    case Activation::identity: return;  // refused at the door
    case Activation::relu: return in.y ? gradient<Relu, true>(in, rows) : gradient<Relu, false>(in, rows);
    case Activation::gelu: return gradient<Gelu, false>(in, rows);
    case Activation::gelu_new: return gradient<GeluNew, false>(in, rows);
    case Activation::silu: return gradient<Silu, false>(in, rows);
    case Activation::tanh: return in.y ? gradient<Tanh, true>(in, rows) : gradient<Tanh, false>(in, rows);
    case Activation::sigmoid: return in.y ? gradient<Sigmoid, true>(in, rows) : gradient<Sigmoid, false>(in, rows);
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

void activation_gradient(Activation kind, const float* x, const float* y, const float* dy, const float* weights, const float* dp, i64 batch, float epsilon, float* dx, float* p, i64 rows, i64 n) {
  const i64 seq = batch > 0 ? rows / batch : 0;
  const GradientInput in{x, y, dy, weights, dp, epsilon, dx, n, seq, p ? row_sums(rows) : nullptr};
  gradient_of(kind, in, rows);
  if (p) sum_rows(in.sums, p, batch, seq);
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
