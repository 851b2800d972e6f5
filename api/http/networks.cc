#include "api/http/networks.h"

#include <algorithm>

namespace maily::http {

Networks::Networks(std::span<const Cidr> networks) {
  std::vector<std::pair<IpBytes, IpBytes>> all;
  all.reserve(networks.size());
  for (const Cidr& network : networks) all.emplace_back(network.First(), network.Last());
  std::ranges::sort(all);
  for (const auto& range : all) {
    if (!ranges_.empty() && range.first <= ranges_.back().second) {
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    } else {
      ranges_.push_back(range);
    }
  }
}

Result<Networks> Networks::ParseLines(std::string_view text) {
  std::vector<Cidr> networks;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    line = line.substr(0, line.find('#'));
    while (!line.empty() && std::string_view(" \t\r").contains(line.back())) line.remove_suffix(1);
    while (!line.empty() && std::string_view(" \t").contains(line.front())) line.remove_prefix(1);
    if (line.empty()) continue;
    const auto network = Cidr::Parse(line);
    if (!network) return Fail(network.error().code, "line {}: {}", number, network.error().message);
    if (networks.size() == kNetworksMax) return Fail(Code::kInvalid, "line {}: more than {} networks", number, kNetworksMax);
    networks.push_back(*network);
  }
  return Networks(networks);
}

bool Networks::Contains(std::string_view address) const {
  if (ranges_.empty()) return false;
  const auto bytes = ParseIp(address);
  if (!bytes) return false;
  const auto after = std::ranges::upper_bound(ranges_, *bytes, {}, &std::pair<IpBytes, IpBytes>::first);
  return after != ranges_.begin() && *bytes <= std::prev(after)->second;
}

}  // namespace maily::http
