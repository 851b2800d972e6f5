// Webhooks without a signature: HTTP basic authentication, and a secret in the URL. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::esp {

inline constexpr size_t kSecretBytesMin = 16;  // of a password or a secret: shorter ones are guessed

// What the operator agreed on with the provider. What is empty is not asked for; a password needs a user.
struct Secret {
  std::string user = {};
  std::string password = {};
  std::string in_url = {};
};

// What a request brought.
struct Credentials {
  std::string_view authorization = {};  // the header: "Basic dXNlcjpwYXNzd29yZA=="
  std::string_view in_url = {};         // that part of the path or the query, decoded
};

// Everything that the secret has must fit; compared in constant time. kInvalid: it does not, or the secret has neither of the two, or one
// is too short.
Result<void> VerifySecret(const Credentials& given, const Secret& secret);

}  // namespace maily::esp
