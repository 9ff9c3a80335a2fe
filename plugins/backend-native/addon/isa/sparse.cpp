// Products that skip zeros: rows become lists of what is not skipped, and each list gathers the rows of W that it names.
#include <cmath>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

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

// How many entries ahead the rows of W are fetched: about one trip to memory.
constexpr i64 AHEAD = 6;

// N vectors of a row of y, kept in registers while its list is walked; they start from `from_here`, or from 0.
template <int N, bool FETCH, class Lanes>
inline void gather(const ActiveRow& row, const float* w, i64 ldw, const float* from_here, float* y, Lanes lanes) {
  vf s[N];
  for (int i = 0; i < N; ++i) s[i] = from_here ? lanes.load(from_here + i * W) : vf{};
  const Active *q = row.list, *end = row.list + row.count;
  for (; q < end; ++q) {
    const float* from = w + q->at * ldw;
    const vf v = splat(q->value);
    if (FETCH) {
      const float* next = w + (q + AHEAD < end ? q + AHEAD : q)->at * ldw;
      for (int i = 0; i < N * BYTES; i += 64) __builtin_prefetch(reinterpret_cast<const char*>(next) + i);
    }
#pragma GCC unroll 12
    for (int i = 0; i < N; ++i) s[i] += v * lanes.load(from + i * W);
  }
  for (int i = 0; i < N; ++i) lanes.store(y + i * W, s[i]);
}

template <bool FETCH>
inline void gather_columns(const ActiveRow& row, const float* w, i64 ldw, i64 columns, const float* start, float* y) {
  i64 c = 0;
  const auto from = [&](i64 at) { return start ? start + at : nullptr; };
  for (; c + 12 * W <= columns; c += 12 * W) gather<12, FETCH>(row, w + c, ldw, from(c), y + c, Whole{});
  for (; c + 4 * W <= columns; c += 4 * W) gather<4, FETCH>(row, w + c, ldw, from(c), y + c, Whole{});
  for (; c + W <= columns; c += W) gather<1, FETCH>(row, w + c, ldw, from(c), y + c, Whole{});
  if (c < columns) gather<1, false>(row, w + c, ldw, from(c), y + c, Tail{static_cast<int>(columns - c)});
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

i64 list_active(const float* x, i64 n, float threshold, Active* list) {
  i64 count = 0, i = 0;
#ifdef __AVX2__
  for (; i + LANES <= n; i += LANES) {
    for (u32 mask = active_lanes(x + i, threshold); mask; mask &= mask - 1) {
      const i64 at = i + __builtin_ctz(mask);
      list[count++] = {static_cast<i32>(at), x[at]};
    }
  }
#endif
  for (; i < n; ++i) {  // written always, counted when it stays: no branch to mispredict
    list[count] = {static_cast<i32>(i), x[i]};
    count += is_active(x[i], threshold);
  }
  return count;
}

void sparse_columns(const ActiveRow* rows, i64 count, const float* w, i64 ldw, i64 columns, const float* bias, float* y, i64 ldy, Gather how) {
  for (i64 r = 0; r < count; ++r) {
    float* to = y + r * ldy;
    const float* start = how.add ? to : bias;
    if (how.fetch) {
      gather_columns<true>(rows[r], w, ldw, columns, start, to);
    } else {
      gather_columns<false>(rows[r], w, ldw, columns, start, to);
    }
  }
}

}  // namespace DEFT_ISA
}  // namespace deft
