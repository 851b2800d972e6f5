// The rules that a campaign has to keep before it starts: THE TABLE of them, and of those that are kept elsewhere (docs/compliance.md).
//
// Pure; reads the state as decided so far.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maily/campaigns/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "streams/base/ids.h"
#include "streams/state/table.h"

namespace maily::compliance {

// A template that mails of a launch are made of.
struct UsedTemplate {
  std::string path = "/template_id";  // JSON Pointer of what names it
  uint64_t id = 0;
  const templates::v1::TemplateVersion* version = nullptr;  // the newest; null: there is no such template
  bool archived = false;
};

// What counts when a launch is asked for. Pointers outlive the question.
struct Launch {
  const campaigns::v1::CampaignSpec& spec;
  const tenants::v1::Tenant& tenant;
  std::vector<UsedTemplate> templates;
  const domains::v1::Domain* domain = nullptr;  // whose keys sign From; null: none
  bool list_missing = false;                    // the list that it names is none
  std::string missing = {};                     // what else its audience names and is not there; empty: nothing
  bool empty_audience = false;                  // seen by whoever asks
  bool live = false;                            // mail goes to the world
};

// One reason against a launch.
struct Objection {
  std::string path;       // JSON Pointer of what to change: in the campaign, or in the tenant's settings
  std::string_view code;  // of refusal; the id of its rule
  std::string sentence;   // with what to do
};

struct Rule {
  std::string_view id;      // the code of refusal, where it has one
  std::string_view what;    // is wanted
  std::string_view source;  // who wants it
  std::string_view where;   // it is checked
  // Whether the launch breaks it, and then the objection. Null: it is checked elsewhere.
  bool (*broken)(const Launch& launch, Objection& objection) = nullptr;
};
// Those of a launch in the order in which objections are named, then the others.
std::span<const Rule> Rules();

// Every rule that this launch breaks, in the order of the table; empty: it may start.
std::vector<Objection> Objections(const Launch& launch);

// Of these, those that hold for a message as well: the template is there, and From is the tenant's and signed. `launch.spec` has them.
// `marketing`: it also has to name a postal address and to offer an opt-out.
std::vector<Objection> MessageObjections(const Launch& launch, bool marketing = false);

// The address in "Shop <news@example.com>", or the whole if there are no brackets; in lower case.
std::string AddressIn(std::string_view from);
// The sending domain of the tenant that signs mails from that From: of the address's domain, or the nearest one above it that has two
// labels at least. Null: there is none.
const domains::v1::Domain* DomainOf(const state::View<domains::v1::Domain>& domains, TenantId tenant, std::string_view from);

}  // namespace maily::compliance
