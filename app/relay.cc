// See relay.h.
#include "app/relay.h"

#include "app/endpoint.h"
#include "app/held.h"

namespace maily::app {

Result<smtp::SharedOptions> RelayOptions(const Config& config) {
  smtp::SharedOptions options;
  MAILY_TRY(options.relay, ParseEndpoint(config.Text("relay")));
  options.session.helo = config.Text("helo_name");
  const std::string& tls = config.Text("relay_tls");
  options.session.tls = tls == "off" ? smtp::TlsUse::kNever : tls == "opportunistic" ? smtp::TlsUse::kIfOffered : smtp::TlsUse::kRequired;
  if (tls == "verified") options.verify = tls::Verify::kRequire;
  if (options.session.tls != smtp::TlsUse::kNever) {
    MAILY_TRY(options.tls, tls::Context::Client(config.Text("relay_roots")));
  }
  const std::string& user = config.Text("relay_user");
  const std::string& password = config.Text("relay_password");
  if (user.empty() != password.empty()) {
    return Fail(Code::kInvalid, "relay_user and relay_password go together: {} is missing", user.empty() ? "relay_user" : "relay_password");
  }
  if (user.empty()) return options;
  if (options.session.tls != smtp::TlsUse::kRequired) {
    return Fail(Code::kInvalid, "relay_user: a password is only sent over TLS; set relay_tls to verified or required, not {}", tls);
  }
  MAILY_TRY(std::string secret, Held("relay_password", password));
  options.session.login = smtp::Login{user, std::move(secret)};
  return options;
}

}  // namespace maily::app
