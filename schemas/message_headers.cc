// See message_headers.h.
#include "schemas/message_headers.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace maily::schema {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return lower;
}

constexpr std::string_view kNames[] = {"in-reply-to", "references", "auto-submitted", "importance"};
// What SendGrid, Postmark, SES, Mailgun, Mandrill, SparkPost and Maily itself read.
constexpr std::string_view kOrders[] = {"x-smtpapi", "x-pm-", "x-ses-", "x-mailgun-", "x-mc-", "x-msys-", "x-maily-"};

bool IsX(std::string_view lower) { return lower.starts_with("x-") && lower.size() > 2; }

}  // namespace

bool IsMessageHeaderName(std::string_view name) {
  const std::string lower = Lower(name);
  if (std::ranges::find(kNames, lower) != std::end(kNames)) return true;
  if (!IsX(lower) || std::ranges::any_of(kOrders, [&](std::string_view order) { return lower.starts_with(order); })) return false;
  return lower.size() <= 64 &&
         std::ranges::all_of(lower, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

bool IsMessageHeaderValue(std::string_view name, std::string_view value) {
  if (value.empty() || name.size() + value.size() > kMessageHeaderBytesMax) return false;
  const bool any_letters = IsX(Lower(name));
  return std::ranges::all_of(value, [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7F && (byte < 0x80 || any_letters);
  });
}

}  // namespace maily::schema
