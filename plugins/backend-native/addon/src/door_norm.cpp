#include <limits>

#include "cpu.h"
#include "door.h"

namespace deft {

namespace {

// (rms, epsilon, rows, n, x, residual, gamma, beta, y, mean, rstd, z)
void norm(Args& a) {
  const bool rms = a.flag("rms");
  const float epsilon = static_cast<float>(a.number("epsilon"));
  const i64 rows = a.size("rows"), n = a.size("n"), all = a.count({rows, n});
  const float* x = a.floats("x", all);
  const float* residual = a.floats_or_null("residual", all);
  const float* gamma = a.floats("gamma", n);
  const float* beta = a.floats_or_null("beta", n);
  float* y = a.floats("y", all);
  float* mean = a.floats("mean", rows);
  float* rstd = a.floats("rstd", rows);
  float* z = a.floats_or_null("z", all);
  if (residual && !z) a.refuse("z is needed with a residual");
  kernels().norm(rms, x, residual, gamma, beta, epsilon, y, mean, rstd, z, rows, n);
}

// (rms, onto, rows, n, dy, z, gamma, mean, rstd, dz, dgamma, dbeta)
void norm_gradient(Args& a) {
  const bool rms = a.flag("rms"), onto = a.flag("onto");
  const i64 rows = a.size("rows"), n = a.size("n"), all = a.count({rows, n});
  const float* dy = a.floats("dy", all);
  const float* z = a.floats("z", all);
  const float* gamma = a.floats("gamma", n);
  const float* mean = a.floats("mean", rows);
  const float* rstd = a.floats("rstd", rows);
  float* dz = a.floats("dz", all);
  float* dgamma = a.floats_or_null("dgamma", n);
  float* dbeta = a.floats_or_null("dbeta", n);
  if (dbeta && !dgamma) a.refuse("dbeta comes with dgamma only");
  kernels().norm_gradient(rms, onto, dy, z, gamma, mean, rstd, dz, rows, n);
  if (dgamma) kernels().norm_parameter_gradient(dy, z, mean, rstd, dgamma, dbeta, rows, n);
}

// (rows, n, x, y)
void softmax(Args& a) {
  const i64 rows = a.size("rows"), n = a.size("n"), all = a.count({rows, n});
  const float* x = a.floats("x", all);
  kernels().softmax(x, a.floats("y", all), rows, n);
}

const i32* labels_argument(Args& a, i64 rows, i64 n, i32 ignore) {
  const i32* labels = a.integers("labels", rows);
  for (i64 r = 0; r < rows; ++r) {
    if (labels[r] != ignore && (labels[r] < 0 || labels[r] >= n)) {
      a.refuse("labels must lie in [0, " + std::to_string(n) + ") or be " + std::to_string(ignore) + ", got " + std::to_string(labels[r]) + " at " + std::to_string(r));
    }
  }
  return labels;
}

i32 ignore_argument(Args& a) { return static_cast<i32>(a.integer("ignoreIndex", -2147483648LL, 2147483647)); }

// (ignoreIndex, rows, n, logits, labels, loss, logSumExp)
void cross_entropy(Args& a) {
  const i32 ignore = ignore_argument(a);
  const i64 rows = a.size("rows"), n = a.size("n");
  const float* logits = a.floats("logits", a.count({rows, n}));
  const i32* labels = labels_argument(a, rows, n, ignore);
  float* loss = a.floats("loss", 1);
  kernels().cross_entropy(logits, labels, ignore, loss, a.floats("logSumExp", rows), rows, n);
}

// (ignoreIndex, rows, n, logits, labels, logSumExp, dy, dlogits)
void cross_entropy_gradient(Args& a) {
  const i32 ignore = ignore_argument(a);
  const i64 rows = a.size("rows"), n = a.size("n"), all = a.count({rows, n});
  const float* logits = a.floats("logits", all);
  const i32* labels = labels_argument(a, rows, n, ignore);
  const float* log_sum = a.floats("logSumExp", rows);
  const float dy = a.floats("dy", 1)[0];
  kernels().cross_entropy_gradient(logits, labels, log_sum, dy, ignore, a.floats("dlogits", all), rows, n);
}

// (scale, rows, n, x, y): y[r] = scale·Σ x[r, :]
void sum_last(Args& a) {
  const float scale = static_cast<float>(a.number("scale"));
  const i64 rows = a.size("rows"), n = a.size("n");
  const float* x = a.floats("x", a.count({rows, n}));
  kernels().sum_last(x, a.floats("y", rows), scale, rows, n);
}

// (scale, rows, n, x, y): y[c] = scale·Σ x[:, c]
void sum_first(Args& a) {
  const float scale = static_cast<float>(a.number("scale"));
  const i64 rows = a.size("rows"), n = a.size("n");
  const float* x = a.floats("x", a.count({rows, n}));
  kernels().sum_first(x, a.floats("y", n), scale, rows, n);
}

// (rows, n, x, y)
void max_last(Args& a) {
  const i64 rows = a.size("rows"), n = a.size("n");
  const float* x = a.floats("x", a.count({rows, n}));
  kernels().max_last(x, a.floats("y", rows), rows, n);
}

// (n, x) → Σ x²
void squared_norm(Args& a) {
  const i64 n = a.size("n");
  a.give(kernels().squared_norm(a.floats("x", n), n));
}

}  // namespace

const Door norm_doors[] = {
    {"norm", norm, false},
    {"normGradient", norm_gradient, false},
    {"softmax", softmax, false},
    {"crossEntropy", cross_entropy, false},
    {"crossEntropyGradient", cross_entropy_gradient, false},
    {"sumLast", sum_last, false},
    {"sumFirst", sum_first, false},
    {"maxLast", max_last, false},
    {"squaredNorm", squared_norm, false},
    {nullptr, nullptr},
};

}  // namespace deft
