#include "packed_handle.h"

namespace deft {

namespace {
const napi_type_tag TAG = {0x8f1d0c5a2b7e4961, 0xa3c49d1175e0b826};

struct Handle {
  std::unique_ptr<Packed> packed;
};

void finalize(napi_env, void* data, void*) { delete static_cast<Handle*>(data); }
}  // namespace

void give_packed(Args& a, std::unique_ptr<Packed> packed) {
  Handle* handle = new Handle{std::move(packed)};
  if (napi_create_external(a.env, handle, finalize, nullptr, &a.result) != napi_ok) {
    finalize(a.env, handle, nullptr);
    a.refuse("a packed weight cannot be handed out");
  }
  napi_type_tag_object(a.env, a.result, &TAG);
}

Packed* packed_argument(Args& a, i64 k, i64 n) {
  Handle* handle = static_cast<Handle*>(a.external_or_null("packed", TAG));
  if (!handle) return nullptr;
  if (!handle->packed) a.refuse("packed weight was released");
  if (handle->packed->k != k || handle->packed->n != n) a.refuse("packed weight is of another shape");
  return handle->packed.get();
}

void drop_packed(Args& a) {
  Handle* handle = static_cast<Handle*>(a.external_or_null("packed", TAG));
  if (handle) handle->packed.reset();
}

}  // namespace deft
