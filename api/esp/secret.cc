// See secret.h.
#include "api/esp/secret.h"

#include "api/esp/signature.h"
#include "api/esp/verdict.h"
#include "streams/base/base64.h"

namespace maily::esp {
namespace {

constexpr size_t kHeaderBytesMax = 4096;

// "user:password" of the header (RFC 7617 §2); empty if it is no such header.
std::string UserAndPassword(std::string_view authorization) {
  constexpr std::string_view kScheme = "Basic ";
  if (authorization.size() > kHeaderBytesMax || !SameName(authorization.substr(0, kScheme.size()), kScheme)) return {};
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  return FromBase64(authorization).value_or(std::string());
}

}  // namespace

Result<void> VerifySecret(const Credentials& given, const Secret& secret) {
  const bool basic = !secret.user.empty() || !secret.password.empty();
  if (!basic && secret.in_url.empty())
    return Fail(Code::kInvalid, "no secret is configured for this webhook: set a password or one in its URL");
  if (basic && (secret.user.empty() || secret.user.find(':') != std::string::npos || secret.password.size() < kSecretBytesMin)) {
    return Fail(Code::kInvalid, "the webhook's user and password are not usable: a user without ':', and a password of {} bytes at least",
                kSecretBytesMin);
  }
  if (!secret.in_url.empty() && secret.in_url.size() < kSecretBytesMin)
    return Fail(Code::kInvalid, "the secret in the webhook's URL is too short: use {} bytes at least", kSecretBytesMin);
  // Both are compared whatever the first gives.
  const bool basic_fits = !basic || SameSecret(UserAndPassword(given.authorization), secret.user + ":" + secret.password);
  const bool url_fits = secret.in_url.empty() || SameSecret(given.in_url, secret.in_url);
  if (basic_fits && url_fits) return Ok();
  return Fail(Code::kInvalid, "the password or the secret in the URL does not fit");
}

}  // namespace maily::esp
