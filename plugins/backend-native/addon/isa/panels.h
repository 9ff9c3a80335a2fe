// Products inside a kernel, on one thread: the factor that many rows are multiplied by is first copied into panels of a few vectors' columns, each in the order in which it is read.
#pragma once
#include "constants.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {

constexpr int TILE_ROWS = 6, TILE_VECTORS = BYTES == 64 ? 4 : 2;  // of a result: what the registers hold
constexpr i64 PANEL = TILE_VECTORS * W;

// The floats that panels of a factor [k, n] take.
inline i64 panels_size(i64 k, i64 n) { return k * ((n + W - 1) / W * W); }

// The vectors of the panel that begins at a column.
inline i64 panel_vectors(i64 column, i64 n) { return smaller(TILE_VECTORS, (n - column + W - 1) / W); }

// Panels of a factor [k, n] with rows `ld` apart.
inline void pack_panels(const float* from, i64 ld, i64 k, i64 n, float* out) {
  for (i64 c = 0; c < n; c += PANEL)
    for (i64 i = 0; i < k; ++i)
      each(c, smaller(n, c + PANEL), [&](i64 j, auto lanes) {
        store(out, lanes.load(from + i * ld + j));  // zeros behind the last column
        out += W;
      });
}

#if defined(__clang__)
#define DEFT_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef i32 i4 __attribute__((vector_size(16)));
#define DEFT_PICK(a, b, ...) __builtin_shuffle(a, b, i4{__VA_ARGS__})
#endif

// out[j][i] = from[i][j] for four rows and columns
inline void transpose_four(const float* from, i64 ld_from, float* out, i64 ld_out) {
  v4 row[4];
  for (int i = 0; i < 4; ++i) std::memcpy(&row[i], from + i * ld_from, 16);
  const v4 low = DEFT_PICK(row[0], row[1], 0, 4, 1, 5), high = DEFT_PICK(row[0], row[1], 2, 6, 3, 7), low2 = DEFT_PICK(row[2], row[3], 0, 4, 1, 5), high2 = DEFT_PICK(row[2], row[3], 2, 6, 3, 7);
  const v4 column[4] = {DEFT_PICK(low, low2, 0, 1, 4, 5), DEFT_PICK(low, low2, 2, 3, 6, 7), DEFT_PICK(high, high2, 0, 1, 4, 5), DEFT_PICK(high, high2, 2, 3, 6, 7)};
  for (int i = 0; i < 4; ++i) std::memcpy(out + i * ld_out, &column[i], 16);
}

// Panels of the transpose [k, n] of a matrix [n, k] with rows `ld` apart.
inline void pack_panels_transposed(const float* from, i64 ld, i64 k, i64 n, float* out) {
  for (i64 c = 0; c < n; c += PANEL) {
    const i64 width = panel_vectors(c, n) * W, columns = smaller(width, n - c), fours = columns / 4 * 4;
    for (i64 j = 0; j < fours; j += 4) {
      const float* rows = from + (c + j) * ld;
      i64 i = 0;
      for (; i + 4 <= k; i += 4) transpose_four(rows + i, ld, out + i * width + j, width);
      for (; i < k; ++i)
        for (i64 q = 0; q < 4; ++q) out[i * width + j + q] = rows[q * ld + i];
    }
    for (i64 j = fours; j < width; ++j)
      for (i64 i = 0; i < k; ++i) out[i * width + j] = j < columns ? from[(c + j) * ld + i] : 0.f;
    out += k * width;
  }
}

// A matrix whose element (i, j) stands at i·row + j·column.
struct Strided {
  const float* data;
  i64 row, column;
};

template <int R, int V>
inline void multiply_tile(const float* a, i64 row, i64 step, const float* b, i64 k, float scale, bool onto, float* c, i64 ld, i64 columns) {
  vf s[R][V];
  clear(s);
  for (i64 i = 0; i < k; ++i, a += step, b += V * W) {
    vf f[V];
    for (int v = 0; v < V; ++v) f[v] = load(b + v * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const vf x = splat(a[r * row]);
      for (int v = 0; v < V; ++v) s[r][v] += x * f[v];
    }
  }
  // written out for the three cases: behind a function's reference the sums would not stay in registers
  if (columns < V * W) {
    float tile[R * V * W];
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < V; ++v) store(tile + (r * V + v) * W, scale * s[r][v]);
    for (int r = 0; r < R; ++r)
      for (i64 j = 0; j < columns; ++j) c[r * ld + j] = onto ? c[r * ld + j] + tile[r * V * W + j] : tile[r * V * W + j];
  } else if (onto) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) store(c + r * ld + v * W, load(c + r * ld + v * W) + scale * s[r][v]);
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) store(c + r * ld + v * W, scale * s[r][v]);
  }
}

// C [rows, n] = scale·A·B, or C + that when `onto`, with A [rows, k] and panels of B.
inline void multiply_panels(const Strided& a, i64 rows, const float* panels, i64 k, i64 n, float scale, bool onto, float* c, i64 ld) {
  for (i64 column = 0; column < n; column += PANEL) {
    with_count<TILE_VECTORS>(panel_vectors(column, n), [&](auto vectors) {
      constexpr int V = vectors;
      in_groups<TILE_ROWS>(rows, [&](auto group, i64 r) {
        constexpr int R = group;
        multiply_tile<R, V>(a.data + r * a.row, a.row, a.column, panels, k, scale, onto, c + r * ld + column, ld, n - column);
      });
      panels += k * V * W;
    });
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
