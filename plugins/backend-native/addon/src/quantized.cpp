// Many rows: each thread takes a panel of the matrix apart and multiplies with it by the library, so that a panel for each
// thread is all that is ever dense.
#include "quantized.h"

#include "cpu.h"
#include "gemm.h"
#include "parallel.h"
#include "signals.h"

namespace deft {

namespace {
// Rows up to which codes are multiplied as they are read.
constexpr i64 FEW_ROWS = 8;
// Elements of a panel: half of a usual second-level cache.
constexpr i64 PANEL = 131072;
// Columns are given to threads in whole multiples of the longest vector.
constexpr i64 UNIT = 16;

i64 panel_width(i64 length) { return larger(UNIT, PANEL / larger(1, length) / UNIT * UNIT); }
}  // namespace

void quantized_linear(const QuantizedMatrix& w, const float* x, const float* bias, float* y, i64 rows) {
  if (rows <= FEW_ROWS && kernels().quantized_few_rows(w, x, bias, y, rows)) return;
  const SignalsHeld held;
  const i64 width = panel_width(w.d_in);
  base::parallel((w.d_out + UNIT - 1) / UNIT, UNIT * w.d_in * larger(rows, 1), [&](i64 begin, i64 end) {
    const i64 stop = smaller(w.d_out, end * UNIT);
    float* panel = scratch(width * w.d_in);
    for (i64 o = begin * UNIT; o < stop; o += width) {
      const i64 n = smaller(width, stop - o);
      kernels().quantized_block(w, o, o + n, 0, w.d_in, panel);
      gemm_here(false, true, rows, n, w.d_in, 1, x, w.d_in, panel, w.d_in, 0, y + o, w.d_out);
    }
  });
  if (bias) base::parallel(rows, w.d_out, [&](i64 begin, i64 end) { kernels().epilogue(Activation::identity, false, bias, y + begin * w.d_out, y + begin * w.d_out, end - begin, w.d_out); });
}

void quantized_input_gradient(const QuantizedMatrix& w, const float* dy, float* dx, i64 rows) {
  const SignalsHeld held;
  const i64 depth = smaller(w.d_out, 512), width = panel_width(depth);
  base::parallel((w.d_in + UNIT - 1) / UNIT, UNIT * w.d_out * larger(rows, 1), [&](i64 begin, i64 end) {
    const i64 stop = smaller(w.d_in, end * UNIT);
    float* panel = scratch(width * depth);
    for (i64 c = begin * UNIT; c < stop; c += width) {
      const i64 n = smaller(width, stop - c);
      for (i64 o = 0; o < w.d_out; o += depth) {
        const i64 k = smaller(depth, w.d_out - o);
        kernels().quantized_block(w, o, o + k, c, c + n, panel);
        gemm_here(false, false, rows, n, k, 1, dy + o, w.d_out, panel, n, o == 0 ? 0 : 1, dx + c, w.d_in);
      }
    }
  });
  if (w.d_out == 0) {
    for (i64 i = 0; i < rows * w.d_in; ++i) dx[i] = 0;
  }
}

}  // namespace deft
