// Who asks, where a proxy stands between: the address that trusted proxies say they were asked from.
//
// What a request says of itself is believed only as far as the hosts are trusted that have written it down: from the right, where the last
// proxy adds its word, up to the first address that is no trusted proxy's. What stands to the left of that anybody may have made up.
// One of the two headers is believed, since a proxy passes on the one that it does not write.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"
#include "streams/base/result.h"

namespace maily::http {

// IPv4 as mapped into IPv6 (RFC 4291 §2.5.5.2), in network order.
using IpBytes = std::array<uint8_t, 16>;
// None: it is no address.
std::optional<IpBytes> ParseIp(std::string_view address);

// A network, or one address: "192.0.2.0/24", "2001:db8::/32", "192.0.2.1". IPv4 addresses that are mapped into IPv6 (RFC 4291 §2.5.5.2)
// count as IPv4.
class Cidr {
 public:
  // kInvalid: not that, or bits behind the prefix are set.
  static Result<Cidr> Parse(std::string_view text);
  // False of what is no address, too.
  bool Contains(std::string_view address) const;
  // Its first and its last address.
  IpBytes First() const { return network_; }
  IpBytes Last() const;

 private:
  IpBytes network_{};
  int bits_ = 128;
};

inline constexpr size_t kTrustedProxiesMax = 256;

struct Proxies {
  std::vector<Cidr> trusted = {};          // none: nobody is believed
  std::string header = "x-forwarded-for";  // or "forwarded" (RFC 7239)

  bool Trusts(std::string_view address) const;
  // The address of the client; empty: a trusted proxy was asked by somebody whom it does not name by an address. `peer` is the other end of
  // the connection.
  std::string ClientOf(std::string_view peer, const Headers& headers) const;
};

// kInvalid: names the entry that is no network, and says what one is.
Result<Proxies> ParseProxies(std::span<const std::string> networks, std::string header);

}  // namespace maily::http
