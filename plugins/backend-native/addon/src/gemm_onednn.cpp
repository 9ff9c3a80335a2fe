// Products by oneDNN on its OpenMP threads, and frozen weights packed once in the order that its matmul or its convolution asks for.
#include <cstring>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "gemm.h"
#include "parallel.h"

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

// What is added to a product.
struct Addends {
  bool bias = false, onto = false;
};

// One kind of product by a packed weight, with its operands: making them anew takes about as long as a small product.
struct Product {
  dnnl::primitive primitive;
  memory rows, addend, result;
  std::unordered_map<int, memory> operands;

  template <class Kind>
  Product(const Kind& kind, const memory& weights)
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

dnnl::primitive_attr attributes(Addends added) {
  dnnl::primitive_attr attributes;
  if (added.onto) {
    dnnl::post_ops sum;
    sum.append_sum(1);
    attributes.set_post_ops(sum);
  }
  return attributes;
}

dnnl::matmul::primitive_desc matmul(i64 m, i64 k, i64 n, Type type, const memory::desc& order, Addends added = {}) {
  const memory::desc a({m, k}, type, Tag::ab), bias({1, n}, Type::f32, Tag::ab), c({m, n}, Type::f32, Tag::ab);
  return dnnl::matmul::primitive_desc(added.bias ? dnnl::matmul::desc(a, order, bias, c) : dnnl::matmul::desc(a, order, c), attributes(added), engine());
}

dnnl::convolution_forward::primitive_desc convolution(i64 m, i64 k, i64 n, const memory::desc& order, Addends added = {}) {
  using Convolution = dnnl::convolution_forward;
  const memory::desc a({1, k, 1, m}, Type::f32, Tag::nhwc), bias({n}, Type::f32, Tag::a), c({1, n, 1, m}, Type::f32, Tag::nhwc);
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto direct = dnnl::algorithm::convolution_direct;
  const memory::dims step{1, 1}, padding{0, 0};
  const Convolution::desc what =
      added.bias ? Convolution::desc(kind, direct, a, order, bias, c, step, padding, padding) : Convolution::desc(kind, direct, a, order, c, step, padding, padding);
  return Convolution::primitive_desc(what, attributes(added), engine());
}

// The kinds of product that a packed weight met, which are few: full and last batches, with and without a sum.
class Products {
 public:
  // `make` makes a Product of the kind where it is new.
  template <class F>
  Product& of(i64 m, Addends added, F make) {
    const i64 kind = 4 * m + 2 * added.bias + added.onto;
    auto found = known.find(kind);
    if (found != known.end()) return found->second;
    if (known.size() >= 64) known.clear();
    return known.emplace(kind, make()).first->second;
  }

 private:
  std::unordered_map<i64, Product> known;
};

constexpr i64 TYPICAL_ROWS = 2048;

bool has_blocks(const memory::desc& order) { return order.data.format_desc.blocking.inner_nblks > 0; }

// The floats that a matrix in this order takes, whole cache lines of them.
i64 floats_of(const memory::desc& order) {
  constexpr i64 LINE = 64;
  return (static_cast<i64>(order.get_size()) + LINE - 1) / LINE * (LINE / i64(sizeof(float)));
}

memory::desc matmul_order(Type type, i64 k, i64 n) { return matmul(TYPICAL_ROWS, k, n, type, memory::desc({k, n}, type, Tag::any)).weights_desc(); }
memory::desc convolution_order(i64 k, i64 n) { return convolution(TYPICAL_ROWS, k, n, memory::desc({n, k, 1, 1}, Type::f32, Tag::any)).weights_desc(); }

// Whether the matmul has an order of its own; where it has none (for float32 without AVX-512) the convolution serves.
bool matmul_packs(bool bf16) {
  static const bool float32 = has_blocks(matmul_order(Type::f32, 64, 64));
  return bf16 || float32;
}

class PackedMatmul final : public Packed {
 public:
  PackedMatmul(bool bf16, bool transposed, i64 k_, i64 n_, const float* w, float* room) : weights(matmul_order(bf16 ? Type::bf16 : Type::f32, k_, n_), engine(), room) {
    k = k_;
    n = n_;
    convert(plain(matrix(transposed), w), weights);
  }

  static i64 size(bool bf16, i64 k, i64 n) {
    const memory::desc order = matmul_order(bf16 ? Type::bf16 : Type::f32, k, n);
    return bf16 || has_blocks(order) ? floats_of(order) : 0;
  }

  void multiply(const float* a, const float* bias, bool onto, float* c, i64 m) override {
    if (m == 0) return;  // the library divides by the number of rows
    const Addends added{bias != nullptr, onto};
    // the packed order is prescribed: all products use the same copy
    Product& product = products.of(m, added, [&] { return Product(matmul(m, k, n, type(), weights.get_desc(), added), weights); });
    if (type() == Type::f32) return product.execute(a, bias, c);
    memory rounded(memory::desc({m, k}, type(), Tag::ab), engine(), scratch((m * k + 1) / 2));
    convert(plain(memory::desc({m, k}, Type::f32, Tag::ab), a), rounded);
    product.execute(rounded.get_data_handle(), bias, c);
  }

  void unpack(bool transposed, float* w) override { convert(weights, plain(matrix(transposed), w)); }

 private:
  memory::desc matrix(bool transposed) const { return memory::desc({k, n}, Type::f32, transposed ? Tag::ba : Tag::ab); }

  Type type() const { return weights.get_desc().data_type(); }

  memory weights;
  Products products;
};

// A weight as filters of one pixel: rows of the other factor are the pixels of an image, columns its channels. The library sums over all channels one
// after the other, so that the error of float32 grows with √k; the weight is therefore split into parts of few channels, whose sums are added.
class PackedConvolution final : public Packed {
 public:
  PackedConvolution(bool transposed, i64 k_, i64 n_, const float* w, float* room) {
    k = k_;
    n = n_;
    for_parts(k, [&](i64 begin, i64 channels) {
      const memory::desc order = convolution_order(channels, n);
      parts.emplace_back(Part{begin, channels, memory(order, engine(), room), {}});
      convert(plain(matrix(parts.back(), transposed), first(parts.back(), transposed, w)), parts.back().weights);
      room += floats_of(order);
    });
  }

  static i64 size(i64 k, i64 n) {
    i64 total = 0;
    bool all = true;
    for_parts(k, [&](i64, i64 channels) {
      const memory::desc order = convolution_order(channels, n);
      all &= has_blocks(order);
      total += floats_of(order);
    });
    return all ? total : 0;
  }

  void multiply(const float* a, const float* bias, bool onto, float* c, i64 m) override {
    if (parts.size() == 1) return multiply(parts[0], a, bias, onto, c, m);
    constexpr i64 BLOCK = 512;  // rows whose results stay in a cache from one part to the next
    float* columns = scratch(BLOCK * PART);
    for (i64 r = 0; r < m; r += BLOCK) {
      const i64 rows = smaller(BLOCK, m - r);
      for (Part& part : parts) {
        base::parallel(rows, part.channels, [&](i64 begin, i64 end) {
          for (i64 i = begin; i < end; ++i) std::memcpy(columns + i * part.channels, a + (r + i) * k + part.begin, static_cast<std::size_t>(part.channels) * sizeof(float));
        });
        multiply(part, columns, part.begin == 0 ? bias : nullptr, onto || part.begin > 0, c + r * n, rows);
      }
    }
  }

  void unpack(bool transposed, float* w) override {
    for (Part& part : parts) convert(part.weights, plain(matrix(part, transposed), first(part, transposed, w)));
  }

 private:
  static constexpr i64 PART = 1024;  // channels at most

  struct Part {
    i64 begin, channels;
    memory weights;
    Products products;
  };

  // Calls f(begin, channels) for parts of about the same size.
  template <class F>
  static void for_parts(i64 k, F f) {
    constexpr i64 VECTOR = 8;
    const i64 count = (k + PART - 1) / PART, most = (k + count * VECTOR - 1) / (count * VECTOR) * VECTOR;
    for (i64 begin = 0; begin < k; begin += most) f(begin, smaller(most, k - begin));
  }

  // A part's place in the plain matrix.
  template <class Float>
  Float* first(const Part& part, bool transposed, Float* w) const {
    return w + part.begin * (transposed ? 1 : n);
  }
  memory::desc matrix(const Part& part, bool transposed) const {
    const memory::dims steps = transposed ? memory::dims{k, 1, 1, 1} : memory::dims{1, n, 1, 1};
    return memory::desc({n, part.channels, 1, 1}, Type::f32, steps);
  }

  void multiply(Part& part, const float* a, const float* bias, bool onto, float* c, i64 m) {
    if (m == 0) return;
    const Addends added{bias != nullptr, onto};
    part.products.of(m, added, [&] { return Product(convolution(m, part.channels, n, part.weights.get_desc(), added), part.weights); }).execute(a, bias, c);
  }

  std::vector<Part> parts;
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

bool packing_gains(i64 rows, i64 k, i64 n) {
  constexpr i64 FEW_ROWS = 1024, SMALL_WEIGHT = i64(1) << 19;  // measured, see the README
  return !matmul_packs(false) || rows <= FEW_ROWS || k * n <= SMALL_WEIGHT;
}

i64 packed_size(bool bf16, i64 k, i64 n) {
  if (k == 0 || n == 0) return 0;
  try {
    return matmul_packs(bf16) ? PackedMatmul::size(bf16, k, n) : PackedConvolution::size(k, n);
  } catch (const dnnl::error&) {
    return 0;  // this machine has no such product: the plain one serves
  }
}

Packed* pack(bool bf16, bool transposed, i64 k, i64 n, const float* w, float* room) {
  if (matmul_packs(bf16)) return new PackedMatmul(bf16, transposed, k, n, w, room);
  return new PackedConvolution(transposed, k, n, w, room);
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
