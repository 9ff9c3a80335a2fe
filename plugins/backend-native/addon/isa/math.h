// exp, erf, tanh and the activations on vectors. NaN goes through all of them.
#pragma once
#include "simd.h"

namespace deft {
namespace DEFT_ISA {

// e^x by Cephes' expf: reduction by ln 2 in two parts, polynomial of degree 6, about 1 ulp. 0 below ln FLT_MIN, infinity above ln FLT_MAX.
inline vf exponential(vf x) {
  const float magic = 12582912.f;  // 1.5·2²³: adding it rounds to an integer, which then stands in the low bits
  vf c = x < -87.3365f ? splat(-87.3365f) : x;
  c = c > 88.7228f ? splat(88.7228f) : c;
  const vf t = c * 1.44269504088896341f + magic;
  const vf n = t - magic;
  const vf r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  vf y = (vf)((vi)p + ((vi)t << 23));
  y = x < -87.3365f ? splat(0.f) : y;
  y = x > 88.7228f ? splat(__builtin_inff()) : y;
  return x != x ? x : y;
}

// e^x for x ≤ 0 (rows shifted by their maximum): no upper bound to watch.
inline vf exponential_of_negative(vf x) {
  const float magic = 12582912.f;
  const vf c = maximum(splat(-87.3365f), x);
  const vf t = c * 1.44269504088896341f + magic;
  const vf n = t - magic;
  const vf r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const vf y = p * (vf)(((vi)t << 23) + 0x3f800000);
  return x < -87.3365f ? splat(0.f) : y;
}

// erf by the rational minimax form x·P(x²)/Q(x²) on [-4, 4], where it saturates in float32; a few ulp.
inline vf error_function(vf x) {
  vf c = x < -4.f ? splat(-4.f) : x;
  c = c > 4.f ? splat(4.f) : c;
  const vf s = c * c;
  vf p = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
  p = p * s + -2.10102402082508e-06f;
  p = p * s + -5.69250639462346e-05f;
  p = p * s + -7.34990630326855e-04f;
  p = p * s + -2.95459980854025e-03f;
  p = p * s + -1.60960333262415e-02f;
  vf q = s * -1.45660718464996e-05f + -2.13374055278905e-04f;
  q = q * s + -1.68282697438203e-03f;
  q = q * s + -7.37332916720468e-03f;
  q = q * s + -1.42647390514189e-02f;
  return c * p / q;
}

// tanh by a rational minimax form on [-7.9053, 7.9053], beyond which float32 holds ±1.
inline vf hyperbolic_tangent(vf x) {
  vf c = x < -7.90531111f ? splat(-7.90531111f) : x;
  c = c > 7.90531111f ? splat(7.90531111f) : c;
  const vf s = c * c;
  vf p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * s + -8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  vf q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  vf y = c * p / q;
  y = x > 7.90531111f ? splat(1.f) : y;
  return x < -7.90531111f ? splat(-1.f) : y;
}

inline vf logistic(vf x) { return 1.f / (1.f + exponential(-x)); }

// Where float32 PyTorch's GELU becomes exactly -0: density is counted by these zeros.
constexpr float GELU_ZERO = -5.543040752410889f;
constexpr float GELU_NEW_ZERO = -5.061380863189697f;
constexpr float SQRT_HALF = 0.70710678118654752f;
constexpr float INV_SQRT_2PI = 0.3989422804014327f;
constexpr float GELU_NEW_SCALE = 0.7978845608028654f;
constexpr float GELU_NEW_CUBE = 0.044715f;

// A value and its derivative.
struct Jet {
  vf y, slope;
};

// f(x) and f′(x) for the activation that the type names. `from_output` gives f′ by y = f(x) alone, where that can be done.
struct Relu {
  static vf value(vf x) { return x <= 0.f ? splat(0.f) : x; }
  static Jet jet(vf x) { return {value(x), from_output(x)}; }
  static vf from_output(vf y) { return y <= 0.f ? splat(0.f) : splat(1.f); }
};

// Φ(x) = ½erfc(−x/√2) by e^(−x²/2)·P(t) for the smaller side, t = (z − k)/(z + k), z = |x|/√2 ≤ 4, P the minimax polynomial of
// ½e^(z²)erfc(z) (relative error 4e-8): the tail keeps its digits, and the density e^(−x²/2) comes with it.
struct Normal {
  vf cdf, bell;
};
inline Normal normal(vf x) {
  const float k = 3.75f;
  const vf z = minimum(splat(4.f), (vf)((vi)x & 0x7fffffff) * SQRT_HALF);
  const vf t = (z - k) / (z + k);
  vf p = t * -0.006068910472095013f + 0.010264737531542778f;
  p = p * t + -0.028243377804756165f;
  p = p * t + 0.05111229419708252f;
  p = p * t + -0.0817999392747879f;
  p = p * t + 0.11300504207611084f;
  p = p * t + -0.13671085238456726f;
  p = p * t + 0.07279486209154129f;
  const vf bell = exponential_of_negative(x * x * -0.5f);
  const vf side = p * bell;
  return {x < 0.f ? side : 1.f - side, bell};
}

// x·0 is −0 there, and NaN at −∞ as in PyTorch.
struct Gelu {
  static vf value(vf x) { return jet(x).y; }
  static Jet jet(vf x) {
    const Normal at = normal(x);
    const vf cdf = x <= GELU_ZERO ? splat(0.f) : at.cdf;
    return {x * cdf, cdf + x * INV_SQRT_2PI * at.bell};
  }
};

// ½(1 + tanh u) is the logistic function of 2u: by e^(−2|u|) both it and its complement keep their digits in the tails.
struct GeluNew {
  struct Share {
    vf up, down;  // of the larger and the smaller side
  };
  static vf inner(vf x) { return GELU_NEW_SCALE * (x + GELU_NEW_CUBE * x * x * x); }
  static Share share(vf u) {
    const vf e = exponential_of_negative((u < 0.f ? u : -u) * 2.f);
    const vf larger = 1.f / (1.f + e);
    return {larger, e * larger};
  }
  static vf value(vf x) { return jet(x).y; }
  static Jet jet(vf x) {
    const vf u = inner(x);
    const Share s = share(u);
    const vf cdf = u < 0.f ? s.down : s.up, steep = s.up * s.down;
    const vf rise = GELU_NEW_SCALE * (1.f + 3.f * GELU_NEW_CUBE * x * x);
    // where tanh saturates, 0·∞ must not make a NaN
    return {x * (x <= GELU_NEW_ZERO ? splat(0.f) : cdf), cdf + (steep == 0.f ? splat(0.f) : 2.f * x * steep * rise)};
  }
};

struct Silu {
  static vf value(vf x) { return x * logistic(x); }
  static Jet jet(vf x) {
    const vf s = logistic(x);
    return {x * s, s * (1.f + x * (1.f - s))};
  }
};

struct Tanh {
  static vf value(vf x) { return hyperbolic_tangent(x); }
  static Jet jet(vf x) {
    const vf y = value(x);
    return {y, 1.f - y * y};
  }
  static vf from_output(vf y) { return 1.f - y * y; }
};

struct Sigmoid {
  static vf value(vf x) { return logistic(x); }
  static Jet jet(vf x) {
    const vf y = value(x);
    return {y, y * (1.f - y)};
  }
  static vf from_output(vf y) { return y * (1.f - y); }
};

struct Identity {
  static vf value(vf x) { return x; }
};

}  // namespace DEFT_ISA
}  // namespace deft
