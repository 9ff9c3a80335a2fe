#include "cpu.h"
#include "door.h"
#include "quantized.h"

namespace deft {

namespace {

// (dOut, dIn, int8, block, codes, codebook | null, scales, scaleCodes | null, scaleCodebook | null, scaleBlock, offset)
QuantizedMatrix matrix_argument(Args& a) {
  QuantizedMatrix w{};
  w.d_out = a.size("dOut");
  w.d_in = a.size("dIn");
  w.int8 = a.flag("int8");
  w.block = a.integer("block", 1, i64(1) << 40);
  const i64 elements = a.count({w.d_out, w.d_in}), blocks = (elements + w.block - 1) / w.block;
  w.codes = a.bytes("codes", w.int8 ? elements : (elements + 1) / 2);
  w.codebook = w.int8 ? a.floats_or_null("codebook", 16) : a.floats("codebook", 16);
  Args::Span scales = a.any_floats("scales");
  w.scale_codes = a.bytes_or_null("scaleCodes", blocks);
  w.scale_codebook = w.scale_codes ? a.floats("scaleCodebook", 256) : a.floats_or_null("scaleCodebook", 256);
  w.scale_block = a.integer("scaleBlock", 1, i64(1) << 40);
  w.offset = static_cast<float>(a.number("offset"));
  const i64 needed = w.scale_codes ? (blocks + w.scale_block - 1) / w.scale_block : blocks;
  if (scales.count != needed) a.refuse("scales must hold " + std::to_string(needed) + " values, got " + std::to_string(scales.count));
  w.scales = scales.data;
  return w;
}

// (rows, …matrix, x, bias | null, y)
void forward(Args& a) {
  const i64 rows = a.size("rows");
  const QuantizedMatrix w = matrix_argument(a);
  const float* x = a.floats("x", a.count({rows, w.d_in}));
  const float* bias = a.floats_or_null("bias", w.d_out);
  quantized_linear(w, x, bias, a.floats("y", a.count({rows, w.d_out})), rows);
}

// (rows, …matrix, dy, dx)
void input_gradient(Args& a) {
  const i64 rows = a.size("rows");
  const QuantizedMatrix w = matrix_argument(a);
  const float* dy = a.floats("dy", a.count({rows, w.d_out}));
  quantized_input_gradient(w, dy, a.floats("dx", a.count({rows, w.d_in})), rows);
}

}  // namespace

const Door quantized_doors[] = {{"quantizedLinear", forward, false}, {"quantizedLinearInputGradient", input_gradient, false}, {nullptr, nullptr}};

}  // namespace deft
