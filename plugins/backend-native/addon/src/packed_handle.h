// Packed weights as JavaScript values: tagged externals that end on release or with the garbage collector; their memory is the caller's.
#pragma once
#include <memory>

#include "door.h"
#include "gemm.h"

namespace deft {

void give_packed(Args& a, std::unique_ptr<Packed> packed);
// The packed k×n matrix of the next argument, or null.
Packed* packed_argument(Args& a, i64 k, i64 n);
void drop_packed(Args& a);

}  // namespace deft
