// See signing_keys.h.
#include "app/signing_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/effects/dkim/key.h"

namespace maily::app {

std::vector<api::SigningKeyPair> MakeSigningKeys(uint32_t generation, const std::vector<std::string>& algorithms) {
  std::vector<api::SigningKeyPair> pairs;
  for (const auto& [algorithm, letter] : {std::pair(dkim::Algorithm::kRsaSha256, 'r'), std::pair(dkim::Algorithm::kEd25519Sha256, 'e')}) {
    if (std::ranges::find(algorithms, dkim::AlgorithmName(algorithm)) == algorithms.end()) continue;
    const dkim::PrivateKey key = dkim::PrivateKey::Generate(algorithm);
    pairs.push_back({.selector = fmt::format("m{}{}", generation, letter),
                     .algorithm = std::string(dkim::AlgorithmName(algorithm)),
                     .dns_value = key.DnsValue(),
                     .private_pem = key.ToPem()});
  }
  return pairs;
}

}  // namespace maily::app
