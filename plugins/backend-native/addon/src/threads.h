// One pool of threads (OpenMP's) for the products and for everything else, so that two pools never fight for the cores.
#pragma once
#include "common.h"

namespace deft {

int thread_count();
void set_thread_count(int n);

// A thread's own 64-byte aligned memory of at least `floats` values; it grows and is kept until the thread ends.
float* scratch(i64 floats);

}  // namespace deft
