#include "cpu.h"

namespace deft {

namespace {

bool has_avx2() {
#ifdef DEFT_X86
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool has_avx512() {
#ifdef DEFT_X86
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

const Kernels* named(const std::string& name) {
  if (name == "portable") return &kernels_portable;
#ifdef DEFT_X86
  if (name == "avx2" && has_avx2()) return &kernels_avx2;
  if (name == "avx512" && has_avx512()) return &kernels_avx512;
  if (name == "auto") return has_avx512() ? &kernels_avx512 : has_avx2() ? &kernels_avx2 : &kernels_portable;
#endif
  return name == "auto" ? &kernels_portable : nullptr;
}

const Kernels* chosen = nullptr;

}  // namespace

const Kernels& kernels() {
  if (!chosen) chosen = named("auto");
  return *chosen;
}

bool choose_kernels(const std::string& name) {
  const Kernels* table = named(name);
  if (table) chosen = table;
  return table != nullptr;
}

std::string available_kernels() {
  std::string all = "portable";
  if (has_avx2()) all += ",avx2";
  if (has_avx512()) all += ",avx512";
  return all;
}

}  // namespace deft
