// How large the mails of a template's version are. Pure; thread: any.
#pragma once

#include <cstdint>

#include "maily/templates/v1/state.pb.h"

namespace maily::personalization {

// Of one mail with headers, base64 and delimiters; parts as they are saved, so placeholders count by their names. What is filled in may
// make a mail some kilobytes larger.
inline uint64_t MailBytes(const templates::v1::TemplateVersion& version) {
  constexpr uint64_t kHeaderBytes = 4096;  // with two signatures and links
  constexpr uint64_t kFieldBytes = 1024;   // of an enclosed file
  uint64_t bytes = kHeaderBytes + version.subject().size() + version.html().size() + version.text().size();
  for (const templates::v1::UsedAsset& used : version.assets()) {
    if (used.use() == templates::v1::UsedAsset::HOSTED) continue;
    const uint64_t letters = (used.size() + 2) / 3 * 4;
    bytes += letters + (letters + 75) / 76 * 2 + kFieldBytes;
  }
  return bytes;
}

}  // namespace maily::personalization
