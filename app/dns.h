// What the settings dns_servers and source_addresses stand for.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "streams/adapters/dns/dns_resolver.h"
#include "streams/base/result.h"

namespace maily::app {

inline constexpr size_t kDnsServersMax = 16;
inline constexpr size_t kSourceAddressesMax = 16;  // each is a line of a domain check

// kInvalid: an element is no address:port, or there are too many.
Result<dns::DnsOptions> DnsOptionsOf(const Config& config);
// kInvalid: an element is no IP address, or there are too many.
Result<std::vector<std::string>> SourceAddresses(const Config& config);

}  // namespace maily::app
