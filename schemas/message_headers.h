// Which headers a message may bring itself (RFC 5322, RFC 3834): those that make threads, and X- ones that no server or provider takes for
// an order.
#pragma once

#include <cstddef>
#include <string_view>

namespace maily::schema {

inline constexpr size_t kMessageHeadersMax = 20;
inline constexpr size_t kMessageHeaderBytesMax = 900;  // of name and value together: a line has at most 998

// In-Reply-To, References, Auto-Submitted, Importance, X-…; whatever the case.
bool IsMessageHeaderName(std::string_view name);
// No control characters; of the headers that are not X-…, ASCII alone.
bool IsMessageHeaderValue(std::string_view name, std::string_view value);

}  // namespace maily::schema
