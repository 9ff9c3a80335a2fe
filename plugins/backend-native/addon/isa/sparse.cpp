// Products that skip zeros: what is not skipped is listed, and the rows of W that a list names are added up.
#include <cmath>
#include <type_traits>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

constexpr i64 FETCH_ROWS = 4;  // how far ahead W is fetched while it is copied

inline bool is_active(float v, float threshold) { return !(std::fabs(v) <= threshold); }  // NaN is active

// One bit for each of the next LANES entries.
#if defined(__AVX512F__)
constexpr i64 LANES = 16;
inline u32 active_lanes(const float* x, float threshold) {
  return _mm512_cmp_ps_mask(_mm512_abs_ps(_mm512_loadu_ps(x)), _mm512_set1_ps(threshold), _CMP_NLE_UQ);
}
#elif defined(__AVX2__)
constexpr i64 LANES = 8;
inline u32 active_lanes(const float* x, float threshold) {
  const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.f), _mm256_loadu_ps(x));
  return static_cast<u32>(_mm256_movemask_ps(_mm256_cmp_ps(size, _mm256_set1_ps(threshold), _CMP_NLE_UQ)));
}
#endif

// Fetches the rows of W that a list names from memory, AHEAD entries early.
template <int AHEAD>
struct FetchNamed {
  template <int N>
  inline void step(const ActiveRow& row, const float* w, i64 ldw, i64 q) const {
    const char* next = reinterpret_cast<const char*>(w + row.at[q + AHEAD < row.count ? q + AHEAD : q] * ldw);
    for (int i = 0; i < N * BYTES; i += 64) __builtin_prefetch(next + i);
  }
};

struct FetchNothing {
  template <int N>
  inline void step(const ActiveRow&, const float*, i64, i64) const {}
};

// Fetches a band into the second cache, a line for each entry of the lists: more at a time would keep the sums waiting.
class FetchBand {
 public:
  explicit FetchBand(const Band& band) : band_(band) {}
  static i64 lines(const Band& band) { return band.rows * ((band.columns + LINE - 1) / LINE); }
  template <int N>
  inline void step(const ActiveRow&, const float*, i64, i64) {
    if (row_ == band_.rows) return;
    __builtin_prefetch(band_.data + row_ * band_.ld + column_, 0, 2);
    column_ += LINE;
    if (column_ < band_.columns) return;
    column_ = 0;
    ++row_;
  }

 private:
  const Band band_;
  i64 row_ = 0, column_ = 0;
};

// N vectors of a row of y, kept in registers while its list is walked; they start from `from_here`, or from 0.
template <int N, class Fetch, class Lanes>
inline void gather(const ActiveRow& row, const float* w, i64 ldw, const float* from_here, float* y, Fetch& fetch, Lanes lanes) {
  vf s[N];
  for (int i = 0; i < N; ++i) s[i] = from_here ? lanes.load(from_here + i * W) : vf{};
  for (i64 q = 0; q < row.count; ++q) {
    const float* from = w + row.at[q] * ldw;
    const vf v = splat(row.value[q]);
    fetch.template step<N>(row, w, ldw, q);
#pragma GCC unroll 12
    for (int i = 0; i < N; ++i) s[i] += v * lanes.load(from + i * W);
  }
  for (int i = 0; i < N; ++i) lanes.store(y + i * W, s[i]);
}

template <class Fetch>
inline void gather_columns(const ActiveRow& row, const float* w, i64 ldw, i64 columns, const float* start, float* y, Fetch& fetch) {
  i64 c = 0;
  const auto from = [&](i64 at) { return start ? start + at : nullptr; };
  for (; c + 12 * W <= columns; c += 12 * W) gather<12>(row, w + c, ldw, from(c), y + c, fetch, Whole{});
  for (; c + 4 * W <= columns; c += 4 * W) gather<4>(row, w + c, ldw, from(c), y + c, fetch, Whole{});
  for (; c + W <= columns; c += W) gather<1>(row, w + c, ldw, from(c), y + c, fetch, Whole{});
  if (c < columns) gather<1>(row, w + c, ldw, from(c), y + c, fetch, Tail{static_cast<int>(columns - c)});
}

}  // namespace

i64 count_active(const float* x, i64 n, float threshold) {
  i64 count = 0, i = 0;
#ifdef __AVX2__
  for (; i + LANES <= n; i += LANES) count += __builtin_popcount(active_lanes(x + i, threshold));
#endif
  for (; i < n; ++i) count += is_active(x[i], threshold);
  return count;
}

i64 list_active(const float* x, i64 n, float threshold, i32* at, float* value) {
  i64 count = 0, i = 0;
#if defined(__AVX512F__)
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; i + LANES <= n; i += LANES) {  // whole vectors are written, the next one over what was too much: no branch to mispredict
    const __mmask16 mask = static_cast<__mmask16>(active_lanes(x + i, threshold));
    _mm512_storeu_si512(at + count, _mm512_maskz_compress_epi32(mask, _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<i32>(i)))));
    _mm512_storeu_ps(value + count, _mm512_maskz_compress_ps(mask, _mm512_loadu_ps(x + i)));
    count += __builtin_popcount(mask);
  }
#elif defined(__AVX2__)
  for (; i + LANES <= n; i += LANES) {
    for (u32 mask = active_lanes(x + i, threshold); mask; mask &= mask - 1) {
      const i64 k = i + __builtin_ctz(mask);
      at[count] = static_cast<i32>(k);
      value[count++] = x[k];
    }
  }
#endif
  for (; i < n; ++i) {  // written always, counted when it stays
    at[count] = static_cast<i32>(i);
    value[count] = x[i];
    count += is_active(x[i], threshold);
  }
  return count;
}

void sparse_few(const ActiveRow* rows, i64 count, const float* w, i64 ldw, i64 columns, const float* bias, float* y, i64 ldy) {
  FetchNamed<6> fetch;  // that many entries take about the time of a trip to memory
  for (i64 r = 0; r < count; ++r) gather_columns(rows[r], w, ldw, columns, bias, y + r * ldy, fetch);
}

void copy_band(const Band& band, float* tiles) {
  const i64 whole = band.columns / SPARSE_COLUMNS, rest = whole * SPARSE_COLUMNS, size = band.rows * SPARSE_COLUMNS;
  for (i64 k = 0; k < band.rows; ++k) {
    const float* from = band.data + k * band.ld;
    float* tile = tiles + k * SPARSE_COLUMNS;
    for (i64 p = 0; p < whole; ++p, tile += size, from += SPARSE_COLUMNS) {
      each(0, SPARSE_COLUMNS, [&](i64 c, auto lanes) {
        ahead(from + c, FETCH_ROWS * band.ld);
        lanes.store(tile + c, lanes.load(from + c));
      });
    }
    each(0, band.columns - rest, [&](i64 c, auto lanes) { lanes.store(tile + c, lanes.load(from + c)); });
  }
}

void sparse_tile(const ActiveRow* rows, i64 count, const float* tile, i64 columns, const float* start, i64 ld_start, float* y, i64 ldy, const Band& next) {
  i64 late = count;  // as late as the entries that are left suffice: what is fetched earlier may be gone again
  for (i64 lines = FetchBand::lines(next); late > 0 && lines > 0;) lines -= rows[--late].count;
  const auto gather_rows = [&](i64 begin, i64 end, auto fetch) {
    for (i64 r = begin; r < end; ++r) gather_columns(rows[r], tile, SPARSE_COLUMNS, columns, start ? start + r * ld_start : nullptr, y + r * ldy, fetch);
  };
  gather_rows(0, late, FetchNothing{});
  gather_rows(late, count, FetchBand(next));
}

}  // namespace DEFT_ISA
}  // namespace deft
