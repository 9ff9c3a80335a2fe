#include "sparse.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "cpu.h"
#include "parallel.h"
#include "signals.h"

namespace deft {

namespace {

// Uses of a row of W below which each row of x gathers the rows that it names from memory: a pass through all of W would not pay.
constexpr double FEW_USES = 2;
// Rows whose lists are held at a time.
constexpr i64 BLOCK = 1024;
// Rows of a tile of W.
constexpr i64 TILE = 192;
// Floats of the second cache that tiles and results may take.
constexpr i64 CACHE = i64(1) << 18;
// Rows whose count settles whether skipping pays; a later count of all ends it when they were no fair sample.
constexpr i64 SAMPLE = 32;
constexpr double FAR = 1.25;

// The threshold of one row: the least float below its keep-th largest magnitude, where that is above the given one.
float row_threshold(const SparseLinear& s, const float* row, float* room) {
  if (s.keep <= 0 || s.keep >= s.d_in) return s.threshold;
  for (i64 i = 0; i < s.d_in; ++i) room[i] = std::isnan(row[i]) ? INFINITY : std::fabs(row[i]);
  std::nth_element(room, room + (s.keep - 1), room + s.d_in, [](float a, float b) { return a > b; });
  return std::max(s.threshold, std::nextafterf(room[s.keep - 1], 0.f));
}

double sampled_density(const SparseLinear& s) {
  const i64 rows = smaller(s.rows, SAMPLE);
  i64 count = 0;
  for (i64 i = 0; i < rows; ++i) count += kernels().count_active(s.x + (i * s.rows / rows) * s.d_in, s.d_in, s.threshold);
  const double share = static_cast<double>(count) / static_cast<double>(larger(1, rows * s.d_in));
  return s.keep > 0 ? std::min(share, static_cast<double>(s.keep) / static_cast<double>(s.d_in)) : share;
}

bool approximate(const SparseLinear& s) { return s.threshold > 0 || (s.keep > 0 && s.keep < s.d_in); }

void multiply_densely(const SparseLinear& s) {
  std::unique_ptr<float[]> masked;
  if (approximate(s)) {
    masked.reset(new float[static_cast<std::size_t>(s.rows * s.d_in)]);
    base::parallel(s.rows, s.d_in, [&](i64 begin, i64 end) {
      std::unique_ptr<float[]> room(new float[static_cast<std::size_t>(s.d_in)]);
      for (i64 r = begin; r < end; ++r) {
        const float* row = s.x + r * s.d_in;
        const float threshold = row_threshold(s, row, room.get());
        for (i64 i = 0; i < s.d_in; ++i) masked[r * s.d_in + i] = std::fabs(row[i]) <= threshold ? 0.f : row[i];
      }
    });
  }
  const SignalsHeld held;
  linear(Activation::identity, masked ? masked.get() : s.x, s.w, s.bias, s.y, nullptr, false, s.rows, s.d_in, s.d_out);
}

// Rows [first, first + count) as lists, one for each tile: rows[tile·count + r].
struct Block {
  i64 first, count, tile, total;
  ActiveRow* rows;
  i64 tiles(i64 d_in) const { return (d_in + tile - 1) / tile; }
  i64 room(i64 d_in) const { return d_in + LIST_OVERHANG * tiles(d_in); }  // for a row's lists
};

// Makes the lists of a block, in `at` and `value`. Sets its total.
void list_rows(const SparseLinear& s, Block& block, i32* at, float* value) {
  const i64 count = block.count, tiles = block.tiles(s.d_in);
  base::parallel(count, 2 * s.d_in, [&](i64 begin, i64 end) {
    std::unique_ptr<float[]> room(s.keep > 0 ? new float[static_cast<std::size_t>(s.d_in)] : nullptr);
    // a thread's lists of one tile follow each other: who multiplies by a tile reads them in order
    std::vector<i64> place(static_cast<std::size_t>(tiles));
    for (i64 t = 0; t < tiles; ++t) place[t] = begin * block.room(s.d_in) + (end - begin) * t * block.tile + t * LIST_OVERHANG;
    for (i64 r = begin; r < end; ++r) {
      const float* row = s.x + (block.first + r) * s.d_in;
      const float threshold = row_threshold(s, row, room.get());
      for (i64 t = 0; t < tiles; ++t) {
        const i64 from = t * block.tile;
        const i64 found = kernels().list_active(row + from, smaller(block.tile, s.d_in - from), threshold, at + place[t], value + place[t]);
        block.rows[t * count + r] = {at + place[t], value + place[t], found};
        place[t] += found;
      }
    }
  });
  block.total = 0;
  for (i64 i = 0; i < count * tiles; ++i) block.total += block.rows[i].count;
}

// Each thread takes columns, so that a row of W that several rows name is read by one of them alone.
void multiply_few(const SparseLinear& s, const Block& block) {
  const i64 unit = 16;
  base::parallel((s.d_out + unit - 1) / unit, block.total * unit, [&](i64 begin, i64 end) {
    const i64 c = begin * unit, columns = smaller(s.d_out, end * unit) - c;
    kernels().sparse_few(block.rows, block.count, s.w.data + c, s.d_out, columns, s.bias ? s.bias + c : nullptr, s.y + block.first * s.d_out + c, s.d_out);
  });
}

// A band of W is read along its rows and laid down as tiles; all rows gather from one tile after the other, and the next band is fetched meanwhile. Tiles and sums lie close
// together, in the second cache: at the distance of a row of y or W each piece would be on a page of its own.
void multiply_tiles(const SparseLinear& s, const Block& block) {
  const i64 panels = (s.d_out + SPARSE_COLUMNS - 1) / SPARSE_COLUMNS, tiles = block.tiles(s.d_in), count = block.count;
  base::parallel(panels, block.total * SPARSE_COLUMNS, [&](i64 begin, i64 end) {
    const i64 width = larger(1, smaller(end - begin, CACHE / ((block.tile + count) * SPARSE_COLUMNS)));  // panels of a band
    float* tiles_of_band = scratch((block.tile + count) * width * SPARSE_COLUMNS, 1);
    float* sums = tiles_of_band + block.tile * width * SPARSE_COLUMNS;
    for (i64 first = begin; first < end; first += width) {
      const i64 panels_of_band = smaller(width, end - first), left = first * SPARSE_COLUMNS, columns = smaller(s.d_out, (first + panels_of_band) * SPARSE_COLUMNS) - left;
      const auto band_between = [&](i64 row, i64 last) { return Band{s.w.data + row * s.d_out + left, s.d_out, last - row, columns}; };
      for (i64 t = 0; t < tiles; ++t) {
        const i64 top = t * block.tile, bottom = smaller(s.d_in, top + block.tile), following = smaller(s.d_in, bottom + block.tile) - bottom;
        kernels().copy_band(band_between(top, bottom), tiles_of_band);
        const bool starts = t == 0, ends = t + 1 == tiles;
        for (i64 p = 0; p < panels_of_band; ++p) {
          const i64 c = p * SPARSE_COLUMNS;
          float* sum = sums + count * c;
          const float* from = !starts ? sum : s.bias ? s.bias + left + c : nullptr;
          float* to = ends ? s.y + block.first * s.d_out + left + c : sum;
          const Band next = band_between(bottom + following * p / panels_of_band, bottom + following * (p + 1) / panels_of_band);
          kernels().sparse_tile(block.rows + t * count, count, tiles_of_band + (bottom - top) * c, smaller(SPARSE_COLUMNS, columns - c), from, starts ? 0 : SPARSE_COLUMNS, to,
                                ends ? s.d_out : SPARSE_COLUMNS, next);
        }
      }
    }
  });
}

}  // namespace

SparseDecision sparse_linear(const SparseLinear& s) {
  if (s.rows == 0) return {0, false};
  const bool readable = s.w.data && !s.w.transposed;
  double density = sampled_density(s);
  if (!readable || density > s.break_even) {
    multiply_densely(s);
    return {density, false};
  }
  if (s.d_in == 0) {
    multiply_densely(s);
    return {0, false};
  }
  const bool few = density * static_cast<double>(s.rows) <= FEW_USES;
  const i64 rows = smaller(s.rows, BLOCK);
  Block block{0, 0, few ? s.d_in : TILE, 0, nullptr};
  const i64 heads = 6 * rows * block.tiles(s.d_in), entries = rows * block.room(s.d_in);  // in floats
  float* room = scratch(heads + 2 * entries);
  block.rows = reinterpret_cast<ActiveRow*>(room);
  i32* at = reinterpret_cast<i32*>(room + heads);
  float* value = room + heads + entries;
  i64 all = 0;
  for (; block.first < s.rows; block.first += rows) {
    block.count = smaller(rows, s.rows - block.first);
    list_rows(s, block, at, value);
    all += block.total;
    density = static_cast<double>(all) / static_cast<double>((block.first + block.count) * s.d_in);
    if (density > FAR * s.break_even) {
      multiply_densely(s);
      return {density, false};
    }
    if (few) {
      multiply_few(s, block);
    } else {
      multiply_tiles(s, block);
    }
  }
  return {density, true};
}

}  // namespace deft
