// See forwarded.h.
#include "api/http/forwarded.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace maily::http {
namespace {

constexpr int kMappedBits = 96;  // before the IPv4 address
constexpr IpBytes kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0};

struct Parsed {
  IpBytes bytes{};
  bool v4 = false;  // written as IPv4
};

std::optional<Parsed> AddressOf(std::string_view address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.empty() || address.size() >= text.size()) return std::nullopt;
  std::memcpy(text.data(), address.data(), address.size());
  Parsed parsed;
  if (::inet_pton(AF_INET6, text.data(), parsed.bytes.data()) == 1) return parsed;
  parsed.bytes = kMapped;
  parsed.v4 = true;
  if (::inet_pton(AF_INET, text.data(), parsed.bytes.data() + kMappedBits / 8) != 1) return std::nullopt;
  return parsed;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711" -> the address; anything else: empty.
std::string_view NodeAddress(std::string_view node) {
  std::string_view host = node;
  std::string_view port;
  if (node.starts_with('[')) {
    const size_t end = node.find(']');
    if (end == node.npos) return {};
    host = node.substr(1, end - 1);
    port = node.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return {};
  } else if (std::ranges::count(node, ':') == 1) {
    host = node.substr(0, node.find(':'));
    port = node.substr(host.size());
  }
  if (!port.empty() && (port.size() == 1 || port.find_first_not_of("0123456789", 1) != port.npos)) return {};
  return AddressOf(host) ? host : std::string_view();
}

// Parts at `separator` outside quoted strings (RFC 9110 §5.6.4). An open quote runs to the end.
std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool IsName(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
}

// The address of the parameter "for" of an element; empty: it names none.
std::string_view ForOf(std::string_view element) {
  std::string_view found;
  for (const std::string_view pair : Split(element, ';')) {
    const size_t equals = pair.find('=');
    if (equals == pair.npos || !IsName(Trimmed(pair.substr(0, equals)), "for")) continue;
    if (!found.empty()) return {};  // twice
    found = Trimmed(pair.substr(equals + 1));
  }
  if (found.size() >= 2 && found.front() == '"' && found.back() == '"') found = found.substr(1, found.size() - 2);
  return NodeAddress(found);
}

}  // namespace

std::optional<IpBytes> ParseIp(std::string_view address) {
  const auto parsed = AddressOf(address);
  return parsed ? std::optional(parsed->bytes) : std::nullopt;
}

Result<Cidr> Cidr::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = AddressOf(text.substr(0, slash));
  if (!address) return Fail(Code::kInvalid, "'{}' is no network like 192.0.2.0/24 or 2001:db8::/32", text);
  const int most = address->v4 ? 32 : 128;
  int bits = most;
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 || bits > most) {
      return Fail(Code::kInvalid, "'{}': the prefix is a number from 0 to {}", text, most);
    }
  }
  Cidr cidr;
  cidr.network_ = address->bytes;
  cidr.bits_ = address->v4 ? bits + kMappedBits : bits;
  for (int bit = cidr.bits_; bit < 128; ++bit) {
    if ((cidr.network_[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0) {
      return Fail(Code::kInvalid, "'{}': bits behind the prefix /{} are set; write the network's first address", text, bits);
    }
  }
  return cidr;
}

bool Cidr::Contains(std::string_view text) const {
  const auto address = AddressOf(text);
  if (!address) return false;
  const auto whole = static_cast<size_t>(bits_ / 8);
  if (std::memcmp(address->bytes.data(), network_.data(), whole) != 0) return false;
  return bits_ % 8 == 0 || ((address->bytes[whole] ^ network_[whole]) >> (8 - bits_ % 8)) == 0;
}

IpBytes Cidr::Last() const {
  IpBytes last = network_;
  for (int bit = bits_; bit < 128; ++bit) last[static_cast<size_t>(bit / 8)] |= static_cast<uint8_t>(1 << (7 - bit % 8));
  return last;
}

bool Proxies::Trusts(std::string_view address) const {
  return std::ranges::any_of(trusted, [address](const Cidr& cidr) { return cidr.Contains(address); });
}

std::string Proxies::ClientOf(std::string_view peer, const Headers& headers) const {
  if (trusted.empty() || !Trusts(peer)) return std::string(peer);
  std::string_view nearest = peer;
  for (size_t line = headers.size(); line-- > 0;) {
    const auto [name, value] = headers.at(line);
    if (name != header) continue;
    const std::vector<std::string_view> elements = Split(value, ',');
    for (size_t i = elements.size(); i-- > 0;) {
      const std::string_view element = Trimmed(elements[i]);
      if (element.empty()) continue;  // RFC 9110 §5.6.1.2
      nearest = header == "forwarded" ? ForOf(element) : NodeAddress(element);
      if (!Trusts(nearest)) return std::string(nearest);
    }
  }
  return std::string(nearest);
}

Result<Proxies> ParseProxies(std::span<const std::string> networks, std::string header) {
  Proxies proxies{.header = std::move(header)};
  for (const std::string& network : networks) {
    MAILY_TRY(const Cidr cidr, Cidr::Parse(network));
    proxies.trusted.push_back(cidr);
  }
  return proxies;
}

}  // namespace maily::http
