// The module: its functions, its configuration and what it tells about itself.
#include <sys/mman.h>

#include <cstdlib>

#include "cpu.h"
#include "door.h"
#include "gemm.h"
#include "threads.h"

namespace deft {

namespace {

// (threads, instruction set)
void configure(Args& a) {
  const i64 threads = a.integer("threads", 1, 1024);
  const std::string isa = a.text("isa");
  if (!choose_kernels(isa)) a.refuse("instruction set " + isa + " is not available here; known: auto," + available_kernels());
  set_thread_count(static_cast<int>(threads));
  gemm_threads(static_cast<int>(threads));
}

void put_text(napi_env env, napi_value object, const char* key, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.c_str(), text.size(), &value);
  napi_set_named_property(env, object, key, value);
}

void put_number(napi_env env, napi_value object, const char* key, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  napi_set_named_property(env, object, key, value);
}

// () → { isa, available, library, threads, bf16 }
void describe(Args& a) {
  napi_create_object(a.env, &a.result);
  put_text(a.env, a.result, "isa", kernels().name);
  put_text(a.env, a.result, "available", available_kernels());
  put_text(a.env, a.result, "library", gemm_library());
  put_number(a.env, a.result, "threads", thread_count());
  put_number(a.env, a.result, "bf16", bf16_products() ? 1 : 0);
}

void free_buffer(napi_env, void* data, void*) { std::free(data); }

// Blocks of this size and more have their pages brought in at once: one by one, at their first touch, costs many times as much.
constexpr i64 LARGE = i64(1) << 20;
constexpr i64 PAGE = 4096;

void bring_in(void* data, i64 bytes) {
#ifdef MADV_POPULATE_WRITE
  madvise(data, static_cast<std::size_t>(bytes), MADV_POPULATE_WRITE);  // an older kernel refuses: then they come one by one
#else
  (void)data, (void)bytes;
#endif
}

// (bytes) → ArrayBuffer on a 64-byte boundary, not cleared
void allocate(Args& a) {
  const i64 bytes = a.integer("bytes", 1, i64(1) << 36);
  const bool large = bytes >= LARGE;
  const i64 unit = large ? PAGE : 64, size = (bytes + unit - 1) / unit * unit;
  void* data = nullptr;
  if (posix_memalign(&data, static_cast<std::size_t>(unit), static_cast<std::size_t>(size)) != 0) throw std::bad_alloc();
  if (large) bring_in(data, size);
  if (napi_create_external_arraybuffer(a.env, data, static_cast<std::size_t>(bytes), free_buffer, nullptr, &a.result) != napi_ok) {
    std::free(data);
    a.result = nullptr;  // this runtime allows no memory from outside: the caller allocates in JavaScript
  }
}

}  // namespace

const Door pool_doors[] = {{"configure", configure, false}, {"describe", describe, false}, {"allocate", allocate, false}, {nullptr, nullptr}};

}  // namespace deft

NAPI_MODULE_INIT() {
  using namespace deft;
  for (const Door* doors : {linear_doors, pointwise_doors, norm_doors, attention_doors, array_doors, quantized_doors, skipping_doors, pool_doors}) {
    for (const Door* door = doors; door->name; ++door) open_door(env, exports, *door);
  }
  return exports;
}
