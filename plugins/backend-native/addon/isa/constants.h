// Counts as constants of the compiler, so that loops over them unroll and what they index stays in registers.
#pragma once
#include <type_traits>

#include "../src/common.h"

namespace deft {
namespace DEFT_ISA {

// Calls f with constants that add up to n, MOST as often as it fits, then 4, 2 and 1, and where each begins.
template <int MOST, class F>
inline void in_groups(i64 n, F f) {
  static_assert(4 <= MOST && MOST <= 8);
  i64 at = 0;
  for (; at + MOST <= n; at += MOST) f(std::integral_constant<int, MOST>{}, at);
  if (n - at >= 4) f(std::integral_constant<int, 4>{}, at), at += 4;
  if (n - at >= 2) f(std::integral_constant<int, 2>{}, at), at += 2;
  if (n - at >= 1) f(std::integral_constant<int, 1>{}, at);
}

// Calls f with n, which is at least 1, as a constant of at most MOST.
template <int MOST, class F>
inline void with_count(i64 n, F f) {
  if constexpr (MOST > 1) {
    if (n < MOST) return with_count<MOST - 1>(n, f);
  }
  f(std::integral_constant<int, MOST>{});
}

}  // namespace DEFT_ISA
}  // namespace deft
