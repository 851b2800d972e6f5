// See smarthost.h.
#include "processors/effects/smtp/smarthost.h"

#include <algorithm>

namespace maily::smtp {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool SameName(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char a, char b) { return Lower(a) == b; });
}

}  // namespace

bool RouteRule::Fits(TenantId of, std::string_view recipient_domain) const {
  if (tenant && *tenant != of) return false;
  if (domain.empty()) return true;
  if (!below) return SameName(recipient_domain, domain);
  return recipient_domain.size() > domain.size() + 1 && recipient_domain[recipient_domain.size() - domain.size() - 1] == '.' &&
         SameName(recipient_domain.substr(recipient_domain.size() - domain.size()), domain);
}

const RouteRule* RuleOf(const std::vector<RouteRule>& rules, TenantId tenant, std::string_view recipient_domain) {
  const auto rule = std::ranges::find_if(rules, [&](const RouteRule& one) { return one.Fits(tenant, recipient_domain); });
  return rule == rules.end() ? nullptr : &*rule;
}

}  // namespace maily::smtp
