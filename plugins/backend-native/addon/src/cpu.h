// Chooses the instruction set at run time.
#pragma once
#include <string>

#include "../isa/kernels.h"

namespace deft {

const Kernels& kernels();
// Takes "auto", "portable", "avx2" or "avx512"; false when the machine or the build lacks it.
bool choose_kernels(const std::string& name);
std::string available_kernels();

}  // namespace deft
