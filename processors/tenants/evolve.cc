// See evolve.h.
#include "processors/tenants/evolve.h"

#include "maily/tenants/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/state/key.h"

namespace maily::tenants {

void Evolve(task::Fold& fold, const v1::TenantCreated& event) {
  fold.table<v1::TenantName>().Edit(state::Key(TenantId(0), event.name())).set_tenant_id(event.tenant_id());
  fold.table<v1::TenantCounter>().Edit(state::Key(TenantId(0))).set_last_tenant_id(event.tenant_id());
}

void Evolve(task::Fold& fold, const v1::SettingsChanged& event) {
  v1::Tenant& tenant = fold.table<v1::Tenant>().Edit(state::Key(fold.tenant()));
  if (event.senders_size() > 0) *tenant.mutable_senders() = event.senders();
  if (!event.postal_address().empty()) tenant.set_postal_address(event.postal_address());
  if (!event.company().empty()) tenant.set_company(event.company());
  if (event.tracking() != v1::TRACKING_UNSPECIFIED) tenant.set_tracking(event.tracking());
  if (event.has_holdout_bp()) tenant.set_holdout_bp(event.holdout_bp());
  if (event.has_approval_over()) tenant.set_approval_over(event.approval_over());
  if (!event.time_zone().empty()) tenant.set_time_zone(event.time_zone());
  if (event.has_quiet_hours()) *tenant.mutable_quiet_hours() = event.quiet_hours();
  if (event.has_cap()) *tenant.mutable_cap() = event.cap();
  if (event.overdue_minutes() != 0) tenant.set_overdue_minutes(event.overdue_minutes());
  if (event.has_safety()) tenant.mutable_safety()->MergeFrom(event.safety());
}

void Evolve(task::Fold& fold, const v1::AttributeRegistered& event) {
  v1::AttributeDefinition& definition = *fold.table<v1::Tenant>().Edit(state::Key(fold.tenant())).add_attributes();
  definition.set_name(event.name());
  definition.set_attribute_type(event.attribute_type());
  definition.set_personal(event.personal());
}

void Evolve(task::Fold& fold, const v1::ApiKeyCreated& event) {
  v1::ApiKey& key = *fold.table<v1::Tenant>().Edit(state::Key(fold.tenant())).add_api_keys();
  key.set_key_id(event.key_id());
  key.set_secret_hash(event.secret_hash());
  *key.mutable_scopes() = event.scopes();
  key.set_label(event.label());
}

void Evolve(task::Fold& fold, const v1::ApiKeyRevoked& event) {
  for (v1::ApiKey& key : *fold.table<v1::Tenant>().Edit(state::Key(fold.tenant())).mutable_api_keys()) {
    if (key.key_id() == event.key_id()) key.set_revoked(true);
  }
}

}  // namespace maily::tenants
