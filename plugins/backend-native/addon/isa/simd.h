// Vectors of the unit's instruction set, by GCC's and clang's vector extensions: one source for AVX-512, AVX2, SSE2 and NEON.
#pragma once
#include <cstring>
#if defined(__AVX512F__) && !defined(DEFT_VECTOR_BYTES)
#define DEFT_ZMM
#include <immintrin.h>
#endif

#include "../src/parallel.h"

namespace deft {
namespace DEFT_ISA {

#if defined(DEFT_VECTOR_BYTES)
constexpr int BYTES = DEFT_VECTOR_BYTES;
#elif defined(DEFT_ZMM)
constexpr int BYTES = 64;
#elif defined(__AVX2__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int W = BYTES / 4;

typedef float vf __attribute__((vector_size(BYTES)));
typedef i32 vi __attribute__((vector_size(BYTES)));
typedef u32 vu __attribute__((vector_size(BYTES)));

inline vf splat(float s) { return s - vf{}; }
inline vu splat(u32 s) { return s - vu{}; }

inline vf load(const float* p) {
  vf v;
  std::memcpy(&v, p, BYTES);
  return v;
}
inline void store(float* p, vf v) { std::memcpy(p, &v, BYTES); }

// Sums that begin at 0, one by one: an initialiser of a whole array is written to memory, and the array may stay there.
template <int N>
inline void clear(vf (&sums)[N]) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sums[i] = vf{};
}
template <int M, int N>
inline void clear(vf (&sums)[M][N]) {
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) clear(sums[i]);
}

// Ask for the memory a page behind p, in a loop over arrays larger than the caches: the processor's own fetching ahead ends with each page.
constexpr i64 AHEAD = 1024;
constexpr i64 LINE = 16;  // elements of a cache line
inline void ahead(const float* p, i64 by = AHEAD) { __builtin_prefetch(p + by); }
inline void ahead_to_write(float* p) { __builtin_prefetch(p + AHEAD, 1); }

// A whole vector of an array.
struct Whole {
  static constexpr int count = W;
  vf load(const float* p, float = 0) const { return DEFT_ISA::load(p); }
  vf kept(vf v) const { return v; }
  void store(float* p, vf v) const { DEFT_ISA::store(p, v); }
};

// The last `count` < W elements of an array; the lanes behind them are filled and never stored.
struct Tail {
  int count;
  vf load(const float* p, float fill = 0) const {
    float v[W];
    for (int i = 0; i < W; ++i) v[i] = i < count ? p[i] : fill;
    return DEFT_ISA::load(v);
  }
  // 0 in the lanes behind
  vf kept(vf x) const {
    for (int i = count; i < W; ++i) x[i] = 0;
    return x;
  }
  void store(float* p, vf x) const {
    float v[W];
    DEFT_ISA::store(v, x);
    for (int i = 0; i < count; ++i) p[i] = v[i];
  }
};

// Calls f(i, lanes) over [begin, end) a vector at a time; `lanes` loads and stores.
template <class F>
inline void each(i64 begin, i64 end, F f) {
  i64 i = begin;
  for (; i + W <= end; i += W) f(i, Whole{});
  if (i < end) f(i, Tail{static_cast<int>(end - i)});
}

// Four lanes, and a vector's groups of four folded in pairs by f.
typedef float v4 __attribute__((vector_size(16)));
template <class F>
inline v4 fold(vf v, F f) {
  v4 part[W / 4];
  std::memcpy(part, &v, BYTES);
  for (int n = W / 8; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) part[i] = f(part[i], part[i + n]);
  return part[0];
}

inline float sum_of(vf v) {
  const v4 s = fold(v, [](v4 a, v4 b) { return a + b; });
  return (s[0] + s[2]) + (s[1] + s[3]);
}
inline double wide_sum_of(vf v) {
  typedef double d4 __attribute__((vector_size(32)));
  v4 part[W / 4];
  std::memcpy(part, &v, BYTES);
  d4 s = {};
  for (const v4& p : part) s += __builtin_convertvector(p, d4);
  return (s[0] + s[2]) + (s[1] + s[3]);
}
// NaN if one lane is.
inline float max_of(vf v) {
  const v4 m = fold(v, [](v4 a, v4 b) { return a > b || a != a ? a : b; });
  float top = m[0];
  for (int i = 1; i < 4; ++i) top = m[i] > top || m[i] != m[i] ? m[i] : top;
  return top;
}

#if defined(DEFT_ZMM)
constexpr __mmask16 ALL = 0xffff;  // GCC warns of the forms without a mask, in its own header
#endif

// 1/d for normal d, within 1 ulp: a division takes several times as long as an estimate with a step of Newton's.
inline vf reciprocal(vf d) {
#if defined(DEFT_ZMM)
  const vf r = (vf)_mm512_maskz_rcp14_ps(ALL, (__m512)d);
  return r * (2.f - d * r);
#else
  return 1.f / d;
#endif
}

// b where either is NaN.
#if defined(DEFT_ZMM)
inline vf maximum(vf a, vf b) { return (vf)_mm512_maskz_max_ps(ALL, (__m512)a, (__m512)b); }
inline vf minimum(vf a, vf b) { return (vf)_mm512_maskz_min_ps(ALL, (__m512)a, (__m512)b); }
#else
inline vf maximum(vf a, vf b) { return a > b ? a : b; }
inline vf minimum(vf a, vf b) { return a < b ? a : b; }
#endif
inline vf square_root(vf v) {
  vf r = v;
  for (int i = 0; i < W; ++i) r[i] = __builtin_sqrtf(v[i]);
  return r;
}
inline vu lane_numbers() {
  vu v = {};
  for (int i = 0; i < W; ++i) v[i] = static_cast<u32>(i);
  return v;
}

}  // namespace DEFT_ISA
}  // namespace deft
