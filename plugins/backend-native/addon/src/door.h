// The door between JavaScript and the kernels: arguments are read in order and every type, size and range is checked
// before a kernel sees a pointer. A refusal becomes a JavaScript error.
#pragma once
#include <node_api.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "common.h"

namespace deft {

class Refusal : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Args {
 public:
  Args(napi_env env, napi_callback_info info, const char* who);

  // A whole number in [least, most].
  i64 integer(const char* name, i64 least, i64 most);
  i64 size(const char* name) { return integer(name, 0, 2147483647); }
  double number(const char* name);
  bool flag(const char* name);
  std::string text(const char* name);
  // A Float32Array or Int32Array of exactly `count` elements.
  float* floats(const char* name, i64 count) { return static_cast<float*>(array(name, napi_float32_array, count, false)); }
  float* floats_or_null(const char* name, i64 count) { return static_cast<float*>(array(name, napi_float32_array, count, true)); }
  i32* integers(const char* name, i64 count) { return static_cast<i32*>(array(name, napi_int32_array, count, false)); }
  // A Uint8Array of exactly `count` elements.
  const std::uint8_t* bytes(const char* name, i64 count) { return static_cast<std::uint8_t*>(array(name, napi_uint8_array, count, false)); }
  const std::uint8_t* bytes_or_null(const char* name, i64 count) { return static_cast<std::uint8_t*>(array(name, napi_uint8_array, count, true)); }
  // A Float32Array of any length, which the caller checks.
  struct Span {
    const float* data;
    i64 count;
  };
  Span any_floats(const char* name);
  // What `tag` made with external(), or null for null.
  void* external_or_null(const char* name, const napi_type_tag& tag);
  // The product of sizes, which must fit a typed array.
  i64 count(std::initializer_list<i64> sizes);
  [[noreturn]] void refuse(const std::string& what);

  napi_env env;
  napi_value result = nullptr;  // undefined unless set
  void give(double number);
  void give(bool flag);

 private:
  napi_value next(const char* name);
  void* array(const char* name, napi_typedarray_type type, i64 count, bool optional);

  const char* who;
  napi_value values[40];
  size_t given = 40, at = 0;
};

using Body = void (*)(Args&);

// Puts `name` on the module's exports; defined by each door_*.cpp for its own functions.
struct Door {
  const char* name;
  Body body;
  bool products = true;  // may call the matrix library, during which signals are held back; false also where the body holds them itself
};
void open_door(napi_env env, napi_value exports, const Door& door);

extern const Door linear_doors[], pointwise_doors[], norm_doors[], attention_doors[], array_doors[], quantized_doors[], skipping_doors[], pool_doors[];

}  // namespace deft
