// Many networks, and whether an address is in one of them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/http/forwarded.h"
#include "streams/base/result.h"

namespace maily::http {

inline constexpr size_t kNetworksMax = 100'000;

// Found by binary search: 32 bytes of memory a network. Thread: any.
class Networks {
 public:
  Networks() = default;
  explicit Networks(std::span<const Cidr> networks);

  // A network or an address a line, as Cidr has them; what follows a '#' is a comment. kInvalid names the line; more than kNetworksMax are
  // refused.
  static Result<Networks> ParseLines(std::string_view text);

  bool empty() const { return ranges_.empty(); }
  // False of what is no address, too.
  bool Contains(std::string_view address) const;

 private:
  std::vector<std::pair<IpBytes, IpBytes>> ranges_;  // first and last address of each, sorted, apart from each other
};

}  // namespace maily::http
