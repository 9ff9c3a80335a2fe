#include "cpu.h"
#include "door.h"

namespace deft {

namespace {

// (kind, n, x, y)
void activation(Args& a) {
  const auto kind = static_cast<Activation>(a.integer("kind", 0, 6));
  const i64 n = a.count({a.size("n")});
  const float* x = a.floats("x", n);
  kernels().activation(kind, x, a.floats("y", n), n);
}

// (kind, epsilon, rows, n, x, y, slope, dy, weights, batch, dp, dx, penalty)
void activation_gradient(Args& a) {
  const auto kind = static_cast<Activation>(a.integer("kind", 1, 6));
  const float epsilon = static_cast<float>(a.number("epsilon"));
  const i64 rows = a.size("rows"), n = a.size("n"), all = a.count({rows, n});
  const float* x = a.floats_or_null("x", all);
  const float* y = a.floats_or_null("y", all);
  const float* slope = a.floats_or_null("slope", all);
  const float* dy = a.floats_or_null("dy", all);
  const float* weights = a.floats_or_null("weights", rows);
  const i64 batch = a.size("batch");
  const float* dp = a.floats_or_null("dp", batch);
  if (weights && rows > 0 && (!dp || batch == 0 || rows % batch != 0)) a.refuse("dp must hold a number for each of the examples that the rows belong to");
  const bool by_output = kind == Activation::relu || kind == Activation::tanh || kind == Activation::sigmoid;
  if (all > 0 && !x && !slope && !(y && by_output)) a.refuse("x is needed for this activation");
  if (all > 0 && slope && weights && !y) a.refuse("y is needed beside the slope");
  float* dx = a.floats("dx", all);
  float* penalty = a.floats_or_null("penalty", batch);
  if (rows > 0 && penalty && !weights) a.refuse("a penalty needs weights");
  kernels().activation_gradient(kind, x, by_output || slope ? y : nullptr, slope, dy, weights, dp, batch, epsilon, dx, penalty, rows, n);
}

// (epsilon, batch, seq, n, a, weights, p)
void density(Args& a) {
  const float epsilon = static_cast<float>(a.number("epsilon"));
  const i64 batch = a.size("batch"), seq = a.size("seq"), n = a.size("n");
  const float* x = a.floats("a", a.count({batch, seq, n}));
  const float* weights = a.floats("weights", a.count({batch, seq}));
  kernels().density(x, weights, epsilon, a.floats("p", batch), batch, seq, n);
}

// (epsilon, batch, seq, n, a, weights, dy, da, penalty)
void density_gradient(Args& a) {
  const float epsilon = static_cast<float>(a.number("epsilon"));
  const i64 batch = a.size("batch"), seq = a.size("seq"), n = a.size("n"), all = a.count({batch, seq, n});
  const float* x = a.floats("a", all);
  const float* weights = a.floats("weights", a.count({batch, seq}));
  const float* dy = a.floats("dy", batch);
  float* da = a.floats("da", all);
  kernels().density_gradient(x, weights, dy, epsilon, da, a.floats_or_null("penalty", batch), batch, seq, n);
}

u32 seed_of(Args& a) { return static_cast<u32>(static_cast<i32>(a.integer("seed", -2147483648LL, 2147483647))); }

double probability_of(Args& a) {
  const double p = a.number("probability");
  if (!(p >= 0 && p <= 1)) a.refuse("probability must be in [0, 1]");
  return p;
}

// (probability, seed, n, x, y)
void dropout(Args& a) {
  const double p = probability_of(a);
  const u32 seed = seed_of(a);
  const i64 n = a.size("n");
  const float* x = a.floats("x", n);
  kernels().dropout(x, a.floats("y", n), p, seed, n);
}

// (learningRate, beta1, beta2, epsilon, weightDecay, step, n, value, m, v, gradient)
void adamw(Args& a) {
  AdamW o{};
  o.learning_rate = a.number("learningRate");
  o.beta1 = a.number("beta1");
  o.beta2 = a.number("beta2");
  o.epsilon = a.number("epsilon");
  o.weight_decay = a.number("weightDecay");
  o.step = static_cast<double>(a.integer("step", 1, 9007199254740991));
  const i64 n = a.size("n");
  float* value = a.floats("value", n);
  float* m = a.floats("m", n);
  float* v = a.floats("v", n);
  kernels().adamw(o, value, m, v, a.floats("gradient", n), n);
}

// (op, n, x, y)
void unary(Args& a) {
  const auto op = static_cast<Unary>(a.integer("op", 0, 11));
  const i64 n = a.size("n");
  const float* x = a.floats("x", n);
  kernels().unary(op, x, a.floats("y", n), n);
}

// (op, four sizes, four strides of a, four strides of b, length of a, length of b, a, b, y)
void binary(Args& a) {
  const auto op = static_cast<Binary>(a.integer("op", 0, 6));
  Strides s{};
  for (i64& d : s.size) d = a.size("size");
  for (i64& d : s.a) d = a.size("stride of a");
  for (i64& d : s.b) d = a.size("stride of b");
  const i64 na = a.size("length of a"), nb = a.size("length of b"), all = a.count({s.size[0], s.size[1], s.size[2], s.size[3]});
  i64 last_a = 0, last_b = 0;
  for (int i = 0; i < 4; ++i) {
    last_a += (s.size[i] - 1) * s.a[i];
    last_b += (s.size[i] - 1) * s.b[i];
  }
  if (s.a[3] > 1 || s.b[3] > 1) a.refuse("the last axis must be dense or broadcast");
  if (all > 0 && (last_a >= na || last_b >= nb)) a.refuse("strides reach past the end");
  const float* x = a.floats("a", na);
  const float* z = a.floats("b", nb);
  float* y = a.floats("y", all);
  if (all > 0) kernels().binary(op, x, z, y, s);
}

// (n, into, x): into += x
void accumulate(Args& a) {
  const i64 n = a.size("n");
  float* into = a.floats("into", n);
  kernels().accumulate(into, a.floats("x", n), n);
}

}  // namespace

const Door pointwise_doors[] = {
    {"activation", activation, false}, {"activationGradient", activation_gradient, false},
    {"density", density, false},       {"densityGradient", density_gradient, false},
    {"dropout", dropout, false},       {"adamW", adamw, false},
    {"unary", unary, false},           {"binary", binary, false},
    {"accumulate", accumulate, false}, {nullptr, nullptr},
};

}  // namespace deft
