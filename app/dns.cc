// See dns.h.
#include "app/dns.h"

#include <algorithm>

#include "app/endpoint.h"
#include "app/sources.h"

namespace maily::app {
Result<dns::DnsOptions> DnsOptionsOf(const Config& config) {
  MAILY_TRY(const std::vector<std::string> servers, ListOf(config, "dns_servers", kDnsServersMax));
  dns::DnsOptions options;
  for (const std::string& server : servers) {
    auto endpoint = ParseEndpoint(server);
    if (!endpoint || !ReverseName(endpoint->host)) {
      return Fail(Code::kInvalid, "{}: dns_servers must be address:port[,address:port], not '{}'", config.Source("dns_servers"), server);
    }
    options.servers.push_back(*std::move(endpoint));
  }
  return options;
}

Result<std::vector<std::string>> SourceAddresses(const Config& config) {
  MAILY_TRY(std::vector<std::string> addresses, ListOf(config, "source_addresses", kSourceAddressesMax));
  for (const std::string& address : addresses) {
    if (!ReverseName(address)) {
      return Fail(Code::kInvalid, "{}: source_addresses must be IP addresses, not '{}'", config.Source("source_addresses"), address);
    }
  }
  MAILY_TRY(const SourceFile file, ReadSources(config.Text("sources")));
  for (const auto& source : file.sources) {
    for (const std::string& address : source->addresses) {
      if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
    }
  }
  return addresses;
}

}  // namespace maily::app
