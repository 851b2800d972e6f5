// THE TABLE of read models: a group is one database with one position a partition, rebuilt and switched whole.
#include "projections/read_models.h"

#include "projections/assets/fold.h"
#include "projections/campaign_tests/fold.h"
#include "projections/campaign_timing/fold.h"
#include "projections/campaign_totals/fold.h"
#include "projections/campaigns/fold.h"
#include "projections/consents/fold.h"
#include "projections/contacts/fold.h"
#include "projections/dead_letters/fold.h"
#include "projections/domains/fold.h"
#include "projections/engagements/fold.h"
#include "projections/imports/fold.h"
#include "projections/journeys/fold.h"
#include "projections/lists/fold.h"
#include "projections/messages/fold.h"
#include "projections/segments/fold.h"
#include "projections/sends/fold.h"
#include "projections/sites/fold.h"
#include "projections/suppressions/fold.h"
#include "projections/templates/fold.h"
#include "projections/tenants/fold.h"

namespace maily::projections {

const std::vector<Group>& ReadModelGroups() {
  static const std::vector<Group> groups = {
      {"people",
       {TenantsReadModel(), DomainsReadModel(), ListsReadModel(), SuppressionsReadModel(), SegmentsReadModel(), JourneysReadModel(),
        ContactsReadModel(), ImportsReadModel(), ConsentsReadModel()}},
      {"campaigns",
       {TemplatesReadModel(), AssetsReadModel(), CampaignsReadModel(), CampaignTestsReadModel(), CampaignTimingReadModel(),
        SendsReadModel(), MessagesReadModel(), EngagementsReadModel(), CampaignTotalsReadModel(), SitesReadModel(),
        DeadLettersReadModel()}},
  };
  return groups;
}

std::vector<GroupQueries> ReadModelQueries() {
  std::vector<GroupQueries> all;
  for (const Group& group : ReadModelGroups()) {
    GroupQueries queries{.group = group.name};
    for (const ReadModel& model : group.models) queries.queries_sql.push_back(model.queries_sql);
    all.push_back(std::move(queries));
  }
  return all;
}

}  // namespace maily::projections
