// Bodies of webhooks, and what holds of any notice.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "api/esp/notice.h"
#include "streams/base/utf8.h"

namespace maily::test {

// A body in the shape that its provider documents: a seed of a fuzz target, "esp_ses/open".
inline std::string WebhookBody(const std::string& name) {
  const char* const source = std::getenv("MAILY_SOURCE_DIR");
  std::ifstream in(std::string(source == nullptr ? "." : source) + "/tests/fuzz/corpus/" + name, std::ios::binary);
  MAILY_CHECK(in.good(), "no file {}", name);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// What is wrong with the elements, whatever body they were read from; empty if nothing is.
inline std::string WrongWith(const esp::Elements& elements) {
  if (elements.size() > esp::kElementsMax) return "too many elements";
  size_t next = 0;
  for (const auto& [position, notice] : elements) {
    if (position < next) return "positions do not ascend";
    next = position + 1;
    if (!notice) {
      if (notice.error().code != Code::kInvalid || notice.error().message.empty()) return "an error of another code";
      continue;
    }
    const esp::Notice& one = *notice;
    const auto is_printable = [](std::string_view text) {
      for (const char c : text) {
        if (c <= 0x20 || c >= 0x7f) return false;
      }
      return true;
    };
    if (one.dedup_id.empty() || one.dedup_id.size() > esp::kDedupIdBytesMax || !is_printable(one.dedup_id))
      return "dedup_id " + one.dedup_id;
    if (one.type.empty() || one.type.size() > esp::kNameBytesMax) return "type";
    if (one.cls.size() > esp::kNameBytesMax || one.subclass.size() > esp::kNameBytesMax) return "class";
    if (one.recipient.size() > esp::kAddressBytesMax) return "recipient";
    if (one.provider_message_id.size() > esp::kMessageIdBytesMax || one.message_id.size() > esp::kMessageIdBytesMax) return "message_id";
    if (one.diagnostic.size() > esp::kDiagnosticBytesMax || one.remote_mta.size() > esp::kAddressBytesMax) return "diagnostic";
    if (one.user_agent.size() > esp::kUserAgentBytesMax || one.url.size() > esp::kUrlBytesMax || one.ip.size() > esp::kNameBytesMax)
      return "client";
    if (one.raw.size() > esp::kRawBytesMax || (one.kind == esp::Kind::kUnknown) == one.raw.empty()) return "raw";
    if (one.code != 0 && (one.code < 200 || one.code > 599)) return "code";
    if (one.kind != esp::Kind::kUnknown && one.at.us <= 0) return "no time";
    if (one.kind != esp::Kind::kUnknown && one.recipient.empty() && one.message_id.empty() && one.provider_message_id.empty())
      return "about nobody";
    if (one.kind == esp::Kind::kDeferred && one.verdict.cls == bounces::Class::kHard) return "hard, and still tried";
    for (const std::string* text : {&one.type, &one.cls, &one.subclass, &one.recipient, &one.provider_message_id, &one.message_id,
                                    &one.status, &one.diagnostic, &one.remote_mta, &one.user_agent, &one.ip, &one.url, &one.replay_token}) {
      for (const char c : *text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "control characters";
      }
      if (!IsUtf8(*text)) return "no UTF-8";
    }
    if (!IsUtf8(one.raw)) return "raw bytes that are no UTF-8";
  }
  return {};
}

}  // namespace maily::test
