// See dns.h.
#include "app/dns.h"

#include "app/endpoint.h"

namespace maily::app {
namespace {

// The elements of "a, b", without space around them.
Result<std::vector<std::string>> Elements(const Config& config, std::string_view setting, size_t most) {
  std::vector<std::string> elements;
  std::string_view text = config.Text(setting);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view element = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    elements.emplace_back(element);
  }
  if (elements.size() > most) {
    return Fail(Code::kInvalid, "{}: {} names {}, more than {}", config.Source(setting), setting, elements.size(), most);
  }
  return elements;
}

}  // namespace

Result<dns::DnsOptions> DnsOptionsOf(const Config& config) {
  MAILY_TRY(const std::vector<std::string> servers, Elements(config, "dns_servers", kDnsServersMax));
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
  MAILY_TRY(std::vector<std::string> addresses, Elements(config, "source_addresses", kSourceAddressesMax));
  for (const std::string& address : addresses) {
    if (!ReverseName(address)) {
      return Fail(Code::kInvalid, "{}: source_addresses must be IP addresses, not '{}'", config.Source("source_addresses"), address);
    }
  }
  return addresses;
}

}  // namespace maily::app
