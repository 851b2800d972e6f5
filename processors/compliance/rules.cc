// See rules.h.
#include "processors/compliance/rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "processors/personalization/template.h"
#include "schemas/address.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::compliance {
namespace {

std::string DomainIn(std::string_view from) {
  const std::string address = AddressIn(from);
  const auto parsed = schema::ParseAddress(address);
  return parsed ? parsed->domain : address.substr(std::min(address.rfind('@') + 1, address.size()));
}

bool HasUnsubscribeLink(const templates::v1::TemplateVersion& version) {
  std::vector<personalization::PartialSource> partials;
  for (const auto& partial : version.partials()) partials.push_back({partial.name(), partial.html(), partial.text()});
  const auto has = [&](const auto& of) {
    const auto parsed = personalization::Parse({of.subject(), of.html(), of.text(), {}, {}, partials});
    return (of.html().empty() || parsed.html_has_unsubscribe_url) && (of.text().empty() || parsed.text_has_unsubscribe_url);
  };
  return has(version) && std::ranges::all_of(version.variants(), has);
}

// Whether it is so with one of its templates. The objection is to the first of these, and says a sentence of each.
template <class Is, class Says>
bool AnyTemplate(const Launch& launch, std::string_view code, Is is, Says says, Objection& out) {
  out = {"", code, ""};
  for (const UsedTemplate& used : launch.templates) {
    if (!is(used)) continue;
    if (out.path.empty()) out.path = used.path;
    out.sentence += (out.sentence.empty() ? "" : "; ") + says(used);
  }
  return !out.path.empty();
}

bool TemplateNotFound(const Launch& launch, Objection& out) {
  const auto says = [](const UsedTemplate& used) { return fmt::format("there is no template {}", used.id); };
  return AnyTemplate(launch, "template_not_found", [](const UsedTemplate& used) { return used.version == nullptr; }, says, out);
}

bool TemplateArchived(const Launch& launch, Objection& out) {
  const auto says = [](const UsedTemplate& used) {
    return fmt::format("template {0} is archived: restore it (maily template restore {0}), or take another", used.id);
  };
  return AnyTemplate(launch, "template_archived", [](const UsedTemplate& used) { return used.archived; }, says, out);
}

bool FromNotVerified(const Launch& launch, Objection& out) {
  out = {"/from", "from_not_verified", "the address in from is not among the senders of this tenant; add it to the settings first"};
  const std::string from = AddressIn(launch.spec.from());
  return std::ranges::none_of(launch.tenant.senders(), [&](const std::string& sender) { return AddressIn(sender) == from; });
}

bool DomainMissing(const Launch& launch, Objection& out) {
  const std::string domain = DomainIn(launch.spec.from());
  out = {
      "/from", "domain_missing",
      fmt::format("mails from {0} would not be signed: add it as a sending domain, maily domain add {0}, and publish its records", domain)};
  return launch.live && launch.domain == nullptr;
}

bool DomainUnchecked(const Launch& launch, Objection& out) {
  const bool never = launch.domain != nullptr && launch.domain->checked_at_us() == 0;
  out = {"/from", "domain_unchecked",
         fmt::format("the sending domain of {} {}: publish what maily domain show says, then maily domain check it",
                     DomainIn(launch.spec.from()), never ? "was never checked" : "did not pass its last check")};
  return launch.live && launch.domain != nullptr && (never || !launch.domain->passed());
}

bool PostalAddressMissing(const Launch& launch, Objection& out) {
  out = {"/postal_address", "postal_address_missing", "marketing mail must name a postal address; set postal_address in the settings"};
  return launch.tenant.postal_address().empty();
}

bool UnsubscribeLinkMissing(const Launch& launch, Objection& out) {
  const auto says = [](const UsedTemplate& used) {
    return fmt::format("every part of template {} needs {{{{ unsubscribe_url }}}}", used.id);
  };
  const auto lacks = [](const UsedTemplate& used) { return used.version != nullptr && !HasUnsubscribeLink(*used.version); };
  return AnyTemplate(launch, "unsubscribe_link_missing", lacks, says, out);
}

bool ListNotFound(const Launch& launch, Objection& out) {
  out = {"/list_id", "list_not_found", fmt::format("there is no list {}", launch.spec.list_id())};
  return launch.list_missing;
}

bool AudienceMissing(const Launch& launch, Objection& out) {
  out = {"/segment_ids", "audience_missing", launch.missing};
  return !launch.missing.empty();
}

bool EmptyAudience(const Launch& launch, Objection& out) {
  out = {"/list_id", "empty_audience", "the audience is empty, nobody would get this campaign; add members to the list, or choose another"};
  return launch.empty_audience && !launch.spec.evergreen() && !launch.list_missing && launch.missing.empty();
}

constexpr std::string_view kAtLaunch = "launch";
constexpr std::string_view kAtLiveLaunch = "launch of a live instance";

constexpr Rule kRules[] = {
    {"template_not_found", "the template is there, and each that an arm has of its own", "Maily", kAtLaunch, TemplateNotFound},
    {"template_archived", "none of them is archived", "Maily", kAtLaunch, TemplateArchived},
    {"from_not_verified", "From is one of the tenant's senders: headers are truthful", "CAN-SPAM", kAtLaunch, FromNotVerified},
    {"domain_missing", "From is aligned with a domain whose DKIM keys are held here", "Gmail, Yahoo, Microsoft", kAtLiveLaunch,
     DomainMissing},
    {"domain_unchecked", "DKIM, SPF, DMARC, alignment, return path, PTR and one-click of the domain passed their last check",
     "Gmail, Yahoo, Microsoft, RFC 8058", kAtLiveLaunch, DomainUnchecked},
    {"postal_address_missing", "the tenant has a postal address", "CAN-SPAM", kAtLaunch, PostalAddressMissing},
    {"unsubscribe_link_missing", "every part of each template has an opt-out", "CAN-SPAM, GDPR Art. 7(3)", kAtLaunch,
     UnsubscribeLinkMissing},
    {"list_not_found", "the list of the audience is there", "Maily", kAtLaunch, ListNotFound},
    {"audience_missing", "the lists and segments of the audience, and those that it excludes, are there", "Maily", kAtLaunch,
     AudienceMissing},
    {"empty_audience", "somebody would get it; not asked of an evergreen campaign", "Maily", kAtLaunch, EmptyAudience},
    {"dkim", "each key that signs is published as it is", "RFC 6376 3.6.1", "maily domain check"},
    {"spf", "one v=spf1 record, of at most 10 lookups, that does not let everybody send", "RFC 7208", "maily domain check"},
    {"dmarc", "a v=DMARC1 record with p=none at least", "Gmail, Yahoo, Microsoft", "maily domain check"},
    {"alignment", "MAIL FROM and d= are at or below the domain", "RFC 7489 3.1", "maily domain check"},
    {"return_path_mx", "bounces have a host that takes them in", "RFC 5321", "maily domain check"},
    {"ptr", "each source address has forward-confirmed reverse DNS", "Gmail", "maily domain check"},
    {"one_click", "links begin with https, and their host resolves", "RFC 8058 3.1", "maily domain check, maily serve"},
    {"one_click_headers", "List-Unsubscribe and List-Unsubscribe-Post are in every mail", "RFC 8058 3.1, RFC 2369",
     "processors/effects/smtp/message.cc"},
    {"one_click_signed", "both are covered by every DKIM signature (h=)", "RFC 8058 4", "processors/effects/dkim/signed_fields.h"},
    {"one_click_post", "a POST opts out without login, cookies or redirect; a GET does not", "RFC 8058 3.2", "api/tracking.cc"},
    {"unsubscribed", "nobody who opted out gets it, when it is planned and at every attempt", "CAN-SPAM, GDPR Art. 21(3)",
     "processors/compliance/gate.h"},
    {"consent_not_recorded", "whoever is on the list has consented to it; else the answer to a launch warns, with their number",
     "GDPR Art. 7(1)", "api/campaigns.cc"},
    {"unconfirmed", "nobody who was asked to confirm, and has not, gets it, when it is planned and at every attempt", "GDPR Art. 7(1)",
     "processors/compliance/gate.h"},
    {"suppressed", "no address that is suppressed, by itself or its domain, gets it, when it is planned and at every attempt", "Maily",
     "processors/compliance/gate.h"},
    {"suppressed_by_bounce", "an address that a server says does not exist is suppressed at once; one that bounces softly for a week, then",
     "Gmail, Yahoo, Microsoft", "processors/suppressions/decide.cc"},
    {"suppressed_by_complaint", "whoever reports a mail is suppressed at once", "Gmail, Yahoo, RFC 5965",
     "processors/suppressions/decide.cc"},
    {"suppressed_for_good", "a suppression outlives the erasure of its contact, as a keyed hash, and is lifted only for a reason",
     "GDPR Art. 17, 21(3)", "processors/suppressions/decide.cc"},
    {"hard_bounces", "at most 5 % of the sends go to addresses that are bad for good, else the campaign pauses", "Maily",
     "processors/campaigns/safety.h"},
    {"complaints", "fewer than 0.3 % of the mails delivered are complained of, else the campaign pauses", "Gmail, Yahoo",
     "processors/campaigns/safety.h"},
    {"policy", "at most 5 % of a site's replies refuse the sender (X.7.x), else the campaign pauses", "RFC 3463 3.8",
     "processors/campaigns/safety.h"},
};

}  // namespace

std::span<const Rule> Rules() { return kRules; }

std::vector<Objection> Objections(const Launch& launch) {
  std::vector<Objection> objections;
  for (const Rule& rule : kRules) {
    Objection objection;
    if (rule.broken != nullptr && rule.broken(launch, objection)) objections.push_back(std::move(objection));
  }
  return objections;
}

std::vector<Objection> MessageObjections(const Launch& launch, bool marketing) {
  std::vector<Objection> objections;
  for (const auto broken : {TemplateNotFound, TemplateArchived, FromNotVerified, DomainMissing, DomainUnchecked, PostalAddressMissing,
                            UnsubscribeLinkMissing}) {
    Objection objection;
    if (!marketing && (broken == PostalAddressMissing || broken == UnsubscribeLinkMissing)) continue;
    if (broken(launch, objection)) objections.push_back(std::move(objection));
  }
  return objections;
}

std::string AddressIn(std::string_view from) {
  const size_t open = from.rfind('<');
  const size_t close = from.rfind('>');
  if (open != std::string_view::npos && close != std::string_view::npos && close > open) from = from.substr(open + 1, close - open - 1);
  std::string address(from);
  for (char& c : address) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return address;
}

const domains::v1::Domain* DomainOf(const state::View<domains::v1::Domain>& domains, TenantId tenant, std::string_view from) {
  std::string name = DomainIn(from);
  while (name.find('.') != std::string::npos) {
    if (const domains::v1::Domain* found = domains.Find(state::Key(tenant, name))) return found;
    name.erase(0, name.find('.') + 1);
  }
  return nullptr;
}

}  // namespace maily::compliance
