// Sums and maxima over the last or the first axis.
#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

// Σ x over a row, in double across blocks of 4096 so that long rows keep their digits.
double long_sum(const float* x, i64 begin, i64 end) {
  double total = 0;
  for (i64 at = begin; at < end; at += 4096) {
    vf s = {};
    each(at, smaller(end, at + 4096), [&](i64 i, auto lanes) {
      ahead(x + i);
      s += lanes.load(x + i);
    });
    total += wide_sum_of(s);
  }
  return total;
}

double long_squares(const float* x, i64 begin, i64 end) {
  double total = 0;
  for (i64 at = begin; at < end; at += 4096) {
    vf s = {};
    each(at, smaller(end, at + 4096), [&](i64 i, auto lanes) {
      ahead(x + i);
      const vf v = lanes.load(x + i);
      s += v * v;
    });
    total += wide_sum_of(s);
  }
  return total;
}

// A long array in pieces of 65536, whose sums are added in order: the same bits for any number of threads.
template <class F>
double in_pieces(i64 n, F f) {
  const i64 piece = 65536, pieces = (n + piece - 1) / piece;
  if (pieces <= 1) return f(i64(0), n);
  double* sums = reinterpret_cast<double*>(scratch(2 * pieces));
  parallel(pieces, piece, [&](i64 begin, i64 end) {
    for (i64 p = begin; p < end; ++p) sums[p] = f(p * piece, smaller(n, (p + 1) * piece));
  });
  double total = 0;
  for (i64 p = 0; p < pieces; ++p) total += sums[p];
  return total;
}

}  // namespace

void sum_last(const float* x, float* y, float scale, i64 rows, i64 n) {
  if (rows == 1) {
    y[0] = static_cast<float>(in_pieces(n, [&](i64 begin, i64 end) { return long_sum(x, begin, end); }) * scale);
    return;
  }
  parallel(rows, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) y[r] = static_cast<float>(long_sum(x, r * n, r * n + n) * scale);
  });
}

void sum_first(const float* x, float* y, float scale, i64 rows, i64 n) {
  // each thread owns columns, four vectors at a time, and walks the rows in order
  const i64 panel = 4 * W;
  parallel((n + panel - 1) / panel, rows * panel, [&](i64 begin, i64 end) {
    for (i64 p = begin; p < end; ++p) {
      i64 c = p * panel;
      const i64 stop = smaller(n, c + panel);
      if (c + panel <= n) {
        vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
        for (i64 r = 0; r < rows; ++r) {
          const float* row = x + r * n + c;
          s0 += load(row);
          s1 += load(row + W);
          s2 += load(row + 2 * W);
          s3 += load(row + 3 * W);
        }
        store(y + c, s0 * scale);
        store(y + c + W, s1 * scale);
        store(y + c + 2 * W, s2 * scale);
        store(y + c + 3 * W, s3 * scale);
        continue;
      }
      each(c, stop, [&](i64 i, auto lanes) {
        vf s = {};
        for (i64 r = 0; r < rows; ++r) s += lanes.load(x + r * n + i);
        lanes.store(y + i, s * scale);
      });
    }
  });
}

void max_last(const float* x, float* y, i64 rows, i64 n) {
  const float low = -__builtin_inff();
  parallel(rows, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) {
      vf m = splat(low);
      each(r * n, r * n + n, [&](i64 i, auto lanes) {
        const vf v = lanes.load(x + i, low);
        m = v > m || v != v ? v : m;
      });
      y[r] = max_of(m);
    }
  });
}

double squared_norm(const float* x, i64 n) {
  return in_pieces(n, [&](i64 begin, i64 end) { return long_squares(x, begin, end); });
}

}  // namespace DEFT_ISA
}  // namespace deft
