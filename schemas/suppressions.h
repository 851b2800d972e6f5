// The words of suppressions, as every stage spells them: why, of which mails, who said so.
#pragma once

#include <optional>
#include <string_view>

#include "maily/suppressions/v1/state.pb.h"

namespace maily::schema {

// Why somebody is suppressed.
inline constexpr std::string_view kSuppressionReasons[] = {"manual",  "hard_bounce", "soft_bounces", "complaint", "unsubscribed",
                                                           "blocked", "invalid",     "erased",       "other"};
// Whether it says something of an address alone; any other reason is the person's.
constexpr bool IsOfAddress(std::string_view reason) { return reason == "hard_bounce" || reason == "soft_bounces" || reason == "invalid"; }
// Who said so by a command; what Maily learned by itself is of "bounce" or "complaint".
inline constexpr std::string_view kSuppressionSources[] = {"operator", "import", "webhook"};

// "all", "marketing", "transactional".
constexpr std::string_view StreamName(suppressions::v1::Stream stream) {
  return stream == suppressions::v1::MARKETING ? "marketing" : stream == suppressions::v1::TRANSACTIONAL ? "transactional" : "all";
}
constexpr std::optional<suppressions::v1::Stream> StreamOf(std::string_view name) {
  for (const auto stream : {suppressions::v1::ALL, suppressions::v1::MARKETING, suppressions::v1::TRANSACTIONAL}) {
    if (StreamName(stream) == name) return stream;
  }
  return std::nullopt;
}

}  // namespace maily::schema
