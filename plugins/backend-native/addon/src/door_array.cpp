// Moving of data: gather, scatter, transpose, slices and concatenation.
#include <cstring>

#include "cpu.h"
#include "door.h"
#include "parallel.h"

namespace deft {

namespace {

const i32* ids_argument(Args& a, i64 rows, i64 size) {
  const i32* ids = a.integers("ids", rows);
  for (i64 r = 0; r < rows; ++r) {
    if (ids[r] < 0 || ids[r] >= size) a.refuse("ids must lie in [0, " + std::to_string(size) + "), got " + std::to_string(ids[r]) + " at " + std::to_string(r));
  }
  return ids;
}

void copy_floats(float* to, const float* from, i64 n) {
  if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));  // an empty array may have no address
}

// (rows, size, n, table, ids, y)
void gather(Args& a) {
  const i64 rows = a.size("rows"), size = a.size("size"), n = a.size("n");
  const float* table = a.floats("table", a.count({size, n}));
  const i32* ids = ids_argument(a, rows, size);
  float* y = a.floats("y", a.count({rows, n}));
  base::parallel(rows, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) copy_floats(y + r * n, table + ids[r] * n, n);
  });
}

// (rows, size, n, ids, dy, out)
void scatter_add(Args& a) {
  const i64 rows = a.size("rows"), size = a.size("size"), n = a.size("n");
  const i32* ids = ids_argument(a, rows, size);
  const float* dy = a.floats("dy", a.count({rows, n}));
  kernels().scatter_add(ids, dy, a.floats("out", a.count({size, n})), rows, size, n);
}

// (rows, fromStride, fromOffset, toStride, toOffset, n, from, to): copies a block of n columns
void copy_block(Args& a) {
  const i64 rows = a.size("rows"), from_stride = a.size("fromStride"), from_offset = a.size("fromOffset");
  const i64 to_stride = a.size("toStride"), to_offset = a.size("toOffset"), n = a.size("n");
  if (from_offset + n > from_stride || to_offset + n > to_stride) a.refuse("block is wider than its row");
  const float* from = a.floats("from", a.count({rows, from_stride}));
  float* to = a.floats("to", a.count({rows, to_stride}));
  base::parallel(rows, n, [&](i64 begin, i64 end) {
    for (i64 r = begin; r < end; ++r) copy_floats(to + r * to_stride + to_offset, from + r * from_stride + from_offset, n);
  });
}

struct Transposition {
  i64 size[4], stride[4];  // of the result's axes, the strides in the source
};

void transpose_plane(const Transposition& t, const float* x, float* y) {
  const i64 tile = 16, rows = t.size[2], columns = t.size[3];
  for (i64 r0 = 0; r0 < rows; r0 += tile) {
    for (i64 c0 = 0; c0 < columns; c0 += tile) {
      const i64 r1 = smaller(rows, r0 + tile), c1 = smaller(columns, c0 + tile);
      for (i64 r = r0; r < r1; ++r) {
        for (i64 c = c0; c < c1; ++c) y[r * columns + c] = x[r * t.stride[2] + c * t.stride[3]];
      }
    }
  }
}

// (four sizes, four positions, x, y): y's axis i is x's axis positions[i]
void transpose(Args& a) {
  i64 size[4], stride[4], at[4];
  bool seen[4] = {};
  for (i64& d : size) d = a.size("size");
  for (i64& p : at) {
    p = a.integer("position", 0, 3);
    if (seen[p]) a.refuse("positions must be a permutation");
    seen[p] = true;
  }
  const i64 all = a.count({size[0], size[1], size[2], size[3]});
  const float* x = a.floats("x", all);
  float* y = a.floats("y", all);
  stride[3] = 1;
  for (int i = 2; i >= 0; --i) stride[i] = stride[i + 1] * size[i + 1];
  Transposition t{};
  for (int i = 0; i < 4; ++i) {
    t.size[i] = size[at[i]];
    t.stride[i] = stride[at[i]];
  }
  const i64 plane = t.size[2] * t.size[3];
  base::parallel(t.size[0] * t.size[1], plane, [&](i64 begin, i64 end) {
    for (i64 o = begin; o < end; ++o) {
      const float* from = x + o / t.size[1] * t.stride[0] + o % t.size[1] * t.stride[1];
      if (t.stride[3] == 1) {
        for (i64 r = 0; r < t.size[2]; ++r) copy_floats(y + o * plane + r * t.size[3], from + r * t.stride[2], t.size[3]);
      } else {
        transpose_plane(t, from, y + o * plane);
      }
    }
  });
}

}  // namespace

const Door array_doors[] = {
    {"gather", gather, false}, {"scatterAdd", scatter_add, false}, {"copyBlock", copy_block, false}, {"transpose", transpose, false}, {nullptr, nullptr},
};

}  // namespace deft
