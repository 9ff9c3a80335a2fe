// Splits a range over the pool. DEFT_ISA names the instruction set of the including unit: each set gets its own copy of
// these templates, so that the linker can never put one set's code into another set's path.
#pragma once
#include <omp.h>

#include "threads.h"

#ifndef DEFT_ISA
#define DEFT_ISA base
#endif

namespace deft {
namespace DEFT_ISA {

// Element operations below which a loop stays on the calling thread: a fork and a join cost about as much.
constexpr i64 GRAIN = 32768;

// Calls f(begin, end) on disjoint pieces of [0, items), each item costing about `work` element operations.
template <class F>
inline void parallel(i64 items, i64 work, F f) {
  if (items <= 0) return;
  // always the whole pool or none: OpenMP ends the threads that a smaller team leaves out
  const i64 threads = thread_count();
  if (threads <= 1 || items * larger(work, 1) < GRAIN || omp_in_parallel()) {
    f(i64(0), items);
    return;
  }
#pragma omp parallel num_threads(static_cast<int>(threads))
  {
    const i64 t = omp_get_thread_num(), n = omp_get_num_threads();
    if (t > 0) hold_signals_of_worker();
    const i64 begin = items * t / n, end = items * (t + 1) / n;
    if (begin < end) f(begin, end);
  }
}

// The same for a flat array: pieces start at multiples of 64 elements.
template <class F>
inline void parallel_flat(i64 n, F f) {
  parallel((n + 63) / 64, 64, [&](i64 begin, i64 end) { f(begin * 64, smaller(n, end * 64)); });
}

}  // namespace DEFT_ISA
}  // namespace deft
