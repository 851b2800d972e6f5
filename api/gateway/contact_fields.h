// Contacts as outsiders spell them, made into what commands carry: keys instead of addresses, typed attributes, sealed personal values.
//
// A registered attribute has its type, and is personal or not; what is not registered is personal text. `email` is the address.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maily/contacts/v1/commands.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "schemas/address.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::gateway {

inline constexpr size_t kAttributeBytesMax = 16 * 1024;  // of one value
inline constexpr size_t kAttributeNameBytesMax = 63;

// The attributes that a tenant has registered; a snapshot.
class Registry {
 public:
  explicit Registry(std::vector<tenants::v1::AttributeDefinition> attributes);
  // Null: not registered.
  const tenants::v1::AttributeDefinition* Find(std::string_view name) const;

 private:
  std::vector<tenants::v1::AttributeDefinition> attributes_;  // by name
};

// Names of attributes: [a-z][a-z0-9_]{0,62}, not "email".
bool IsAttributeName(std::string_view name);
inline constexpr std::string_view kAttributeNameHint = "begins with a lower-case letter; then lower-case letters, digits and _; not email";

// A value that was kept as text (a personal one), in its registered type: 30, 2.5, true; unregistered, or no such value: a string.
nlohmann::json AttributeToJson(const Registry& registry, std::string_view name, const std::string& text);

// Reads a value: into `attribute` with its type, or, of a personal one, as text that Seal closes. kInvalid: the wrong type, with a hint.
// Text values are read as numbers and truth values are written ("30", "2.5", "true", "yes", "1"). Empty text = no value, from a file.
Result<void> AttributeFromText(const Registry& registry, std::string_view name, std::string_view text, contacts::v1::Attribute& attribute);
Result<void> AttributeFromJson(const Registry& registry, std::string_view name, const nlohmann::json& value,
                               contacts::v1::Attribute& attribute);
bool IsPersonal(const Registry& registry, std::string_view name);

// Fills contact_key, domain_key, address (the plaintext) and personal_digest. Call it with all attributes set, the personal ones as text.
void Identify(contacts::v1::UpsertContact& command, const Registry& registry, const schema::Address& address,
              const keyring::TenantKeys& keys);
// The same with the contact key computed before.
void Identify(contacts::v1::UpsertContact& command, const Registry& registry, const schema::Address& address, std::string contact_key,
              std::string domain_key, const keyring::TenantKeys& keys);

// Fills personal_digest, where a personal attribute is given. Call it with all attributes set, the personal ones as text.
void Identify(contacts::v1::PatchContact& command, const Registry& registry, std::string_view contact_key, const keyring::TenantKeys& keys);

// Closes the address, the proof of consent and every personal attribute.
void Seal(contacts::v1::UpsertContact& command, const Registry& registry, TenantId tenant, const keyring::SubjectKey& key,
          Entropy& entropy);
// Closes every personal attribute.
void Seal(contacts::v1::PatchContact& command, const Registry& registry, TenantId tenant, const keyring::SubjectKey& key, Entropy& entropy);

}  // namespace maily::gateway
