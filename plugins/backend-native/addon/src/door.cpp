#include "door.h"

#include <cmath>
#include <new>
#include <optional>

#include "signals.h"

namespace deft {

Args::Args(napi_env env_, napi_callback_info info, const char* who_) : env(env_), who(who_) {
  if (napi_get_cb_info(env, info, &given, values, nullptr, nullptr) != napi_ok || given > 40) refuse("arguments cannot be read");
}

void Args::refuse(const std::string& what) { throw Refusal("native " + std::string(who) + ": " + what + "."); }

napi_value Args::next(const char* name) {
  if (at >= given) refuse(std::string(name) + " is missing");
  return values[at++];
}

double Args::number(const char* name) {
  double value = 0;
  if (napi_get_value_double(env, next(name), &value) != napi_ok) refuse(std::string(name) + " must be a number");
  return value;
}

i64 Args::integer(const char* name, i64 least, i64 most) {
  const double value = number(name);
  if (!(value >= static_cast<double>(least) && value <= static_cast<double>(most)) || value != std::floor(value)) {
    refuse(std::string(name) + " must be a whole number in [" + std::to_string(least) + ", " + std::to_string(most) + "], got " + std::to_string(value));
  }
  return static_cast<i64>(value);
}

bool Args::flag(const char* name) {
  bool value = false;
  if (napi_get_value_bool(env, next(name), &value) != napi_ok) refuse(std::string(name) + " must be true or false");
  return value;
}

std::string Args::text(const char* name) {
  char buffer[64];
  size_t length = 0;
  if (napi_get_value_string_utf8(env, next(name), buffer, sizeof buffer, &length) != napi_ok) refuse(std::string(name) + " must be a string");
  return std::string(buffer, length);
}

namespace {
const char* described(napi_typedarray_type type) {
  return type == napi_float32_array ? "a Float32Array" : type == napi_int32_array ? "an Int32Array" : "a Uint8Array";
}
}  // namespace

Args::Span Args::any_floats(const char* name) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, next(name), &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_float32_array) refuse(std::string(name) + " must be a Float32Array");
  return {static_cast<const float*>(data), static_cast<i64>(length)};
}

void* Args::array(const char* name, napi_typedarray_type wanted, i64 count, bool optional) {
  napi_value value = next(name);
  if (optional) {
    napi_valuetype kind;
    if (napi_typeof(env, value, &kind) == napi_ok && (kind == napi_null || kind == napi_undefined)) return nullptr;
  }
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok || type != wanted) refuse(std::string(name) + " must be " + described(wanted));
  if (static_cast<i64>(length) != count) refuse(std::string(name) + " must hold " + std::to_string(count) + " values, got " + std::to_string(length));
  return data;
}

void* Args::external_or_null(const char* name, const napi_type_tag& tag) {
  napi_value value = next(name);
  napi_valuetype kind;
  if (napi_typeof(env, value, &kind) == napi_ok && (kind == napi_null || kind == napi_undefined)) return nullptr;
  bool ours = false;
  void* data = nullptr;
  if (kind != napi_external || napi_check_object_type_tag(env, value, &tag, &ours) != napi_ok || !ours || napi_get_value_external(env, value, &data) != napi_ok) {
    refuse(std::string(name) + " must be a packed weight");
  }
  return data;
}

i64 Args::count(std::initializer_list<i64> sizes) {
  i64 n = 1;
  for (i64 s : sizes) {
    if (__builtin_mul_overflow(n, s, &n) || n > (i64(1) << 40)) refuse("sizes are too large");
  }
  return n;
}

void Args::give(double number) { napi_create_double(env, number, &result); }
void Args::give(bool flag) { napi_get_boolean(env, flag, &result); }

namespace {
napi_value enter(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const Door& door = *static_cast<const Door*>(data);
  try {
    Args args(env, info, door.name);
    std::optional<SignalsHeld> held;
    if (door.products) held.emplace();
    door.body(args);
    return args.result;
  } catch (const Refusal& refusal) {
    napi_throw_range_error(env, "ERR_DEFT_NATIVE", refusal.what());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ERR_DEFT_NATIVE_MEMORY", "native: out of memory. Use a smaller batch.");
  } catch (const std::exception& error) {
    napi_throw_error(env, "ERR_DEFT_NATIVE", error.what());
  }
  return nullptr;
}
}  // namespace

void open_door(napi_env env, napi_value exports, const Door& door) {
  napi_value function;
  napi_create_function(env, door.name, NAPI_AUTO_LENGTH, enter, const_cast<Door*>(&door), &function);
  napi_set_named_property(env, exports, door.name, function);
}

}  // namespace deft
