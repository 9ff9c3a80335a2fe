// The kernels of one instruction set, gathered into its table by table.cpp.
#pragma once
#include "../src/parallel.h"
#include "kernels.h"

namespace deft {
namespace DEFT_ISA {

void activation(Activation, const float*, float*, i64);
void activation_gradient(Activation, const float*, const float*, const float*, const float*, const float*, const float*, i64, float, float*, float*, i64, i64);
void epilogue(Activation, bool, const float*, float*, float*, i64, i64);
void density(const float*, const float*, float, float*, i64, i64, i64);
void density_gradient(const float*, const float*, const float*, float, float*, float*, i64, i64, i64);
void norm(bool, const float*, const float*, const float*, const float*, float, float*, float*, float*, float*, i64, i64);
void norm_gradient(bool, bool, const float*, const float*, const float*, const float*, const float*, float*, i64, i64);
void norm_parameter_gradient(const float*, const float*, const float*, const float*, float*, float*, i64, i64);
void attention(const AttentionShape&, const AttentionInput&, float*, float*);
void attention_gradient(const AttentionShape&, const AttentionInput&, const AttentionGradientInput&);
void project(const float*, const float*, i64, float, float*, i64, i64, i64);
void expand(const float*, const float*, const float*, float, float*, i64, i64, i64);
void add_outer(const float*, const float*, float*, i64, i64, i64);
void softmax(const float*, float*, i64, i64);
void cross_entropy(const float*, const i32*, i32, float*, float*, i64, i64);
void cross_entropy_gradient(const float*, const i32*, const float*, float, i32, float*, i64, i64);
void sum_last(const float*, float*, float, i64, i64);
void sum_first(const float*, float*, float, i64, i64);
void max_last(const float*, float*, i64, i64);
double squared_norm(const float*, i64);
void unary(Unary, const float*, float*, i64);
void binary(Binary, const float*, const float*, float*, const Strides&);
void accumulate(float*, const float*, i64);
void adamw(const AdamW&, float*, float*, float*, const float*, i64);
void dropout(const float*, float*, double, u32, i64);
void scatter_add(const i32*, const float*, float*, i64, i64, i64);
void quantized_block(const QuantizedMatrix&, i64, i64, i64, i64, float*);
bool quantized_few_rows(const QuantizedMatrix&, const float*, const float*, float*, i64);
i64 count_active(const float*, i64, float);
i64 list_active(const float*, i64, float, i32*, float*);
void sparse_few(const ActiveRow*, i64, const float*, i64, i64, const float*, float*, i64);
void copy_band(const Band&, float*);
void sparse_tile(const ActiveRow*, i64, const float*, i64, const float*, i64, float*, i64, const Band&);
void selected_rows(const float*, const float*, i64, const i32*, i64, float, float*, i64);

}  // namespace DEFT_ISA
}  // namespace deft
