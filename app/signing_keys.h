// Makes the keys of sending domains, with the code that signs mails.
#pragma once

#include "api/api.h"

namespace maily::app {

// As api::Dependencies::make_signing_keys wants it: "m1r" with RSA, "m1e" with Ed25519. An RSA key takes some 100 ms of a processor.
// Thread: any.
std::vector<api::SigningKeyPair> MakeSigningKeys(uint32_t generation, const std::vector<std::string>& algorithms);

}  // namespace maily::app
