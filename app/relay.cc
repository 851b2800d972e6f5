// See relay.h.
#include "app/relay.h"

#include "app/endpoint.h"
#include "app/held.h"
#include "app/routes.h"
#include "app/site_policies.h"
#include "app/tenant_weights.h"

namespace maily::app {

Result<smtp::SharedOptions> RelayOptions(const Config& config) {
  smtp::SharedOptions options;
  MAILY_TRY(options.relay, ParseEndpoint(config.Text("relay")));
  MAILY_TRY(options.returns, ReturnsOf(config));
  options.session.helo = config.Text("helo_name");
  MAILY_TRY(options.weight_of, TenantWeights(config.Text("tenant_weights")));
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
  if (config.Text("routing") == "mx") return Fail(Code::kInvalid, "relay_user: a login is for a relay, and routing is mx");
  if (options.session.tls != smtp::TlsUse::kRequired) {
    return Fail(Code::kInvalid, "relay_user: a password is only sent over TLS; set relay_tls to verified or required, not {}", tls);
  }
  MAILY_TRY(std::string secret, Held("relay_password", password));
  options.session.login = smtp::Login{user, std::move(secret)};
  return options;
}

namespace {

Result<void> SetTls(const Config& config, smtp::StsOptions& sts) {
  MAILY_TRY(sts.tls, tls::Context::Client(config.Text("relay_roots")));
  return Ok();
}

}  // namespace

Result<smtp::Returns> ReturnsOf(const Config& config) {
  smtp::Returns returns;
  if (const std::string& host = config.Text("mail_host"); !host.empty()) {
    auto name = HostName(host);
    if (!name) return Fail(Code::kInvalid, "{}: mail_host: {}", config.Source("mail_host"), name.error().message);
    returns.opt_out_host = *std::move(name);
  }
  returns.honeypot = config.Text("honeypot_links") == "on";
  using enum smtp::Returns::Provider;
  const std::string& provider = config.Text("relay_provider");
  returns.provider = provider == "sendgrid" ? kSendGrid : provider == "postmark" ? kPostmark : kNone;
  if (returns.provider != kNone && config.Text("routing") == "mx" && config.Text("routes").empty())
    return Fail(Code::kInvalid, "relay_provider: {} is a relay, and routing is mx", provider);
  return returns;
}

Result<std::shared_ptr<smtp::MxOptions>> MxOptionsOf(const Config& config, Resolver& resolver, size_t workers) {
  if (config.Text("dane") == "on") {
    return Fail(Code::kInvalid, "{}: dane is not implemented: answers of the DNS are not validated here (DNSSEC); mta_sts is",
                config.Source("dane"));
  }
  if (config.Text("routing") != "mx") {
    if (!config.Text("sources").empty()) return Fail(Code::kInvalid, "sources: mails leave from them by the DNS, and routing is relay");
    if (!config.Text("routes").empty()) return Fail(Code::kInvalid, "routes: they are exceptions from the DNS, and routing is relay");
    return std::shared_ptr<smtp::MxOptions>();
  }
  auto mx = std::make_shared<smtp::MxOptions>();
  MAILY_TRY(smtp::Sites::PolicyOf policy_of, ReadSitePolicies(config.Text("site_policies")));
  MAILY_TRY(const SourceFile sources, ReadSources(config.Text("sources")));
  MAILY_TRY(mx->routes, ReadRoutes(config.Text("routes"), sources));
  mx->from = sources.Pool(kDefaultPool);
  mx->resolver = &resolver;
  mx->sites = std::make_shared<smtp::Sites>(std::move(policy_of));
  mx->workers = workers;
  mx->port = static_cast<uint16_t>(config.Number("mx_port"));
  mx->private_allowed = config.Text("mx_private") == "on";
  if (config.Text("mta_sts") == "on") MAILY_TRY_VOID(SetTls(config, mx->sts));
  return mx;
}

}  // namespace maily::app
