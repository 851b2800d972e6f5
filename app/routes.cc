// See routes.h.
#include "app/routes.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "app/endpoint.h"
#include "app/held.h"
#include "schemas/address.h"

namespace maily::app {
namespace {

constexpr std::string_view kMembers[] = {"tenant", "domain", "via", "tls", "roots", "user", "password", "from"};

Result<void> TakeDomain(std::string_view text, smtp::RouteRule& rule) {
  rule.below = text.starts_with("*.");
  if (rule.below) text.remove_prefix(2);
  const auto address = schema::ParseAddress("x@" + std::string(text));
  if (!address) return Fail(Code::kInvalid, "'{}' is no domain like example.com or *.example.com", text);
  rule.domain = address->domain;
  return Ok();
}

struct Texts {
  std::string via, tls, roots, user, password, from;
};

Result<std::shared_ptr<const smtp::Smarthost>> RelayOf(const Texts& texts) {
  auto relay = std::make_shared<smtp::Smarthost>();
  MAILY_TRY(relay->host, ParseEndpoint(texts.via));
  const std::string tls = !texts.tls.empty() ? texts.tls : texts.user.empty() ? "opportunistic" : "verified";
  if (tls != "off" && tls != "opportunistic" && tls != "required" && tls != "verified") {
    return Fail(Code::kInvalid, "tls: '{}' is none of off, opportunistic, required and verified", tls);
  }
  relay->use_tls = tls == "off" ? smtp::TlsUse::kNever : tls == "opportunistic" ? smtp::TlsUse::kIfOffered : smtp::TlsUse::kRequired;
  if (tls == "verified") relay->verify = tls::Verify::kRequire;
  if (tls != "off") {
    MAILY_TRY(relay->tls, tls::Context::Client(texts.roots));
  } else if (!texts.roots.empty()) {
    return Fail(Code::kInvalid, "roots: nobody is verified with tls: off");
  }
  if (texts.user.empty() != texts.password.empty()) {
    return Fail(Code::kInvalid, "user and password go together: {} is missing", texts.user.empty() ? "user" : "password");
  }
  if (texts.user.empty()) return std::shared_ptr<const smtp::Smarthost>(std::move(relay));
  if (relay->use_tls != smtp::TlsUse::kRequired) {
    return Fail(Code::kInvalid, "user: a password is only sent over TLS; say tls: verified or required, not {}", tls);
  }
  if (!IsHeldElsewhere(texts.password)) return Fail(Code::kInvalid, "password: it is env:NAME or file:PATH, which hold it");
  MAILY_TRY(std::string secret, Held("password", texts.password));
  relay->login = smtp::Login{texts.user, std::move(secret)};
  return std::shared_ptr<const smtp::Smarthost>(std::move(relay));
}

Result<smtp::RouteRule> ReadOne(const std::string& path, const YAML::Node& entry, const SourceFile& sources) {
  const auto wrong = [&](const YAML::Node& at, const std::string& what) {
    return Fail(Code::kInvalid, "{}:{}: {}", path, at.Mark().line + 1, what);
  };
  if (!entry.IsMap()) return wrong(entry, "a route is a map with members like domain and via");
  smtp::RouteRule rule;
  Texts texts;
  for (const auto& member : entry) {
    const auto name = member.first.as<std::string>();
    if (std::ranges::find(kMembers, name) == std::end(kMembers)) {
      return wrong(member.first,
                   fmt::format("unknown member '{}'; there are tenant, domain, via, tls, roots, user, password and from", name));
    }
    if (!member.second.IsScalar()) return wrong(member.second, fmt::format("{} is one value", name));
    if (name == "tenant") {
      uint32_t tenant = 0;
      if (!YAML::convert<uint32_t>::decode(member.second, tenant) || tenant == 0) return wrong(member.second, "tenant is a number from 1");
      rule.tenant = TenantId(tenant);
    } else if (name == "domain") {
      if (const auto taken = TakeDomain(member.second.Scalar(), rule); !taken) return wrong(member.second, taken.error().message);
    } else {
      (name == "via"     ? texts.via
       : name == "tls"   ? texts.tls
       : name == "roots" ? texts.roots
       : name == "user"  ? texts.user
       : name == "from"  ? texts.from
                         : texts.password) = member.second.Scalar();
    }
  }
  if (texts.via.empty()) return wrong(entry, "a route says via: host:port of a relay, or mx");
  if (texts.via == "mx") {
    if (entry.size() > 1 + (rule.tenant ? 1u : 0u) + (rule.domain.empty() ? 0u : 1u) + (texts.from.empty() ? 0u : 1u)) {
      return wrong(entry, "tls, roots, user and password are of a relay, and this goes by mx");
    }
    if (texts.from.empty()) return rule;
    rule.from = sources.Pool(texts.from);
    if (!rule.from)
      return wrong(entry["from"], fmt::format("from: the file of the setting sources has no pool or source '{}'", texts.from));
    return rule;
  }
  if (!texts.from.empty()) return wrong(entry["from"], "from is of mails that go by mx, and these are handed to a relay");
  auto relay = RelayOf(texts);
  if (!relay) return wrong(entry, relay.error().message);
  rule.via = std::move(*relay);
  return rule;
}

}  // namespace

Result<std::vector<smtp::RouteRule>> ReadRoutes(const std::string& path, const SourceFile& sources) {
  std::vector<smtp::RouteRule> rules;
  if (path.empty()) return rules;
  try {
    const YAML::Node file = YAML::LoadFile(path);
    if (!file.IsNull() && !file.IsSequence()) return Fail(Code::kInvalid, "{}: it is no list of routes", path);
    for (const YAML::Node& entry : file) {
      MAILY_TRY(smtp::RouteRule rule, ReadOne(path, entry, sources));
      rules.push_back(std::move(rule));
    }
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalid, "{}: {}", path, error.what());
  }
  return rules;
}

}  // namespace maily::app
