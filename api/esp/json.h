// JSON of strangers, parsed within the limits of notice.h, and members of it that may be of any type.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/esp/notice.h"

namespace maily::esp {

// kInvalid: not JSON, not UTF-8, or over kBodyBytesMax, kDepthMax or kValuesMax. The message repeats nothing of the text. Of a key that
// stands twice the last value counts.
Result<nlohmann::json> ParseBounded(std::string_view text);

// The member; null (of the type) if there is none, or if `value` is no object.
const nlohmann::json& Member(const nlohmann::json& value, const char* name);
inline const nlohmann::json& Member(const nlohmann::json& value, const char* name, const char* inner) {
  return Member(Member(value, name), inner);
}

// A string without control characters, cut at a character; empty if the value is none.
std::string Text(const nlohmann::json& value, size_t bytes_max);
// A string, or a whole number as one; else empty. Empty, too, if it is longer: an id is never cut.
std::string Id(const nlohmann::json& value, size_t bytes_max = kMessageIdBytesMax);
// Id without the '<>' around it.
std::string MessageId(const nlohmann::json& value);

// The address of "Ann <a@b.example>", "<a@b.example>", "a@b.example". kInvalid: it is no string, is empty or too long, or has control
// characters or spaces at a wrong place. Whether it is an address is left to the caller.
Result<std::string> Recipient(const nlohmann::json& value, std::string_view name);

// RFC 3339 with any digits of a second. kInvalid: no such string, or not after 1970 and before the year 10000.
Result<Instant> TimeOf(const nlohmann::json& value, std::string_view name);
// Seconds since 1970 as a number, or as a string of digits. The same range.
Result<Instant> SecondsOf(const nlohmann::json& value, std::string_view name);
// The same of a string alone: digits, at most 12.
Result<Instant> SecondsOf(std::string_view digits, std::string_view name);

// `id` if it may stand as a dedup_id, else its SHA-256.
std::string DedupId(std::string_view id);
// SHA-256 of the parts, each with its size, so that no other parts give the same.
std::string DedupId(std::initializer_list<std::string_view> parts);

// Compact JSON, or the text as far as it is UTF-8; cut at kRawBytesMax.
std::string Raw(const nlohmann::json& value);
std::string Raw(std::string_view text);

}  // namespace maily::esp
