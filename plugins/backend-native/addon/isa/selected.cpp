// Products of one row of W with the rows of x that want it.
#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

// N rows of x at a time, in U chains of sums each, so that no sum waits for the one before it.
template <int N, int U>
inline void dots(const float* w, const float* const* x, i64 n, float* out) {
  vf s[N][U];
  clear(s);
  i64 k = 0;
  for (; k + U * W <= n; k += U * W) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      const vf a = load(w + k + u * W);
#pragma GCC unroll 4
      for (int i = 0; i < N; ++i) s[i][u] += a * load(x[i] + k + u * W);
    }
  }
  each(k, n, [&](i64 at, auto lanes) {
    const vf a = lanes.load(w + at);
    for (int i = 0; i < N; ++i) s[i][0] += a * lanes.load(x[i] + at);
  });
  for (int i = 0; i < N; ++i) {
    for (int u = 1; u < U; ++u) s[i][0] += s[i][u];
    out[i] = sum_of(s[i][0]);
  }
}

}  // namespace

void selected_rows(const float* w, const float* x, i64 n, const i32* at, i64 count, float start, float* y, i64 ldy) {
  float out[4];
  const float* rows[4];
  for (i64 i = 0; i < count; i += 4) {
    const int here = static_cast<int>(smaller(4, count - i));
    for (int j = 0; j < here; ++j) rows[j] = x + at[i + j] * n;
    switch (here) {
      case 4: dots<4, 2>(w, rows, n, out); break;
      case 3: dots<3, 2>(w, rows, n, out); break;
      case 2: dots<2, 4>(w, rows, n, out); break;
      default: dots<1, 4>(w, rows, n, out);
    }
    for (int j = 0; j < here; ++j) y[at[i + j] * ldy] = start + out[j];
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
