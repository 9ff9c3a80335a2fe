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

memory plain(const memory::desc& desc, const float* data) { return memory(desc, engine(), const_cast<float*>(data)); }

void convert(memory from, memory to) {
  dnnl::stream stream(engine());
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
}

// A packed weight with one matmul primitive for each number of rows met (they are few: full and last batches).
class PackedMatmul final : public Packed {
 public:
  PackedMatmul(bool transposed, i64 k_, i64 n_, const float* w, const memory::desc& order) : weights(order, engine()) {
    k = k_;
    n = n_;
    convert(plain(matrix(transposed), w), weights);
  }

  void multiply(const float* a, float* c, i64 m) override {
    if (m == 0) return;  // the library divides by the number of rows
    const memory::desc rows({m, k}, Type::bf16, Tag::ab);
    memory rounded(rows, engine(), scratch((m * k + 1) / 2));
    convert(plain(memory::desc({m, k}, Type::f32, Tag::ab), a), rounded);
    memory target = plain(memory::desc({m, n}, Type::f32, Tag::ab), c);
    dnnl::stream stream(engine());
    for_rows(m).execute(stream, {{DNNL_ARG_SRC, rounded}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, target}});
    stream.wait();
  }

  void unpack(bool transposed, float* w) override { convert(weights, plain(matrix(transposed), w)); }

  i64 bytes() const override { return static_cast<i64>(weights.get_desc().get_size()); }

  static dnnl::matmul::primitive_desc describe(i64 m, i64 k, i64 n, const memory::desc& order) {
    const memory::desc a({m, k}, Type::bf16, Tag::ab), c({m, n}, Type::f32, Tag::ab);
    return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, order, c), engine());
  }

 private:
  memory::desc matrix(bool transposed) const { return memory::desc({k, n}, Type::f32, transposed ? Tag::ba : Tag::ab); }

  dnnl::matmul& for_rows(i64 m) {
    auto found = products.find(m);
    if (found != products.end()) return found->second;
    if (products.size() >= 64) products.clear();
    // the packed order is prescribed: all row counts use the same copy
    return products.emplace(m, dnnl::matmul(describe(m, k, n, weights.get_desc()))).first->second;
  }

  memory weights;
  std::unordered_map<i64, dnnl::matmul> products;
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

Packed* pack(bool transposed, i64 k, i64 n, const float* w) {
  if (k == 0 || n == 0) return nullptr;
  try {
    const i64 typical_rows = 2048;
    const memory::desc any({k, n}, Type::bf16, Tag::any);
    return new PackedMatmul(transposed, k, n, w, PackedMatmul::describe(typical_rows, k, n, any).weights_desc());
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
