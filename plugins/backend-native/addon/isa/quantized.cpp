// Matrices in 4 or 8 bits: decoding a block of rows and columns, and the product of few rows straight from the codes.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "constants.h"
#include "parts.h"
#include "simd.h"

namespace deft {
namespace DEFT_ISA {
namespace {

using Codes = const std::uint8_t*;
// Codes of one vector: so many bytes of packed pairs.
constexpr int PAIRS = W / 2;
// Codes in W 32-bit lanes, and the most columns whose scales fit the row's buffer.
constexpr i64 GROUP = 8 * W, MOST_COLUMNS = 65536;
// Rows of x that meet one decoded vector.
constexpr int ROWS = 4;
// Rows of a matrix of bytes that are multiplied together: as many chains of sums, and one load of x for all.
constexpr int TOGETHER = 4;

float scale_of(const QuantizedMatrix& q, i64 block) {
  if (!q.scale_codes) return q.scales[block];
  return q.scale_codebook[q.scale_codes[block]] * q.scales[block / q.scale_block] + q.offset;
}

// The 16 values of a codebook, looked up by the low four bits of each lane.
struct Codebook {
#if defined(__AVX512F__) && !defined(DEFT_VECTOR_BYTES)
  __m512 all;
  explicit Codebook(const float* values) : all(_mm512_loadu_ps(values)) {}
  vf operator[](vu code) const { return (vf)_mm512_permutexvar_ps((__m512i)code, all); }
#elif defined(__AVX2__) && !defined(DEFT_VECTOR_BYTES)
  __m256 low, high;
  explicit Codebook(const float* values) : low(_mm256_loadu_ps(values)), high(_mm256_loadu_ps(values + 8)) {}
  vf operator[](vu code) const {
    const __m256i i = (__m256i)code;
    return (vf)_mm256_blendv_ps(_mm256_permutevar8x32_ps(low, i), _mm256_permutevar8x32_ps(high, i), (__m256)_mm256_slli_epi32(i, 28));
  }
#else
  const float* values;
  explicit Codebook(const float* values_) : values(values_) {}
  vf operator[](vu code) const {
    vf v = {};
    for (int i = 0; i < W; ++i) v[i] = values[code[i] & 15];
    return v;
  }
#endif
};

// Lane j's shift within the 8 codes of a 32-bit word: the first code of a byte is its high half.
inline vu shifts() {
  vu v = {};
  for (int i = 0; i < W; ++i) v[i] = 4u * static_cast<u32>((i % 8) ^ 1);
  return v;
}

// W consecutive codes from an even one on, each in the low four bits of its lane.
inline vu spread(Codes pairs) {
  u32 word[2] = {0, 0};
  std::memcpy(word, pairs, PAIRS);
  vu v = splat(word[0]);
  if (W > 8) v = lane_numbers() < 8u ? v : splat(word[1]);
  return v >> shifts();
}

// [from, from + n) of the flat matrix, all of one block.
void decode_pairs(const QuantizedMatrix& q, const Codebook& codebook, float scale, i64 from, float* out, i64 n) {
  const auto one = [&](i64 i) { return q.codebook[i & 1 ? q.codes[i >> 1] & 15 : q.codes[i >> 1] >> 4] * scale; };
  i64 i = 0;
  if (n > 0 && (from & 1)) out[i++] = one(from);
  for (; i + W <= n; i += W) store(out + i, codebook[spread(q.codes + (from + i) / 2)] * scale);
  for (; i < n; ++i) out[i] = one(from + i);
}

// W codes in two's complement as numbers. (Of a vector's conversion from bytes GCC makes one element at a time.)
inline vf spread_bytes(Codes codes) {
#if defined(__AVX512F__) && !defined(DEFT_VECTOR_BYTES)
  return (vf)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))));
#elif defined(__AVX2__) && !defined(DEFT_VECTOR_BYTES)
  return (vf)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes))));
#else
  vf v = {};
  for (int i = 0; i < W; ++i) v[i] = static_cast<float>(static_cast<signed char>(codes[i]));
  return v;
#endif
}

// The sum of the lanes in halves: a chain of W additions would take longer than a short row.
inline float halved_sum(vf v) {
#if defined(__AVX512F__) && !defined(DEFT_VECTOR_BYTES)
  return _mm512_reduce_add_ps((__m512)v);
#else
  float s[W];
  store(s, v);
  for (int n = W / 2; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) s[i] += s[i + n];
  }
  return s[0];
#endif
}

void decode_bytes(const QuantizedMatrix& q, float scale, i64 from, float* out, i64 n) {
  const float unit = scale / 127.f;
  i64 i = 0;
  for (; i + W <= n; i += W) store(out + i, spread_bytes(q.codes + from + i) * unit);
  for (; i < n; ++i) out[i] = static_cast<float>(static_cast<signed char>(q.codes[from + i])) * unit;
}

// x [m, dIn] in the order in which the codes of a group come out: for each nibble of the 32-bit words, one vector over the words.
void arrange(const float* x, float* to, i64 size) {
  for (i64 g = 0; g < size; g += GROUP) {
    for (int k = 0; k < 8; ++k) {
      for (int lane = 0; lane < W; ++lane) to[g + k * W + lane] = x[g + lane * 8 + (k ^ 1)];
    }
  }
}

// The scale of each 64 columns of a row. Blocks are counted up: a division for each would take longer than its 64 products.
void row_scales(const QuantizedMatrix& q, i64 row, float* scales) {
  i64 block = row * q.d_in / q.block, left = ((block + 1) * q.block - row * q.d_in) / 64;
  i64 outer = q.scale_codes ? block / q.scale_block : 0, outer_left = (outer + 1) * q.scale_block - block;
  for (i64 s = 0; s < q.d_in / 64; ++s) {
    scales[s] = q.scale_codes ? q.scale_codebook[q.scale_codes[block]] * q.scales[outer] + q.offset : q.scales[block];
    if (--left > 0) continue;
    left = q.block / 64;
    ++block;
    if (--outer_left == 0) {
      ++outer;
      outer_left = q.scale_block;
    }
  }
}

// The scales of the lanes of group g: a lane holds 8 columns.
inline vf group_scale(const float* scales, i64 g) {
  const i64 first = g * W / 8;
  if (W <= 8) return splat(scales[first]);
  return lane_numbers() < 8u ? splat(scales[first]) : splat(scales[first + 1]);
}

template <int M>
void dot_pairs(const QuantizedMatrix& q, const Codebook& codebook, i64 row, const float* scales, const float* x, float* sums) {
  vf total[M];
  clear(total);
  Codes codes = q.codes + row * q.d_in / 2;
  for (i64 g = 0; g < q.d_in / GROUP; ++g) {
    vu words;
    std::memcpy(&words, codes + g * BYTES, BYTES);
    vf even[M], odd[M];
    clear(even), clear(odd);
    for (int k = 0; k < 8; k += 2) {
      const vf a = codebook[words >> static_cast<u32>(4 * k)], b = codebook[words >> static_cast<u32>(4 * k + 4)];
      for (int m = 0; m < M; ++m) {
        const float* at = x + m * q.d_in + g * GROUP + k * W;
        even[m] += a * load(at);
        odd[m] += b * load(at + W);
      }
    }
    const vf scale = group_scale(scales, g);
    for (int m = 0; m < M; ++m) total[m] += (even[m] + odd[m]) * scale;
  }
  for (int m = 0; m < M; ++m) sums[m] = halved_sum(total[m]);
}

// M rows of x by N rows of the matrix that lie together: sums[m·N + n]. A single row is summed in two chains.
template <int M, int N>
void dot_bytes(const QuantizedMatrix& q, i64 row, const float* x, float* sums) {
  constexpr int CHAINS = N == 1 ? 2 : 1;
  vf total[M][N][CHAINS] = {};
  Codes codes = q.codes + row * q.d_in;
  i64 i = 0;
  for (; i + CHAINS * W <= q.d_in; i += CHAINS * W) {
    for (int c = 0; c < CHAINS; ++c) {
      vf at[M];
      for (int m = 0; m < M; ++m) at[m] = load(x + m * q.d_in + i + c * W);
      for (int n = 0; n < N; ++n) {
        const vf w = spread_bytes(codes + n * q.d_in + i + c * W);
        for (int m = 0; m < M; ++m) total[m][n][c] += w * at[m];
      }
    }
  }
  for (int n = 0; n < N; ++n) {
    const float unit = scale_of(q, (row + n) * q.d_in / q.block) / 127.f;
    for (int m = 0; m < M; ++m) {
      float sum = halved_sum(CHAINS == 2 ? total[m][n][0] + total[m][n][CHAINS - 1] : total[m][n][0]);
      for (i64 j = i; j < q.d_in; ++j) sum += static_cast<float>(static_cast<signed char>(codes[n * q.d_in + j])) * x[m * q.d_in + j];
      sums[m * N + n] = sum * unit;
    }
  }
}

// The outputs [o, o + n) of a few rows: y[r, o] = sums + bias.
struct FewRows {
  const float *x, *bias;
  float* y;
  i64 rows;
};

template <int M, int N>
inline void put(const FewRows& f, i64 d_out, i64 r, i64 o, const float* sums) {
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) f.y[(r + m) * d_out + o + n] = sums[m * N + n] + (f.bias ? f.bias[o + n] : 0.f);
  }
}

template <int N>
void outputs_of_bytes(const QuantizedMatrix& q, const FewRows& f, i64 o) {
  for (i64 r = 0; r < f.rows; r += ROWS) {
    with_count<ROWS>(f.rows - r, [&](auto rows) {
      constexpr int M = decltype(rows)::value;
      float sums[M * N];
      dot_bytes<M, N>(q, o, f.x + r * q.d_in, sums);
      put<M, N>(f, q.d_out, r, o, sums);
    });
  }
}

void outputs_of_pairs(const QuantizedMatrix& q, const Codebook& codebook, const FewRows& f, i64 o) {
  float scales[MOST_COLUMNS / 64];
  row_scales(q, o, scales);
  for (i64 r = 0; r < f.rows; r += ROWS) {
    with_count<ROWS>(f.rows - r, [&](auto rows) {
      constexpr int M = decltype(rows)::value;
      float sums[M];
      dot_pairs<M>(q, codebook, o, scales, f.x + r * q.d_in, sums);
      put<M, 1>(f, q.d_out, r, o, sums);
    });
  }
}

bool straight(const QuantizedMatrix& q) {
  if (q.int8) return q.d_in > 0 && q.block % q.d_in == 0;
  return q.d_in % GROUP == 0 && q.d_in % 64 == 0 && q.block % 64 == 0 && q.d_in <= MOST_COLUMNS;
}

}  // namespace

void quantized_block(const QuantizedMatrix& q, i64 row_begin, i64 row_end, i64 column_begin, i64 column_end, float* out) {
  static const float none[16] = {};
  const Codebook codebook(q.int8 ? none : q.codebook);
  for (i64 r = row_begin; r < row_end; ++r) {
    const i64 end = r * q.d_in + column_end;
    for (i64 at = r * q.d_in + column_begin; at < end;) {
      const i64 block = at / q.block, stop = smaller(end, (block + 1) * q.block);
      const float scale = scale_of(q, block);
      if (q.int8) {
        decode_bytes(q, scale, at, out, stop - at);
      } else {
        decode_pairs(q, codebook, scale, at, out, stop - at);
      }
      out += stop - at;
      at = stop;
    }
  }
}

bool quantized_few_rows(const QuantizedMatrix& q, const float* x, const float* bias, float* y, i64 rows) {
  if (!straight(q)) return false;
  const float* given = x;
  if (!q.int8) {
    float* arranged = scratch(rows * q.d_in);
    arrange(x, arranged, rows * q.d_in);
    given = arranged;
  }
  const FewRows few{given, bias, y, rows};
  parallel(q.d_out, rows * q.d_in, [&](i64 begin, i64 end) {
    i64 o = begin;
    if (q.int8) {
      if (rows > 2) {  // fewer do not keep up with the memory, which then wants one stream alone
        for (; o + TOGETHER <= end; o += TOGETHER) outputs_of_bytes<TOGETHER>(q, few, o);
      }
      for (; o < end; ++o) outputs_of_bytes<1>(q, few, o);
    } else {
      const Codebook codebook(q.codebook);
      for (; o < end; ++o) outputs_of_pairs(q, codebook, few, o);
    }
  });
  return true;
}

}  // namespace DEFT_ISA
}  // namespace deft
