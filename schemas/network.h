// The network that a reader's address is in: what is sealed of the address, whose rest is forgotten at the edge. [format]
#pragma once

#include <string>
#include <string_view>

namespace maily::schema {

// Of an IPv4 address its first 3 bytes (/24), of an IPv6 address its first 6 (/48, what one site has: RFC 6177 §2); an IPv4 address that
// is mapped into IPv6 (RFC 4291 §2.5.5.2) counts as IPv4. Empty: the text is no address, or one that says nothing of a reader: this host,
// a link, or a private network (RFC 1918, RFC 6598, RFC 4193), as a proxy has that stands before the server. Thread: any.
std::string NetworkOf(std::string_view address);

}  // namespace maily::schema
