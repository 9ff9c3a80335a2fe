// Products with a matrix of few rows or columns, for the low-rank branch: the library's products take many times what reading their operands takes.
#include "constants.h"
#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {

void project(const float* m, const float* factor, i64 ld_factor, float scale, float* out, i64 rows, i64 n, i64 rank) {
  in_groups<8>(rows, [&](auto group, i64 r) {
    constexpr int R = group;
    each(0, rank, [&](i64 j, auto lanes) {
      vf s[R];
      clear(s);
      const float* column = factor + j;
      for (i64 c = 0; c < n; ++c) {
        if (c % LINE == 0)
          for (int i = 0; i < R; ++i) ahead(m + (r + i) * n + c, R * n);
        const vf f = load(column + c * ld_factor);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) s[i] += splat(m[(r + i) * n + c]) * f;
      }
      for (int i = 0; i < R; ++i) lanes.store(out + (r + i) * rank + j, scale * s[i]);
    });
  });
}

void expand(const float* coefficient, const float* factor, const float* start, float scale, float* y, i64 rows, i64 n, i64 rank) {
  in_groups<8>(rank, [&](auto group, i64 j) {
    constexpr int N = group;
    const float* from = j == 0 ? start : y;
    const auto some = [&](auto together, i64 r) {  // rows of y that share the loads of the factor
      constexpr int R = together;
      vf k[R][N];
      for (int i = 0; i < R; ++i)
        for (int q = 0; q < N; ++q) k[i][q] = splat(scale * coefficient[(r + i) * rank + j + q]);
      each(0, n, [&](i64 c, auto lanes) {
        for (int i = 0; i < R; ++i) {
          if (from) ahead(from + (r + i) * n + c);
          ahead_to_write(y + (r + i) * n + c);
        }
        vf s[R];
        for (int i = 0; i < R; ++i) s[i] = from ? lanes.load(from + (r + i) * n + c) : vf{};
#pragma GCC unroll 8
        for (int q = 0; q < N; ++q) {
          const vf f = lanes.load(factor + (j + q) * n + c);
          for (int i = 0; i < R; ++i) s[i] += k[i][q] * f;
        }
        for (int i = 0; i < R; ++i) lanes.store(y + (r + i) * n + c, s[i]);
      });
    };
    constexpr int PAIR = BYTES == 64 ? 2 : 1;  // as many as the registers hold
    i64 r = 0;
    for (; r + PAIR <= rows; r += PAIR) some(std::integral_constant<int, PAIR>{}, r);
    for (; r < rows; ++r) some(std::integral_constant<int, 1>{}, r);
  });
}

void add_outer(const float* coefficient, const float* m, float* sum, i64 rows, i64 n, i64 rank) {
  in_groups<8>(rank, [&](auto group, i64 j) {
    constexpr int N = group;
    const auto columns = [&](i64 c, auto lanes, auto wide) {
      constexpr int U = wide;
      vf s[N][U];
      for (int i = 0; i < N; ++i)
        for (int u = 0; u < U; ++u) s[i][u] = lanes.load(sum + (j + i) * n + c + u * W);
      for (i64 r = 0; r < rows; ++r) {
        vf v[U];
        for (int u = 0; u < U; ++u) {
          ahead(m + r * n + c + u * W, U * W);
          v[u] = lanes.load(m + r * n + c + u * W);
        }
#pragma GCC unroll 8
        for (int i = 0; i < N; ++i) {
          const vf k = splat(coefficient[r * rank + j + i]);
          for (int u = 0; u < U; ++u) s[i][u] += k * v[u];
        }
      }
      for (int i = 0; i < N; ++i)
        for (int u = 0; u < U; ++u) lanes.store(sum + (j + i) * n + c + u * W, s[i][u]);
    };
    constexpr int WIDE = BYTES == 64 ? 2 : 1;  // vectors at a time, as many as the registers hold
    i64 c = 0;
    for (; c + WIDE * W <= n; c += WIDE * W) columns(c, Whole{}, std::integral_constant<int, WIDE>{});
    each(c, n, [&](i64 at, auto lanes) { columns(at, lanes, std::integral_constant<int, 1>{}); });
  });
}

}  // namespace DEFT_ISA
}  // namespace deft
