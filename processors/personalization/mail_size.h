// How large the mails of a template's version are. Pure; thread: any.
#pragma once

#include <algorithm>
#include <cstdint>

#include "maily/templates/v1/state.pb.h"
#include "schemas/mail_bytes.h"

namespace maily::personalization {

// Of one mail with headers, base64 and delimiters; parts as they are saved, so placeholders count by their names and
// partials once. What is filled in may
// make a mail some kilobytes larger.
inline uint64_t MailBytes(const templates::v1::TemplateVersion& version) {
  constexpr uint64_t kHeaderBytes = 4096;  // with two signatures and links
  const auto parts = [](const auto& of) { return of.subject().size() + of.preheader().size() + of.html().size() + of.text().size(); };
  uint64_t largest = parts(version);
  for (const templates::v1::TemplateVariant& variant : version.variants()) largest = std::max<uint64_t>(largest, parts(variant));
  uint64_t bytes = kHeaderBytes + largest;
  for (const templates::v1::UsedPartial& partial : version.partials()) bytes += partial.html().size() + partial.text().size();
  for (const templates::v1::UsedAsset& used : version.assets()) {
    if (used.use() == templates::v1::UsedAsset::HOSTED) continue;
    bytes += schema::EnclosedBytes(used.size());
  }
  return bytes;
}

}  // namespace maily::personalization
