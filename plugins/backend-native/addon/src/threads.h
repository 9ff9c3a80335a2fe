// One pool of threads (OpenMP's) for the products and for everything else, so that two pools never fight for the cores.
#pragma once
#include "common.h"

namespace deft {

int thread_count();
void set_thread_count(int n);

// A thread's own 64-byte aligned memory of at least `floats` values; it grows and is kept until the thread ends. `which` (0 or 1): another one, for use beside the first.
float* scratch(i64 floats, int which = 0);

// Keeps signals from the calling thread of the pool for good (see signals.h); a look at a flag after the first time.
void hold_signals_of_worker();

}  // namespace deft
