#include "parts.h"

#define DEFT_NAME_(isa) #isa
#define DEFT_NAME(isa) DEFT_NAME_(isa)
#define DEFT_TABLE_(isa) kernels_##isa
#define DEFT_TABLE(isa) DEFT_TABLE_(isa)

namespace deft {

const Kernels DEFT_TABLE(DEFT_ISA) = {
    DEFT_NAME(DEFT_ISA),
    DEFT_ISA::activation,
    DEFT_ISA::activation_gradient,
    DEFT_ISA::epilogue,
    DEFT_ISA::density,
    DEFT_ISA::density_gradient,
    DEFT_ISA::norm,
    DEFT_ISA::norm_gradient,
    DEFT_ISA::norm_parameter_gradient,
    DEFT_ISA::attention,
    DEFT_ISA::attention_gradient,
    DEFT_ISA::project,
    DEFT_ISA::expand,
    DEFT_ISA::add_outer,
    DEFT_ISA::softmax,
    DEFT_ISA::cross_entropy,
    DEFT_ISA::cross_entropy_gradient,
    DEFT_ISA::sum_last,
    DEFT_ISA::sum_first,
    DEFT_ISA::max_last,
    DEFT_ISA::squared_norm,
    DEFT_ISA::unary,
    DEFT_ISA::binary,
    DEFT_ISA::accumulate,
    DEFT_ISA::adamw,
    DEFT_ISA::dropout,
    DEFT_ISA::scatter_add,
    DEFT_ISA::quantized_block,
    DEFT_ISA::quantized_few_rows,
    DEFT_ISA::count_active,
    DEFT_ISA::list_active,
    DEFT_ISA::sparse_few,
    DEFT_ISA::copy_band,
    DEFT_ISA::sparse_tile,
    DEFT_ISA::selected_rows,
};

}  // namespace deft
