// See dead_letter.h.
#include "app/dead_letter.h"

#include <algorithm>

#include "api/call.h"
#include "streams/base/utf8.h"
#include "streams/keyring/cipher.h"

namespace maily::app {
namespace {

std::string Sha256Hex(std::string_view bytes) {
  std::string hex;
  for (const uint8_t byte : keyring::Sha256(bytes)) hex += fmt::format("{:02x}", byte);
  return hex;
}

using Headers = std::vector<std::pair<std::string, std::string>>;

// The record's own, as many from the front as fit; those that begin like ours are another's, and left out.
Headers OwnHeaders(const FeedRecord& record, size_t& left_out) {
  Headers kept;
  size_t bytes = 0;
  for (const auto& header : record.headers) {
    bytes += header.first.size() + header.second.size();
    if (bytes > kDeadHeadersBytesMax || header.first.starts_with("maily-")) {
      ++left_out;
    } else {
      kept.push_back(header);
    }
  }
  return kept;
}

// What others wrote may be no text; what is a header's text here is.
std::string AsText(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t good = Utf8Prefix(text);
    out += text.substr(0, good);
    if (good == text.size()) break;
    out += "\xEF\xBF\xBD";
    text.remove_prefix(good + 1);
  }
  return out;
}

}  // namespace

std::string DeadLetterId(const std::string& topic, const FeedRecord& record) {
  return fmt::format("{}/{}/{}/{}", topic, record.partition, record.offset.value(), record.time.us / 1000);
}

void AddDeadLetter(const DeadLetter& letter, OutletBatch& batch) {
  const FeedRecord& record = letter.record;
  size_t left_out = 0;
  Headers headers = OwnHeaders(record, left_out);
  const auto add = [&headers](std::string_view name, std::string value) { headers.emplace_back(name, std::move(value)); };
  add(kDeadIdHeader, DeadLetterId(letter.topic, record));
  add("maily-source-topic", letter.topic);
  add("maily-source-partition", std::to_string(record.partition));
  add("maily-source-offset", std::to_string(record.offset.value()));
  add("maily-source-time", api::Rfc3339(record.time.us));
  add("maily-error-code", letter.why.code);
  add("maily-error-message", AsText(letter.why.message));
  if (!letter.why.field.empty()) add("maily-error-field", AsText(letter.why.field));
  add("maily-attempts", std::to_string(letter.attempts));
  add("maily-first-tried-at", api::Rfc3339(letter.first_tried.us));
  add("maily-last-tried-at", api::Rfc3339(letter.last_tried.us));
  add("maily-build", letter.build);
  if (left_out > 0) add("maily-headers-left-out", std::to_string(left_out));
  if (!record.key) add("maily-no-key", "true");
  const std::string_view key = record.key ? std::string_view(*record.key) : std::string_view();
  if (key.size() > kDeadKeyBytesMax) add("maily-key-bytes", std::to_string(key.size()));
  std::optional<std::string_view> value;
  if (record.value) {
    value = std::string_view(*record.value).substr(0, kDeadValueBytesMax);
    if (record.value->size() > kDeadValueBytesMax) {
      add("maily-value-bytes", std::to_string(record.value->size()));
      add("maily-value-sha256", Sha256Hex(*record.value));
    }
  }
  std::vector<OutletHeader> views(headers.size());
  std::ranges::transform(headers, views.begin(), [](const auto& header) { return OutletHeader{header.first, header.second}; });
  batch.Add(key.substr(0, kDeadKeyBytesMax), value, views, letter.last_tried);
}

}  // namespace maily::app
