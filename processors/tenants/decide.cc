// See decide.h.
#include "processors/tenants/decide.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/tenants/v1/events.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/safety.h"
#include "schemas/types.h"
#include "schemas/wall_time.h"
#include "streams/state/key.h"

namespace maily::tenants {
namespace {

using journal::Outcome;

constexpr size_t kTenantNameBytesMax = 40;
constexpr size_t kAttributeNameBytesMax = 63;
constexpr size_t kSettingBytesMax = 500;
constexpr size_t kAddressBytesMax = 254;  // RFC 5321 §4.5.3.1.3, without the brackets
constexpr size_t kSecretHashBytes = 32;
constexpr TenantId kPlatform{0};
constexpr uint32_t kDayMinutes = 24 * 60;
constexpr uint32_t kCapMax = 255;  // they are counted in bytes
constexpr uint32_t kOverdueMinutesMax = 7 * kDayMinutes;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsTenantName(std::string_view name) {
  if (name.empty() || name.size() > kTenantNameBytesMax) return false;
  for (const char c : name) {
    if (!IsLower(c) && !IsDigit(c) && c != '-') return false;
  }
  return true;
}

bool IsAttributeName(std::string_view name) {
  if (name.empty() || name.size() > kAttributeNameBytesMax || !IsLower(name.front())) return false;
  for (const char c : name) {
    if (!IsLower(c) && !IsDigit(c) && c != '_') return false;
  }
  return true;
}

bool HasControl(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return true;
  }
  return false;
}

bool IsSender(std::string_view address) {
  const size_t at = address.rfind('@');
  return at != std::string_view::npos && at > 0 && at + 1 < address.size() && address.size() <= kAddressBytesMax && !HasControl(address) &&
         address.find_first_of(" <>,;\"") == std::string_view::npos;
}

const v1::Tenant* TenantOf(const task::Context& context) { return context.view<v1::Tenant>().Find(state::Key(context.tenant())); }

const v1::ApiKey* FindKey(const v1::Tenant* tenant, std::string_view key_id) {
  if (tenant == nullptr) return nullptr;
  for (const v1::ApiKey& key : tenant->api_keys()) {
    if (key.key_id() == key_id) return &key;
  }
  return nullptr;
}

bool Same(const google::protobuf::MessageLite& a, const google::protobuf::MessageLite& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// What is wrong with when mail may go: where, and a sentence.
std::vector<std::pair<std::string, std::string>> TimingFaults(const v1::ChangeSettings& command) {
  std::vector<std::pair<std::string, std::string>> wrong;
  if (!command.time_zone().empty() && schema::ZoneNamed(command.time_zone()) == nullptr) {
    wrong.emplace_back("/time_zone",
                       fmt::format("there is no zone \"{}\" in the IANA database; the nearest is {}",
                                   command.time_zone().substr(0, schema::kZoneBytesMax), schema::NearestZone(command.time_zone())));
  }
  if (std::max(command.quiet_hours().from_minute(), command.quiet_hours().to_minute()) >= kDayMinutes) {
    wrong.emplace_back("/quiet_hours", "quiet hours are from and to minutes of the day, 0 to 1,439");
  }
  if (std::max(command.cap().per_day(), command.cap().per_week()) > kCapMax) {
    wrong.emplace_back("/frequency_cap", fmt::format("a cap is at most {} mails a day or week; 0 is none", kCapMax));
  }
  if (command.overdue_minutes() > kOverdueMinutesMax) {
    wrong.emplace_back("/overdue_minutes", fmt::format("a start is held when it is at most {} minutes late", kOverdueMinutesMax));
  }
  return wrong;
}

template <class A, class B>
bool SameItems(const A& a, const B& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

void Decide(task::Context& context, const v1::CreateTenant& command) {
  if (!IsTenantName(command.name())) {
    return context.Refuse(Outcome::kInvalid, "invalid_name",
                          fmt::format("a tenant's name has 1 to {} characters out of a-z, 0-9 and -", kTenantNameBytesMax));
  }
  if (const v1::TenantName* taken = context.view<v1::TenantName>().Find(state::Key(kPlatform, command.name()))) {
    const uint64_t tenant_id = taken->tenant_id();
    context.Refuse(Outcome::kConflict, "tenant_exists", fmt::format("there is a tenant \"{}\" already", command.name()));
    context.Answer("tenant_id", tenant_id);
    return;
  }
  const v1::TenantCounter* counter = context.view<v1::TenantCounter>().Find(state::Key(kPlatform));
  v1::TenantCreated created;
  created.set_tenant_id(counter == nullptr ? 1 : counter->last_tenant_id() + 1);
  created.set_name(command.name());
  context.Emit(created);
  context.Answer("tenant_id", uint64_t{created.tenant_id()});
}

void Decide(task::Context& context, const v1::ChangeSettings& command) {
  if (command.senders_size() > kSendersMax) {
    return context.Refuse(Outcome::kInvalid, "invalid_settings",
                          fmt::format("{} senders are more than {}", command.senders_size(), kSendersMax));
  }
  std::vector<std::pair<std::string, std::string>> wrong;
  for (int i = 0; i < command.senders_size(); ++i) {
    if (!IsSender(command.senders(i)))
      wrong.emplace_back(fmt::format("/senders/{}", i), fmt::format("\"{}\" is no address", command.senders(i)));
  }
  if (!wrong.empty()) {
    context.Refuse(Outcome::kInvalid, "invalid_settings", fmt::format("{} of the senders are no addresses", wrong.size()));
    return context.AnswerAll(wrong);
  }
  for (const std::string* text : {&command.postal_address(), &command.company()}) {
    if (text->size() > kSettingBytesMax) {
      return context.Refuse(Outcome::kInvalid, "invalid_settings",
                            fmt::format("the postal address and the company have at most {} bytes each", kSettingBytesMax));
    }
  }
  std::vector<std::pair<std::string, std::string>> untimely = TimingFaults(command);
  if (!untimely.empty()) {
    context.Refuse(Outcome::kInvalid, "invalid_settings", untimely.front().second);
    return context.AnswerAll(untimely);
  }
  const v1::Tenant* tenant = TenantOf(context);
  static const v1::Tenant kNew;
  if (tenant == nullptr) tenant = &kNew;
  v1::SettingsChanged changed;
  if (command.senders_size() > 0 && !SameItems(command.senders(), tenant->senders())) *changed.mutable_senders() = command.senders();
  if (!command.postal_address().empty() && command.postal_address() != tenant->postal_address()) {
    changed.set_postal_address(command.postal_address());
  }
  if (!command.company().empty() && command.company() != tenant->company()) changed.set_company(command.company());
  if (command.has_safety()) {
    const v1::SafetyLimits& is = command.safety();
    if (std::max({is.hard_bounces_bp(), is.complaints_bp(), is.policy_bp()}) > schema::kNeverBp ||
        std::max(is.after_sends(), is.after_replies()) > schema::kAfterMax) {
      return context.Refuse(Outcome::kInvalid, "invalid_settings",
                            fmt::format("rates of safety stops are at most {} hundredths of a per cent, and count after at most {}",
                                        schema::kNeverBp, schema::kAfterMax));
    }
    v1::SafetyLimits wanted = tenant->safety();
    wanted.MergeFrom(is);  // 0 is no change
    if (wanted.SerializeAsString() != tenant->safety().SerializeAsString()) *changed.mutable_safety() = is;
  }
  if (command.holdout_bp() > kHoldoutBpMax) {
    context.Refuse(Outcome::kInvalid, "invalid_settings", "the holdout is at most half of the contacts, 5000 hundredths of a per cent");
    return context.Answer("/holdout_bp", "at most 5000");
  }
  if (command.has_holdout_bp() && command.holdout_bp() != tenant->holdout_bp()) changed.set_holdout_bp(command.holdout_bp());
  if (command.has_approval_over() && command.approval_over() != tenant->approval_over()) changed.set_approval_over(command.approval_over());
  if (!v1::Tracking_IsValid(command.tracking())) return context.Refuse(Outcome::kInvalid, "invalid_settings", "tracking is on or off");
  const v1::Tracking tracking = tenant->tracking() == v1::TRACKING_OFF ? v1::TRACKING_OFF : v1::TRACKING_ON;
  if (command.tracking() != v1::TRACKING_UNSPECIFIED && command.tracking() != tracking) changed.set_tracking(command.tracking());
  if (!command.time_zone().empty() && command.time_zone() != tenant->time_zone()) changed.set_time_zone(command.time_zone());
  if (command.has_quiet_hours() && !Same(command.quiet_hours(), tenant->quiet_hours())) {
    *changed.mutable_quiet_hours() = command.quiet_hours();
  }
  if (command.has_cap() && !Same(command.cap(), tenant->cap())) *changed.mutable_cap() = command.cap();
  if (command.overdue_minutes() != 0 && command.overdue_minutes() != tenant->overdue_minutes()) {
    changed.set_overdue_minutes(command.overdue_minutes());
  }
  if (changed.ByteSizeLong() == 0) return context.Unchanged();
  context.Emit(changed);
}

void Decide(task::Context& context, const v1::RegisterAttribute& command) {
  if (!IsAttributeName(command.name())) {
    return context.Refuse(
        Outcome::kInvalid, "invalid_attribute",
        fmt::format("an attribute's name begins with a-z and has up to {} characters out of a-z, 0-9 and _", kAttributeNameBytesMax));
  }
  if (command.name() == "email") {
    return context.Refuse(Outcome::kInvalid, "reserved_name", "\"email\" is the contact's address; it needs no registration");
  }
  if (command.attribute_type() == v1::ATTRIBUTE_TYPE_UNSPECIFIED || !v1::AttributeType_IsValid(command.attribute_type())) {
    return context.Refuse(Outcome::kInvalid, "invalid_attribute", "the type is one of TEXT, INTEGER, NUMBER, BOOLEAN");
  }
  if (const v1::Tenant* tenant = TenantOf(context)) {
    for (const v1::AttributeDefinition& known : tenant->attributes()) {
      if (known.name() != command.name()) continue;
      if (known.attribute_type() == command.attribute_type() && known.personal() == command.personal()) return context.Unchanged();
      return context.Refuse(Outcome::kConflict, "attribute_exists",
                            fmt::format("\"{}\" is registered as {}{}", known.name(), v1::AttributeType_Name(known.attribute_type()),
                                        known.personal() ? ", personal" : ", not personal"));
    }
    if (tenant->attributes_size() >= kAttributesMax) {
      return context.Refuse(Outcome::kInvalid, "too_many_attributes",
                            fmt::format("a tenant registers at most {} attributes", kAttributesMax));
    }
  }
  v1::AttributeRegistered registered;
  registered.set_name(command.name());
  registered.set_attribute_type(command.attribute_type());
  registered.set_personal(command.personal());
  context.Emit(registered);
}

void Decide(task::Context& context, const v1::CreateApiKey& command) {
  if (command.key_id().empty() || command.key_id().size() > 64 || command.secret_hash().size() != kSecretHashBytes ||
      command.label().size() > kSettingBytesMax) {
    return context.Refuse(
        Outcome::kInvalid, "invalid_api_key",
        fmt::format("an API key has an id of 1 to 64 bytes, a hash of {} and a label of at most {}", kSecretHashBytes, kSettingBytesMax));
  }
  if (command.scopes().empty()) return context.Refuse(Outcome::kInvalid, "invalid_api_key", "an API key without a scope may do nothing");
  for (const std::string& scope : command.scopes()) {
    if (scope != "admin" && scope != "read" && scope != "write" && scope != "ingest") {
      return context.Refuse(Outcome::kInvalid, "invalid_api_key",
                            fmt::format("there is no scope \"{}\"; there are admin, read, write and ingest", scope));
    }
  }
  const v1::Tenant* tenant = TenantOf(context);
  if (const v1::ApiKey* known = FindKey(tenant, command.key_id())) {
    if (known->secret_hash() == command.secret_hash() && known->label() == command.label() &&
        SameItems(known->scopes(), command.scopes())) {
      return context.Unchanged();
    }
    return context.Refuse(Outcome::kConflict, "api_key_exists", fmt::format("there is an API key \"{}\" already", command.key_id()));
  }
  if (tenant != nullptr && tenant->api_keys_size() >= kApiKeysMax) {
    return context.Refuse(Outcome::kInvalid, "too_many_api_keys",
                          fmt::format("a tenant has at most {} API keys, revoked ones included", kApiKeysMax));
  }
  v1::ApiKeyCreated created;
  created.set_key_id(command.key_id());
  created.set_secret_hash(command.secret_hash());
  *created.mutable_scopes() = command.scopes();
  created.set_label(command.label());
  context.Emit(created);
}

void Decide(task::Context& context, const v1::RevokeApiKey& command) {
  const v1::ApiKey* known = FindKey(TenantOf(context), command.key_id());
  if (known == nullptr) {
    return context.Refuse(Outcome::kNotFound, "api_key_not_found", fmt::format("there is no API key \"{}\"", command.key_id()));
  }
  if (known->revoked()) return context.Unchanged();
  v1::ApiKeyRevoked revoked;
  revoked.set_key_id(command.key_id());
  context.Emit(revoked);
}

}  // namespace maily::tenants
