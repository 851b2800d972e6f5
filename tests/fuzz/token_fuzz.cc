// Signed tokens: tracking ids, Message-IDs, consistency tokens and page cursors; as they come, and with a signature that fits. First byte:
// which kind of the latter.
#include "api/gateway/token.h"
#include "processors/effects/smtp/message.h"
#include "schemas/base64url.h"
#include "schemas/tracking_id.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void TryTracking(std::string_view token) {
  const auto id = schema::DecodeTrackingId(token, Keys());
  if (!id) return;
  const auto& keys = **Keys().FindTenant(id->tenant);
  MAILY_CHECK(schema::DecodeTrackingId(schema::EncodeTrackingId(*id, keys), Keys()).value() == *id, "a tracking id changes");
}

void TryMessageId(std::string_view text) {
  const auto id = smtp::DecodeMessageId(text, Keys());
  if (!id) return;
  const auto& keys = **Keys().FindTenant(id->tenant);
  MAILY_CHECK(smtp::DecodeMessageId(smtp::EncodeMessageId(*id, "example.com", keys), Keys()).value() == *id, "a Message-ID changes");
}

void TryToken(std::string_view token) {
  const auto& keys = **Keys().FindTenant(TenantId(1));
  static_cast<void>(gateway::DecodeToken(token, keys).has_value());
  const auto cursor = gateway::DecodeCursor(token, "list", keys);
  if (cursor)
    MAILY_CHECK(gateway::DecodeCursor(gateway::EncodeCursor("list", *cursor, keys), "list", keys)->size() == cursor->size(), "a cursor");
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  fuzz::TryTracking(input);
  fuzz::TryMessageId(input);
  fuzz::TryToken(input);
  if (const auto bytes = schema::FromBase64Url(input)) {
    MAILY_CHECK(schema::ToBase64Url(*bytes) == input, "base64url has two spellings of the same");
  }
  const auto& keys = **fuzz::Keys().FindTenant(TenantId(1));
  const uint8_t kind = fuzz::TakeByte(input);
  std::string bytes(input);
  if (kind % 3 == 0) {
    bytes += keyring::HmacSha256(keys.token, {"maily tracking", input}, 10);
    fuzz::TryTracking(schema::ToBase64Url(bytes));
  } else {
    // As Sign of gateway/token.cc does it.
    const std::string_view zero("\0", 1);
    const std::string_view label = kind % 3 == 1 ? "maily consistency" : "maily cursor";
    const std::string_view of = kind % 3 == 1 ? "" : "list";
    bytes.insert(0, 1, '\1');
    bytes += keyring::HmacSha256(keys.token, {label, zero, of, zero, bytes}, 10);
    fuzz::TryToken(schema::ToBase64Url(bytes));
  }
  return 0;
}
