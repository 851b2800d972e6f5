// See decide.h.
#include "processors/domains/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/domains/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::domains {
namespace {

using journal::Outcome;

constexpr size_t kNameBytesMax = 253;  // RFC 1035 §2.3.4
constexpr size_t kLabelBytesMax = 63;  // the same
constexpr size_t kValueBytesMax = 2'000;
constexpr size_t kPrivateBytesMax = 8'000;

// Of `labels_min` labels at least, in lower case: letters, digits, dashes inside.
bool IsName(std::string_view name, int labels_min) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  int labels = 0;
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > kLabelBytesMax || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; })) return false;
    ++labels;
    if (label.size() == name.size()) return labels >= labels_min;
    name.remove_prefix(label.size() + 1);
  }
}

// Empty: they can be taken.
template <class Keys>
std::string WhyNot(const Keys& keys) {
  if (keys.empty() || keys.size() > kKeysMax) return fmt::format("a domain has 1 to {} keys", kKeysMax);
  for (const v1::SigningKey& key : keys) {
    if (!IsName(key.selector(), 1)) return fmt::format("\"{}\" is no selector", key.selector());
    if (key.algorithm() != "rsa-sha256" && key.algorithm() != "ed25519-sha256")
      return fmt::format("\"{}\" is no algorithm", key.algorithm());
    if (key.dns_value().empty() || key.dns_value().size() > kValueBytesMax || key.private_key().empty() ||
        key.private_key().size() > kPrivateBytesMax) {
      return fmt::format("the key {} has no DNS value, no private half, or one that is too long", key.selector());
    }
  }
  return {};
}

// Null: the command was refused.
const v1::Domain* DomainOrRefuse(task::Context& context, const std::string& name) {
  const auto* domain = context.view<v1::Domain>().Find(state::Key(context.tenant(), name));
  if (domain == nullptr) context.Refuse(Outcome::kNotFound, "domain_not_found", fmt::format("there is no domain \"{}\"", name));
  return domain;
}

bool IsPending(const v1::SigningKey& key) { return key.active_from_us() == 0; }

}  // namespace

// ---- In the home ----

void Decide(task::Context& context, const v1::AddDomain& command) {
  if (!IsName(command.name(), 2)) {
    return context.Refuse(Outcome::kInvalid, "invalid_domain", fmt::format("\"{}\" is no domain like example.com", command.name()));
  }
  if (!command.return_path().empty() && command.return_path() != command.name() && !command.return_path().ends_with("." + command.name())) {
    return context.Refuse(Outcome::kInvalid, "invalid_domain",
                          fmt::format("the return path is {} itself or a name below it, so that SPF is aligned", command.name()));
  }
  if (!command.return_path().empty() && !IsName(command.return_path(), 2)) {
    return context.Refuse(Outcome::kInvalid, "invalid_domain", fmt::format("\"{}\" is no host name", command.return_path()));
  }
  if (const std::string why = WhyNot(command.keys()); !why.empty()) return context.Refuse(Outcome::kInvalid, "invalid_domain", why);
  if (context.view<v1::Domain>().Find(state::Key(context.tenant(), command.name())) != nullptr) {
    return context.Refuse(Outcome::kConflict, "domain_exists", fmt::format("there is a domain \"{}\" already", command.name()));
  }
  int count = 0;
  context.view<v1::Domain>().Scan(state::Key(context.tenant()), {},
                                  [&](std::string_view, const v1::Domain&) { return ++count < kDomainsMax; });
  if (count >= kDomainsMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_domains", fmt::format("a tenant has at most {} domains", kDomainsMax));
  }
  v1::DomainAdded added;
  added.set_name(command.name());
  added.set_return_path(command.return_path());
  *added.mutable_keys() = command.keys();
  context.Emit(added);
}

void Decide(task::Context& context, const v1::AddDomainKeys& command) {
  const v1::Domain* domain = DomainOrRefuse(context, command.name());
  if (domain == nullptr) return;
  if (const std::string why = WhyNot(command.keys()); !why.empty()) return context.Refuse(Outcome::kInvalid, "invalid_domain", why);
  if (std::ranges::any_of(domain->keys(), IsPending)) {
    return context.Refuse(Outcome::kConflict, "keys_pending",
                          "there are new keys already that do not sign yet; publish them in the DNS and activate them");
  }
  const bool taken = std::ranges::any_of(command.keys(), [&](const v1::SigningKey& key) {
    return std::ranges::any_of(domain->keys(), [&](const v1::SigningKey& known) { return known.selector() == key.selector(); });
  });
  if (taken || command.generation() != domain->generation() + 1) {
    return context.Refuse(Outcome::kConflict, "keys_conflict", "the keys were changed meanwhile; look at the domain and ask again");
  }
  v1::DomainKeysAdded added;
  added.set_name(command.name());
  added.set_generation(command.generation());
  *added.mutable_keys() = command.keys();
  context.Emit(added);
}

void Decide(task::Context& context, const v1::ActivateDomainKeys& command) {
  const v1::Domain* domain = DomainOrRefuse(context, command.name());
  if (domain == nullptr) return;
  v1::DomainKeysActivated activated;
  activated.set_name(command.name());
  for (const v1::SigningKey& key : domain->keys()) {
    if (IsPending(key)) *activated.add_keys() = key;
  }
  if (activated.keys().empty()) {
    return context.Refuse(Outcome::kConflict, "no_keys_pending", "all keys of this domain sign already; rotate makes new ones");
  }
  context.Emit(activated);
}

void Decide(task::Context& context, const v1::RecordDomainCheck& command) {
  if (DomainOrRefuse(context, command.name()) == nullptr) return;
  if (command.lines().empty() || command.lines_size() > kCheckLinesMax) {
    return context.Refuse(Outcome::kInvalid, "invalid_check", fmt::format("a check has 1 to {} lines", kCheckLinesMax));
  }
  v1::DomainChecked checked;
  checked.set_name(command.name());
  *checked.mutable_lines() = command.lines();
  checked.set_passed(std::ranges::all_of(command.lines(), &v1::CheckLine::ok));
  context.Emit(checked);
}

void Decide(task::Context& context, const v1::RemoveDomain& command) {
  if (DomainOrRefuse(context, command.name()) == nullptr) return;
  v1::DomainRemoved removed;
  removed.set_name(command.name());
  context.Emit(removed);
}

// ---- In each partition ----
// Keys sign from the microsecond after the decision on: what was opened before it in the same frame stays as it was.

void Decide(task::Context& context, const v1::DomainAdded& added) {
  v1::SigningChanged changed;
  changed.set_name(added.name());
  changed.set_return_path(added.return_path());
  for (const v1::SigningKey& key : added.keys()) {
    v1::SigningKey& active = *changed.add_keys();
    active = key;
    active.set_active_from_us(context.now().us + 1);
  }
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::DomainKeysActivated& activated) {
  const auto* signing = context.view<v1::SigningDomain>().Find(state::Key(context.tenant(), activated.name()));
  if (signing == nullptr) return context.Unchanged();
  const int64_t from = context.now().us + 1;
  v1::SigningChanged changed;
  changed.set_name(activated.name());
  changed.set_return_path(signing->return_path());
  for (const v1::SigningKey& key : activated.keys()) {
    v1::SigningKey& active = *changed.add_keys();
    active = key;
    active.set_active_from_us(from);
  }
  for (const v1::SigningKey& key : signing->keys()) {
    if (key.active_to_us() != 0 && from - key.active_to_us() > kKeptAfterRetired.us) continue;
    v1::SigningKey& kept = *changed.add_keys();
    kept = key;
    if (kept.active_to_us() == 0) kept.set_active_to_us(from);
  }
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::DomainRemoved& removed) {
  if (context.view<v1::SigningDomain>().Find(state::Key(context.tenant(), removed.name())) == nullptr) return context.Unchanged();
  v1::SigningChanged changed;
  changed.set_name(removed.name());
  context.Emit(changed);
}

}  // namespace maily::domains
