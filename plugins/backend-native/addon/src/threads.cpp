#include "threads.h"

#include <omp.h>

#include <cstdlib>
#include <new>

#include "signals.h"

namespace deft {

namespace {
int configured = 0;

struct Scratch {
  float* data = nullptr;
  i64 size = 0;
  ~Scratch() { std::free(data); }
};
}  // namespace

int thread_count() { return configured > 0 ? configured : omp_get_max_threads(); }

void set_thread_count(int n) {
  configured = n;
  omp_set_num_threads(n);
}

void hold_signals_of_worker() {
  static thread_local bool held = false;
  if (held) return;
  hold_signals();
  held = true;
}

float* scratch(i64 floats, int which) {
  static thread_local Scratch both[2];
  Scratch& own = both[which];
  if (own.size < floats) {
    std::free(own.data);
    own.data = nullptr;
    own.size = 0;
    void* fresh = nullptr;
    if (posix_memalign(&fresh, 64, static_cast<std::size_t>(floats) * sizeof(float)) != 0) throw std::bad_alloc();
    own.data = static_cast<float*>(fresh);
    own.size = floats;
  }
  return own.data;
}

}  // namespace deft
