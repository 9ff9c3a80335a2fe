// Counter-based random bits: those of `randomBits` in @deft-js/tensor, bit for bit.
#pragma once
#include "simd.h"

namespace deft {
namespace DEFT_ISA {

inline vu mix(vu h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ (h >> 16);
}

inline vu random_bits(u32 seed, vu index) { return mix(mix(index * 0x9e3779b1u + seed) ^ seed); }

// Inverted dropout: the factor of each element is 1/(1−p) where the top 24 bits, as a fraction, are at least p, else 0.
struct Dropout {
  u32 seed;
  i32 threshold;
  float kept;

  Dropout(double probability, u32 seed_) : seed(seed_) {
    const double scaled = probability * 16777216.0;
    threshold = static_cast<i32>(scaled);
    if (threshold < scaled) ++threshold;
    kept = probability < 1 ? static_cast<float>(1.0 / (1.0 - probability)) : 0.f;
  }

  // The factors of the elements first, first + 1, …
  vf factors(u32 first) const {
    const vu bits = random_bits(seed, lane_numbers() + first);
    return (vi)(bits >> 8) >= threshold ? splat(kept) : splat(0.f);
  }
};

}  // namespace DEFT_ISA
}  // namespace deft
