// See contact_fields.h.
#include "api/gateway/contact_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "schemas/keys.h"
#include "schemas/sealed.h"

namespace maily::gateway {
namespace {

using contacts::v1::Attribute;
using contacts::v1::UpsertContact;
using tenants::v1::AttributeDefinition;

template <class Number>
bool Parse(std::string_view text, Number& number) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

bool SameText(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

Result<void> CheckText(std::string_view text) {
  if (text.size() > kAttributeBytesMax)
    return Fail(Code::kInvalid, "the value has {} bytes, at most {} are taken", text.size(), kAttributeBytesMax);
  if (text.find('\0') != std::string_view::npos) return Fail(Code::kInvalid, "the value holds a NUL");
  return Ok();
}

// The value as text, checked against the type: what a personal attribute of that type holds.
Result<void> CheckType(tenants::v1::AttributeType type, std::string_view text) {
  Attribute unused;
  switch (type) {
    case tenants::v1::INTEGER: {
      int64_t number = 0;
      if (!Parse(Trimmed(text), number)) return Fail(Code::kInvalid, "\"{}\" is not a whole number", text.substr(0, 40));
      return Ok();
    }
    case tenants::v1::NUMBER: {
      double number = 0;
      if (!Parse(Trimmed(text), number) || !std::isfinite(number))
        return Fail(Code::kInvalid, "\"{}\" is not a number", text.substr(0, 40));
      return Ok();
    }
    case tenants::v1::BOOLEAN:
      for (const std::string_view word : {"true", "yes", "1", "false", "no", "0"}) {
        if (SameText(Trimmed(text), word)) return Ok();
      }
      return Fail(Code::kInvalid, "\"{}\" is neither true nor false", text.substr(0, 40));
    default:
      return Ok();
  }
}

void SetTyped(tenants::v1::AttributeType type, std::string_view text, Attribute& attribute) {
  const std::string_view trimmed = Trimmed(text);
  if (type == tenants::v1::INTEGER) {
    int64_t number = 0;
    Parse(trimmed, number);
    attribute.set_integer(number);
  } else if (type == tenants::v1::NUMBER) {
    double number = 0;
    Parse(trimmed, number);
    attribute.set_number(number);
  } else if (type == tenants::v1::BOOLEAN) {
    attribute.set_boolean(SameText(trimmed, "true") || SameText(trimmed, "yes") || trimmed == "1");
  } else {
    attribute.set_text(text.data(), text.size());
  }
}

const char* TypeWord(tenants::v1::AttributeType type) {
  switch (type) {
    case tenants::v1::INTEGER:
      return "a whole number";
    case tenants::v1::NUMBER:
      return "a number";
    case tenants::v1::BOOLEAN:
      return "true or false";
    default:
      return "a string";
  }
}

}  // namespace

Registry::Registry(std::vector<AttributeDefinition> attributes) : attributes_(std::move(attributes)) {
  std::ranges::sort(attributes_, {}, &AttributeDefinition::name);
}

const AttributeDefinition* Registry::Find(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(attributes_, name, {}, [](const AttributeDefinition& a) { return std::string_view(a.name()); });
  return found != attributes_.end() && found->name() == name ? &*found : nullptr;
}

bool IsAttributeName(std::string_view name) {
  if (name.empty() || name.size() > kAttributeNameBytesMax || name == "email" || name[0] < 'a' || name[0] > 'z') return false;
  return std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool IsPersonal(const Registry& registry, std::string_view name) {
  const AttributeDefinition* known = registry.Find(name);
  return known == nullptr || known->personal();
}

Result<void> AttributeFromText(const Registry& registry, std::string_view name, std::string_view text, Attribute& attribute) {
  const AttributeDefinition* known = registry.Find(name);
  MAILY_TRY_VOID(CheckText(text));
  const auto type = known == nullptr ? tenants::v1::TEXT : known->attribute_type();
  MAILY_TRY_VOID(CheckType(type, text));
  attribute.set_name(name.data(), name.size());
  if (known == nullptr || known->personal()) {
    attribute.set_text(text.data(), text.size());
  } else {
    SetTyped(type, text, attribute);
  }
  return Ok();
}

nlohmann::json AttributeToJson(const Registry& registry, std::string_view name, const std::string& text) {
  const AttributeDefinition* known = registry.Find(name);
  if (known == nullptr || !CheckType(known->attribute_type(), text)) return text;
  Attribute typed;
  SetTyped(known->attribute_type(), text, typed);
  if (typed.value_case() == Attribute::kInteger) return typed.integer();
  if (typed.value_case() == Attribute::kNumber) return typed.number();
  if (typed.value_case() == Attribute::kBoolean) return typed.boolean();
  return text;
}

Result<void> AttributeFromJson(const Registry& registry, std::string_view name, const nlohmann::json& value, Attribute& attribute) {
  attribute.set_name(name.data(), name.size());
  attribute.clear_value();
  if (value.is_null()) return Ok();  // removes it
  const AttributeDefinition* known = registry.Find(name);
  const auto type = known == nullptr ? tenants::v1::TEXT : known->attribute_type();
  const bool personal = known == nullptr || known->personal();
  if (value.is_structured()) return Fail(Code::kInvalid, "the value must be {}, not a structure", TypeWord(type));
  const bool fits = (type == tenants::v1::TEXT && (value.is_string() || known == nullptr)) ||
                    (type == tenants::v1::BOOLEAN && value.is_boolean()) || (type == tenants::v1::NUMBER && value.is_number()) ||
                    (type == tenants::v1::INTEGER && value.is_number_integer());
  if (!fits) return Fail(Code::kInvalid, "the value must be {}", TypeWord(type));
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return Fail(Code::kInvalid, "the number is too large");
  }
  // The reader of JSON has made a floating-point number of a whole one that does not fit 64 bits.
  if (known == nullptr && value.is_number_float() && std::abs(value.get<double>()) >= 0x1p63) {
    return Fail(Code::kInvalid, "the number is too large to be kept exactly; send it as a string");
  }
  if (value.is_string()) MAILY_TRY_VOID(CheckText(value.get_ref<const std::string&>()));
  if (personal) {
    attribute.set_text(value.is_string() ? value.get<std::string>() : value.dump());
    if (known == nullptr && !value.is_string()) attribute.set_literal(true);
  } else if (type == tenants::v1::INTEGER) {
    attribute.set_integer(value.get<int64_t>());
  } else if (type == tenants::v1::NUMBER) {
    attribute.set_number(value.get<double>());
  } else if (type == tenants::v1::BOOLEAN) {
    attribute.set_boolean(value.get<bool>());
  } else {
    attribute.set_text(value.get<std::string>());
  }
  return Ok();
}

namespace {

using Attributes = google::protobuf::RepeatedPtrField<Attribute>;

// The personal ones, for a digest; `ids` holds what `fields` point into.
void AddPersonal(const Attributes& attributes, const Registry& registry, std::vector<std::string>& ids,
                 std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  ids.reserve(2 * static_cast<size_t>(attributes.size()));
  for (const Attribute& attribute : attributes) {
    if (attribute.value_case() != Attribute::kText || !IsPersonal(registry, attribute.name())) continue;
    const std::string_view id = ids.emplace_back(schema::AttributeFieldId(attribute.name()));
    // 7 and "7" differ.
    fields.emplace_back(id, attribute.literal() ? std::string_view(ids.emplace_back('\x01' + attribute.text())) : attribute.text());
  }
}

void SealAttributes(Attributes& attributes, const Registry& registry, TenantId tenant, const keyring::SubjectKey& key, Entropy& entropy) {
  for (Attribute& attribute : attributes) {
    if (attribute.value_case() != Attribute::kText || !IsPersonal(registry, attribute.name())) continue;
    attribute.set_sealed(schema::Seal(tenant, key, schema::AttributeFieldId(attribute.name()), attribute.text(), entropy));
  }
}

}  // namespace

void Identify(UpsertContact& command, const Registry& registry, const schema::Address& address, const keyring::TenantKeys& keys) {
  Identify(command, registry, address, schema::ContactKey(keys, address.normalised), schema::DomainKey(keys, address.domain), keys);
}

void Identify(UpsertContact& command, const Registry& registry, const schema::Address& address, std::string contact_key,
              std::string domain_key, const keyring::TenantKeys& keys) {
  thread_local std::vector<std::string> ids;
  thread_local std::vector<std::pair<std::string_view, std::string_view>> fields;
  ids.clear();
  fields.clear();
  fields.emplace_back("address", address.normalised);
  AddPersonal(command.attributes(), registry, ids, fields);
  command.set_personal_digest(schema::PersonalDigest(keys, contact_key, fields));
  command.set_contact_key(std::move(contact_key));
  command.set_domain_key(std::move(domain_key));
  command.set_address(address.spelled);
}

void Identify(contacts::v1::PatchContact& command, const Registry& registry, std::string_view contact_key,
              const keyring::TenantKeys& keys) {
  std::vector<std::string> ids;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  AddPersonal(command.attributes(), registry, ids, fields);
  if (!fields.empty()) command.set_personal_digest(schema::PersonalDigest(keys, contact_key, fields));
}

void Seal(UpsertContact& command, const Registry& registry, TenantId tenant, const keyring::SubjectKey& key, Entropy& entropy) {
  command.set_address(schema::Seal(tenant, key, "address", command.address(), entropy));
  if (!command.consent_proof().empty())
    command.set_consent_proof(schema::Seal(tenant, key, "consent_proof", command.consent_proof(), entropy));
  SealAttributes(*command.mutable_attributes(), registry, tenant, key, entropy);
}

void Seal(contacts::v1::PatchContact& command, const Registry& registry, TenantId tenant, const keyring::SubjectKey& key,
          Entropy& entropy) {
  SealAttributes(*command.mutable_attributes(), registry, tenant, key, entropy);
}

}  // namespace maily::gateway
