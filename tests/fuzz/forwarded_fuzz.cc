// What requests say of who asks: whatever it is, the answer is an address that no proxy has, a proxy's, or nobody.
#include <arpa/inet.h>

#include "api/http/forwarded.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

constexpr const char* kPeer = "10.0.0.7";

const http::Proxies& Trusting(bool rfc7239) {
  static const std::vector<std::string> networks{"10.0.0.0/8", "2001:db8:1::/48"};
  static const http::Proxies by[] = {http::ParseProxies(networks, "x-forwarded-for").value(),
                                     http::ParseProxies(networks, "forwarded").value()};
  return by[rfc7239 ? 1 : 0];
}

bool IsAddress(const std::string& text) {
  uint8_t bytes[16];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const bool rfc7239 = (fuzz::TakeByte(input) & 1) != 0;
  const http::Proxies& proxies = fuzz::Trusting(rfc7239);
  const char* const name = rfc7239 ? "forwarded" : "x-forwarded-for";
  http::Headers headers;
  std::string_view rest = input;
  while (!rest.empty()) headers.Add(name, fuzz::TakeUntil(rest, '\n'));
  const std::string client = proxies.ClientOf(fuzz::kPeer, headers);
  MAILY_CHECK(client.empty() || fuzz::IsAddress(client), "{} is no address", client);
  MAILY_CHECK(proxies.ClientOf("203.0.113.5", headers) == "203.0.113.5", "a stranger's word is taken");
  // What the nearest proxy adds on the right decides, whatever stands before it.
  headers.Add(name, rfc7239 ? "for=198.51.100.9" : "198.51.100.9");
  MAILY_CHECK(proxies.ClientOf(fuzz::kPeer, headers) == "198.51.100.9", "a client has chosen its address");
  if (const auto cidr = http::Cidr::Parse(input)) {
    const std::string network(input.substr(0, input.find('/')));
    MAILY_CHECK(cidr->Contains(network), "{} is not in itself", network);
  }
  return 0;
}
