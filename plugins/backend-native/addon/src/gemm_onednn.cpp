// Products by oneDNN on its OpenMP threads, and bfloat16 weights packed once in the order that its matmul asks for.
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <unordered_map>

#include "gemm.h"
#include "threads.h"

namespace deft {

namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

dnnl::engine& engine() {
  static dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}

dnnl::stream& stream() {
  static dnnl::stream one(engine());
  return one;
}

memory plain(const memory::desc& desc, const float* data) { return memory(desc, engine(), const_cast<float*>(data)); }

void convert(memory from, memory to) {
  dnnl::reorder(from, to).execute(stream(), from, to);
  stream().wait();
}

// One kind of product by a packed weight, with its operands: making them anew takes about as long as a small product.
struct Product {
  dnnl::matmul primitive;
  memory rows, addend, result;
  std::unordered_map<int, memory> operands;

  Product(const dnnl::matmul::primitive_desc& kind, const memory& weights)
      : primitive(kind), rows(kind.src_desc(), engine(), nullptr), addend(kind.bias_desc(), engine(), nullptr), result(kind.dst_desc(), engine(), nullptr),
        operands{{DNNL_ARG_SRC, rows}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, result}} {
    if (addend.get_desc().get_size() > 0) operands.emplace(DNNL_ARG_BIAS, addend);
  }

  void execute(const void* a, const float* bias, float* c) {
    rows.set_data_handle(const_cast<void*>(a));
    if (bias) addend.set_data_handle(const_cast<float*>(bias));
    result.set_data_handle(c);
    primitive.execute(stream(), operands);
    stream().wait();
  }
};

// What is added to a product.
struct Addends {
  bool bias = false, onto = false;
};

dnnl::matmul::primitive_desc describe(i64 m, i64 k, i64 n, Type type, const memory::desc& order, Addends added = {}) {
  const memory::desc a({m, k}, type, Tag::ab), bias({1, n}, Type::f32, Tag::ab), c({m, n}, Type::f32, Tag::ab);
  dnnl::primitive_attr attributes;
  if (added.onto) {
    dnnl::post_ops sum;
    sum.append_sum(1);
    attributes.set_post_ops(sum);
  }
  return dnnl::matmul::primitive_desc(added.bias ? dnnl::matmul::desc(a, order, bias, c) : dnnl::matmul::desc(a, order, c), attributes, engine());
}

// The order in which the library wants a frozen matrix; throws where there is no such product.
memory::desc packed_order(bool bf16, i64 k, i64 n) {
  const i64 typical_rows = 2048;
  const Type type = bf16 ? Type::bf16 : Type::f32;
  return describe(typical_rows, k, n, type, memory::desc({k, n}, type, Tag::any)).weights_desc();
}

// A packed weight and each kind of product that it met (they are few: full and last batches, with and without a sum).
class PackedMatmul final : public Packed {
 public:
  PackedMatmul(bool transposed, i64 k_, i64 n_, const float* w, const memory::desc& order, float* room) : weights(order, engine(), room) {
    k = k_;
    n = n_;
    convert(plain(matrix(transposed), w), weights);
  }

  void multiply(const float* a, const float* bias, bool onto, float* c, i64 m) override {
    if (m == 0) return;  // the library divides by the number of rows
    Product& product = product_of(m, {bias != nullptr, onto});
    if (type() == Type::f32) return product.execute(a, bias, c);
    memory rounded(memory::desc({m, k}, type(), Tag::ab), engine(), scratch((m * k + 1) / 2));
    convert(plain(memory::desc({m, k}, Type::f32, Tag::ab), a), rounded);
    product.execute(rounded.get_data_handle(), bias, c);
  }

  void unpack(bool transposed, float* w) override { convert(weights, plain(matrix(transposed), w)); }

 private:
  memory::desc matrix(bool transposed) const { return memory::desc({k, n}, Type::f32, transposed ? Tag::ba : Tag::ab); }

  Type type() const { return weights.get_desc().data_type(); }

  Product& product_of(i64 m, Addends added) {
    const i64 kind = 4 * m + 2 * added.bias + added.onto;
    auto found = products.find(kind);
    if (found != products.end()) return found->second;
    if (products.size() >= 64) products.clear();
    // the packed order is prescribed: all products use the same copy
    return products.emplace(kind, Product(describe(m, k, n, type(), weights.get_desc(), added), weights)).first->second;
  }

  memory weights;
  std::unordered_map<i64, Product> products;
};

}  // namespace

void gemm(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc) {
  if (empty_product(m, n, k, beta, c, ldc)) return;
  const dnnl_status_t status = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  if (status != dnnl_success) throw std::runtime_error("oneDNN refused a matrix product");
}

void gemm_here(bool ta, bool tb, i64 m, i64 n, i64 k, float alpha, const float* a, i64 lda, const float* b, i64 ldb, float beta, float* c, i64 ldc) {
  gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);  // oneDNN keeps to one thread inside a parallel region
}

i64 packed_size(bool bf16, i64 k, i64 n) {
  if (k == 0 || n == 0) return 0;
  try {
    const memory::desc order = packed_order(bf16, k, n);
    const bool own = bf16 || order.data.format_desc.blocking.inner_nblks > 0;
    return own ? static_cast<i64>(order.get_size() + sizeof(float) - 1) / static_cast<i64>(sizeof(float)) : 0;
  } catch (const dnnl::error&) {
    return 0;  // this machine has no such product: the plain one serves
  }
}

Packed* pack(bool bf16, bool transposed, i64 k, i64 n, const float* w, float* room) { return new PackedMatmul(transposed, k, n, w, packed_order(bf16, k, n), room); }

bool bf16_products() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

std::string gemm_library() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

void gemm_threads(int) {}

}  // namespace deft
