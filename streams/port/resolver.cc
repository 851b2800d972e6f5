// Names as the DNS compares them.
#include "streams/port/resolver.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace maily {
namespace {

constexpr size_t kNameBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;

bool IsNameByte(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

}  // namespace

std::string_view DnsTypeName(DnsType type) {
  switch (type) {
    case DnsType::kMx:
      return "MX";
    case DnsType::kAddress:
      return "A/AAAA";
    case DnsType::kTxt:
      return "TXT";
    case DnsType::kPtr:
      return "PTR";
  }
  return "?";
}

std::string DnsQuestion::ToString() const { return fmt::format("{} of {}", DnsTypeName(type), name); }

bool DnsAnswer::IsNullMx() const { return records.size() == 1 && records[0].preference == 0 && records[0].value == "."; }

void Resolver::Ptr(std::string_view ip, Executor& on, DnsDone done) {
  auto name = ReverseName(ip);
  if (name) return Ask({DnsType::kPtr, std::move(*name)}, on, std::move(done));
  on.Post([done = std::move(done), error = name.error()]() mutable { done(std::move(error)); });
}

Result<std::string> HostName(std::string_view text) {
  const auto shown = [text] {  // as much of it as a log line bears
    std::string some(text.substr(0, 80));
    std::ranges::replace_if(some, [](char c) { return c < 0x20 || c > 0x7E; }, '?');
    return some;
  };
  std::string name(text.ends_with('.') ? text.substr(0, text.size() - 1) : text);
  if (name.empty()) return Fail(Code::kInvalid, "'{}' is no host name: it is empty", shown());
  if (name.size() > kNameBytesMax) {
    return Fail(Code::kInvalid, "'{}' is no host name: {} bytes, more than {}", shown(), name.size(), kNameBytesMax);
  }
  size_t label = 0;
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (c == '.') {
      if (label == 0) return Fail(Code::kInvalid, "'{}' is no host name: it has an empty label", shown());
      label = 0;
    } else if (!IsNameByte(c)) {
      return Fail(Code::kInvalid, "'{}' is no host name: only letters, digits, '-', '_' and dots; others as A-labels (xn--…)", shown());
    } else if (++label > kLabelBytesMax) {
      return Fail(Code::kInvalid, "'{}' is no host name: a label of more than {} bytes", shown(), kLabelBytesMax);
    }
  }
  if (label == 0) return Fail(Code::kInvalid, "'{}' is no host name: it has an empty label", shown());
  return name;
}

Result<std::string> ReverseName(std::string_view ip) {
  const std::string text(ip.substr(0, INET6_ADDRSTRLEN));
  std::array<uint8_t, 16> raw{};
  std::string name;
  if (inet_pton(AF_INET, text.c_str(), raw.data()) == 1) {
    for (size_t i = 4; i-- > 0;) name += fmt::format("{}.", raw[i]);
    return name + "in-addr.arpa";
  }
  if (inet_pton(AF_INET6, text.c_str(), raw.data()) == 1) {
    for (size_t i = 16; i-- > 0;) name += fmt::format("{:x}.{:x}.", raw[i] & 0xF, raw[i] >> 4);
    return name + "ip6.arpa";
  }
  return Fail(Code::kInvalid, "the name of an address is looked up by its IP literal; this is none ({} bytes)", ip.size());
}

bool IsLoopback(const std::string& ip) {
  in_addr v4{};
  if (inet_pton(AF_INET, ip.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, ip.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace maily
