#include "cpu.h"
#include "door.h"

namespace deft {

namespace {

struct Sizes {
  i64 q, kv, mask, bias, log_sum;
};

// (scale, causal, dropout, seed, batch, heads, queries, keys, depth, biasBatch, …)
AttentionShape shape_of(Args& a) {
  AttentionShape s{};
  s.scale = static_cast<float>(a.number("scale"));
  s.causal = a.flag("causal");
  const double dropout = a.number("dropout");
  if (!(dropout >= 0 && dropout < 1)) a.refuse("dropout must be in [0, 1)");
  s.dropout = dropout;
  s.seed = static_cast<u32>(static_cast<i32>(a.integer("seed", -2147483648LL, 2147483647)));
  s.batch = a.integer("batch", 1, 2147483647);
  s.heads = a.integer("heads", 1, 2147483647);
  s.queries = a.integer("queries", 1, 2147483647);
  s.keys = a.integer("keys", 1, 2147483647);
  s.depth = a.integer("depth", 1, 2147483647);
  s.bias_batch = a.size("biasBatch");
  if (s.bias_batch > 1 && s.bias_batch != s.batch) a.refuse("bias must have a batch of 1 or of q's");
  return s;
}

Sizes sizes_of(Args& a, const AttentionShape& s) {
  return {a.count({s.batch, s.queries, s.heads, s.depth}), a.count({s.batch, s.keys, s.heads, s.depth}), a.count({s.batch, s.keys}),
          a.count({s.bias_batch, s.heads, s.queries, s.keys}), a.count({s.batch, s.heads, s.queries})};
}

AttentionInput input_of(Args& a, const AttentionShape& s, const Sizes& n) {
  AttentionInput in{};
  in.q = a.floats("q", n.q);
  in.k = a.floats("k", n.kv);
  in.v = a.floats("v", n.kv);
  in.mask = a.floats_or_null("mask", n.mask);
  in.bias = a.floats_or_null("bias", n.bias);
  if ((s.bias_batch > 0) != (in.bias != nullptr)) a.refuse("bias and biasBatch must come together");
  return in;
}

// (shape…, q, k, v, mask, bias, context, logSumExp)
void attention(Args& a) {
  const AttentionShape s = shape_of(a);
  const Sizes n = sizes_of(a, s);
  const AttentionInput in = input_of(a, s, n);
  float* context = a.floats("context", n.q);
  kernels().attention(s, in, context, a.floats("logSumExp", n.log_sum));
}

// (shape…, q, k, v, mask, bias, logSumExp, dy, dq, dk, dv, dbias)
void attention_gradient(Args& a) {
  const AttentionShape s = shape_of(a);
  const Sizes n = sizes_of(a, s);
  const AttentionInput in = input_of(a, s, n);
  AttentionGradientInput out{};
  out.log_sum = a.floats("logSumExp", n.log_sum);
  out.dy = a.floats("dy", n.q);
  out.dq = a.floats("dq", n.q);
  out.dk = a.floats("dk", n.kv);
  out.dv = a.floats("dv", n.kv);
  out.dbias = a.floats_or_null("dbias", n.bias);
  if (out.dbias && !in.bias) a.refuse("dbias needs a bias");
  kernels().attention_gradient(s, in, out);
}

}  // namespace

const Door attention_doors[] = {{"attention", attention}, {"attentionGradient", attention_gradient}, {nullptr, nullptr}};

}  // namespace deft
