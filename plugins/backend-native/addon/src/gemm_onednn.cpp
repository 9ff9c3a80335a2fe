// Products by oneDNN on its OpenMP threads, and frozen weights packed once in the order that its matmul asks for.
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <unordered_map>

#include "gemm.h"

namespace deft {

namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

dnnl::engine& engine() {
  static dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}

memory plain(const memory::desc& desc, const float* data) { return memory(desc, engine(), const_cast<float*>(data)); }

// A packed weight with one matmul primitive for each number of rows met (they are few: full and last batches).
class PackedMatmul final : public Packed {
 public:
  PackedMatmul(bool transposed, i64 k_, i64 n_, const float* w, Type type_, const memory::desc& order) : type(type_), weights(order, engine()) {
    k = k_;
    n = n_;
    dnnl::stream stream(engine());
    memory from = plain(memory::desc({k, n}, Type::f32, transposed ? Tag::ba : Tag::ab), w);
    dnnl::reorder(from, weights).execute(stream, from, weights);
    stream.wait();
  }

  void multiply(const float* a, float* c, i64 m) override {
    if (m == 0) return;  // the library divides by the number of rows
    Product& product = for_rows(m);
    dnnl::stream stream(engine());
    memory source = plain(memory::desc({m, k}, Type::f32, Tag::ab), a);
    if (type == Type::bf16) {
      memory rounded(memory::desc({m, k}, Type::bf16, Tag::ab), engine());
      dnnl::reorder(source, rounded).execute(stream, source, rounded);
      source = rounded;
    }
    memory target = plain(memory::desc({m, n}, Type::f32, Tag::ab), c);
    product.matmul.execute(stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, product.weights}, {DNNL_ARG_DST, target}});
    stream.wait();
  }

  i64 bytes() const override { return static_cast<i64>(weights.get_desc().get_size()); }

  static dnnl::matmul::primitive_desc describe(i64 m, i64 k, i64 n, Type type) {
    const memory::desc a({m, k}, type, Tag::ab), b({k, n}, type, Tag::any), c({m, n}, Type::f32, Tag::ab);
    return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine());
  }

 private:
  struct Product {
    dnnl::matmul matmul;
    memory weights;
  };

  Product& for_rows(i64 m) {
    auto found = products.find(m);
    if (found != products.end()) return found->second;
    if (products.size() >= 64) products.clear();
    // the packed order is prescribed: other row counts must use the same copy
    const memory::desc a({m, k}, type, Tag::ab), c({m, n}, Type::f32, Tag::ab);
    dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a, weights.get_desc(), c), engine());
    return products.emplace(m, Product{dnnl::matmul(desc), weights}).first->second;
  }

  Type type;
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

Packed* pack(bool transposed, i64 k, i64 n, const float* w, Precision precision) {
  if (k == 0 || n == 0) return nullptr;
  const Type type = precision == Precision::bf16 ? Type::bf16 : Type::f32;
  try {
    const i64 typical_rows = 2048;
    const memory::desc order = PackedMatmul::describe(typical_rows, k, n, type).weights_desc();
    const bool as_it_is = order == memory::desc({k, n}, type, Tag::ab) || order == memory::desc({k, n}, type, Tag::ba);
    if (type == Type::f32 && as_it_is) return nullptr;
    return new PackedMatmul(transposed, k, n, w, type, order);
  } catch (const dnnl::error&) {
    return nullptr;  // this machine has no such product: the plain one serves
  }
}

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
