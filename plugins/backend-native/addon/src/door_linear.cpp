#include <memory>

#include "door.h"
#include "linear.h"
#include "packed_handle.h"

namespace deft {

namespace {

Activation activation_of(Args& a) { return static_cast<Activation>(a.integer("activation", 0, 6)); }

struct Size {
  i64 k, n;
};

// (weight, packed): one of the two, plain in the weight's size or packed in that of the product
Weight weight_argument(Args& a, bool transposed, Size plain, Size product) {
  const float* data = a.floats_or_null("weight", a.count({plain.k, plain.n}));
  Packed* packed = packed_argument(a, product.k, product.n);
  const bool given = data || plain.k * plain.n == 0;  // an empty array may have no address
  if (packed ? data != nullptr : !given) a.refuse("weight must be given either plain or packed");
  return {data, transposed, packed};
}

// (activation, transposed, rows, dIn, dOut, x, weight, packed, bias, y, pre, slope)
void linear_forward(Args& a) {
  const Activation kind = activation_of(a);
  const bool transposed = a.flag("transposed");
  const i64 rows = a.size("rows"), d_in = a.size("dIn"), d_out = a.size("dOut");
  const float* x = a.floats("x", a.count({rows, d_in}));
  const Weight w = weight_argument(a, transposed, {d_in, d_out}, {d_in, d_out});
  const float* bias = a.floats_or_null("bias", d_out);
  float* y = a.floats("y", a.count({rows, d_out}));
  float* pre = a.floats_or_null("pre", a.count({rows, d_out}));
  const bool slope = a.flag("slope");
  if (slope && !pre && rows * d_out > 0) a.refuse("pre is needed for the slope");
  linear(kind, x, w, bias, y, pre, slope, rows, d_in, d_out);
}

// (transposed, onto, rows, dIn, dOut, dy, weight, packed, dx)
void linear_input(Args& a) {
  const bool transposed = a.flag("transposed"), onto = a.flag("onto");
  const i64 rows = a.size("rows"), d_in = a.size("dIn"), d_out = a.size("dOut");
  const float* dy = a.floats("dy", a.count({rows, d_out}));
  const Weight w = weight_argument(a, transposed, {d_in, d_out}, {d_out, d_in});
  linear_input_gradient(dy, w, onto, a.floats("dx", a.count({rows, d_in})), rows, d_in, d_out);
}

// (transposed, rows, dIn, dOut, x, dy, dw)
void linear_weight(Args& a) {
  const bool transposed = a.flag("transposed");
  const i64 rows = a.size("rows"), d_in = a.size("dIn"), d_out = a.size("dOut");
  const float* x = a.floats("x", a.count({rows, d_in}));
  const float* dy = a.floats("dy", a.count({rows, d_out}));
  linear_weight_gradient(x, dy, transposed, a.floats("dw", a.count({d_in, d_out})), rows, d_in, d_out);
}

// (scale, rows, dIn, dOut, rank, x, base, down, up, y, xa)
void low_rank_forward(Args& a) {
  const double scale = a.number("scale");
  const i64 rows = a.size("rows"), d_in = a.size("dIn"), d_out = a.size("dOut"), rank = a.size("rank");
  const float* x = a.floats("x", a.count({rows, d_in}));
  const float* base = a.floats("base", a.count({rows, d_out}));
  const float* down = a.floats("down", a.count({d_in, rank}));
  const float* up = a.floats("up", a.count({rank, d_out}));
  float* y = a.floats("y", a.count({rows, d_out}));
  low_rank(x, base, down, up, static_cast<float>(scale), y, a.floats("xa", a.count({rows, rank})), rows, d_in, d_out, rank);
}

// (scale, onto, rows, dIn, dOut, rank, x, xa, dy, down, up, dx, ddown, dup, dxa)
void low_rank_backward(Args& a) {
  LowRankGradient g{};
  g.scale = static_cast<float>(a.number("scale"));
  g.onto = a.flag("onto");
  const i64 rows = a.size("rows"), d_in = a.size("dIn"), d_out = a.size("dOut"), rank = a.size("rank");
  g.x = a.floats("x", a.count({rows, d_in}));
  g.xa = a.floats("xa", a.count({rows, rank}));
  g.dy = a.floats("dy", a.count({rows, d_out}));
  g.down = a.floats("down", a.count({d_in, rank}));
  g.up = a.floats("up", a.count({rank, d_out}));
  g.dx = a.floats_or_null("dx", a.count({rows, d_in}));
  g.ddown = a.floats("ddown", a.count({d_in, rank}));
  g.dup = a.floats("dup", a.count({rank, d_out}));
  g.dxa = a.floats("dxa", a.count({rows, rank}));
  low_rank_gradient(g, rows, d_in, d_out, rank);
}

// (transposeA, transposeB, batch, m, n, k, shareA, shareB, a, b, y)
void batch_product(Args& a) {
  const bool ta = a.flag("transposeA"), tb = a.flag("transposeB");
  const i64 batch = a.size("batch"), m = a.size("m"), n = a.size("n"), k = a.size("k");
  const bool share_a = a.flag("shareA"), share_b = a.flag("shareB");
  const float* x = a.floats("a", a.count({share_a ? 1 : batch, m, k}));
  const float* w = a.floats("b", a.count({share_b ? 1 : batch, k, n}));
  multiply_batch(ta, tb, batch, m, n, k, x, share_a, w, share_b, a.floats("y", a.count({batch, m, n})));
}

// (rows, k, n) → whether such a product in float32 is faster by a packed weight
void gain_of_packing(Args& a) {
  const i64 rows = a.size("rows"), k = a.size("k");
  a.give(packing_gains(rows, k, a.size("n")));
}

// (bf16, k, n) → the floats that such a weight takes when packed; 0 where there is no such product
void size_of_packed(Args& a) {
  const bool bf16 = a.flag("bf16");
  const i64 k = a.size("k");
  a.give(static_cast<double>(packed_size(bf16, k, a.size("n"))));
}

// (bf16, transposed, k, n, weight, room) → the weight, packed into `room`, which the caller keeps as long as it is used
void pack_weight(Args& a) {
  const bool bf16 = a.flag("bf16"), transposed = a.flag("transposed");
  const i64 k = a.size("k"), n = a.size("n"), size = packed_size(bf16, k, n);
  if (size == 0) a.refuse("weight must be one that can be packed");
  const float* weight = a.floats("weight", a.count({k, n}));
  give_packed(a, std::unique_ptr<Packed>(pack(bf16, transposed, k, n, weight, a.floats("room", size))));
}

// (transposed, k, n, packed, weight): writes its values
void unpack_weight(Args& a) {
  const bool transposed = a.flag("transposed");
  const i64 k = a.size("k"), n = a.size("n");
  Packed* packed = packed_argument(a, k, n);
  if (!packed) a.refuse("packed must be given");
  packed->unpack(transposed, a.floats("weight", a.count({k, n})));
}

// (packed): ends its use of its room
void release_packed(Args& a) { drop_packed(a); }

}  // namespace

const Door linear_doors[] = {
    {"linear", linear_forward},
    {"linearInputGradient", linear_input},
    {"linearWeightGradient", linear_weight},
    {"lowRank", low_rank_forward},
    {"lowRankGradient", low_rank_backward},
    {"batchProduct", batch_product},
    {"packingGains", gain_of_packing},
    {"packedSize", size_of_packed},
    {"pack", pack_weight},
    {"unpack", unpack_weight},
    {"release", release_packed, false},
    {nullptr, nullptr},
};

}  // namespace deft
