// Boxes, and the walk over a message's personal fields.
#include "schemas/sealed.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "maily/options.pb.h"
#include "streams/base/bytes.h"

namespace maily::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Associated(TenantId tenant, std::string_view key_id, std::string_view field_id) {
  std::string associated;
  PutFixed(associated, tenant.value());
  associated.append(key_id).append(field_id);
  return associated;
}

// What of a message type is personal, or may have something personal within.
struct Personal {
  struct Field {
    const FieldDescriptor* field = nullptr;
    std::string before;  // field id = before ‖ value of `part` ‖ after
    const FieldDescriptor* part = nullptr;
    std::string after;
  };
  std::vector<Field> fields;
  std::vector<const FieldDescriptor*> within;
};

Personal Describe(const Descriptor& type) {
  Personal personal;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->message_type() != nullptr) personal.within.push_back(field);
    const std::string& id = field->options().GetExtension(maily::personal);
    if (id.empty()) continue;
    MAILY_CHECK(field->type() == FieldDescriptor::TYPE_BYTES && !field->is_repeated(), "{} is personal, but not bytes", field->full_name());
    const size_t open = id.find('{');
    if (open == std::string::npos) {
      personal.fields.push_back({field, id, nullptr, ""});
      continue;
    }
    const size_t close = id.find('}', open);
    MAILY_CHECK(close != std::string::npos, "{}: the field id {} has no end of {{", field->full_name(), id);
    const FieldDescriptor* part = type.FindFieldByName(id.substr(open + 1, close - open - 1));
    MAILY_CHECK(part != nullptr && part->type() == FieldDescriptor::TYPE_STRING, "{}: {} names no string field", field->full_name(), id);
    personal.fields.push_back({field, id.substr(0, open), part, id.substr(close + 1)});
  }
  return personal;
}

// Described once a type. Entries are never removed, so references stay valid.
const Personal& Of(const Descriptor& type) {
  static std::shared_mutex mutex;
  static auto* const known = new std::unordered_map<const Descriptor*, Personal>();
  {
    const std::shared_lock lock(mutex);
    const auto found = known->find(&type);
    if (found != known->end()) return found->second;
  }
  Personal personal = Describe(type);
  const std::unique_lock lock(mutex);
  return known->try_emplace(&type, std::move(personal)).first->second;
}

// Calls visit(message, field, field id) for every personal field that is set.
template <class Visit>
Result<void> ForEachPersonal(Message& message, const Visit& visit) {
  const Personal& personal = Of(*message.GetDescriptor());
  const Reflection& reflection = *message.GetReflection();
  for (const Personal::Field& at : personal.fields) {
    if (at.field->has_presence() ? !reflection.HasField(message, at.field) : reflection.GetString(message, at.field).empty()) continue;
    std::string id = at.before;
    if (at.part != nullptr) id += reflection.GetString(message, at.part) + at.after;
    MAILY_TRY_VOID(visit(message, at.field, id));
  }
  for (const FieldDescriptor* field : personal.within) {
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        MAILY_TRY_VOID(ForEachPersonal(*reflection.MutableRepeatedMessage(&message, field, i), visit));
      }
    } else if (reflection.HasField(message, field)) {
      MAILY_TRY_VOID(ForEachPersonal(*reflection.MutableMessage(&message, field), visit));
    }
  }
  return Ok();
}

}  // namespace

std::string Seal(TenantId tenant, const keyring::SubjectKey& key, std::string_view field_id, std::string_view plaintext, Entropy& entropy) {
  uint8_t nonce[keyring::kNonceBytes];
  entropy.Fill(nonce);
  std::string box;
  box.reserve(kBoxOverhead + plaintext.size());
  box.append(reinterpret_cast<const char*>(key.key_id.data()), key.key_id.size());
  box.append(reinterpret_cast<const char*>(nonce), sizeof(nonce));
  const std::string associated = Associated(tenant, std::string_view(box).substr(0, key.key_id.size()), field_id);
  keyring::SealTo(box, key.key, {reinterpret_cast<const char*>(nonce), sizeof(nonce)}, plaintext, associated);
  return box;
}

Result<std::string> Open(keyring::Keyring& keyring, TenantId tenant, std::string_view field_id, std::string_view box) {
  if (box.size() < kBoxOverhead) return Fail(Code::kInvalid, "field {}: {} bytes are no box", field_id, box.size());
  keyring::KeyId key_id;
  std::memcpy(key_id.data(), box.data(), key_id.size());
  MAILY_TRY(const keyring::SubjectKey key, keyring.Find(tenant, key_id));
  const std::string associated = Associated(tenant, box.substr(0, key_id.size()), field_id);
  return keyring::Unseal(key.key, box.substr(key_id.size(), keyring::kNonceBytes), box.substr(key_id.size() + keyring::kNonceBytes),
                         associated);
}

void SealPersonal(Message& message, TenantId tenant, const keyring::SubjectKey& key, Entropy& entropy) {
  ForEachPersonal(message, [&](Message& at, const FieldDescriptor* field, const std::string& id) -> Result<void> {
    const Reflection& reflection = *at.GetReflection();
    reflection.SetString(&at, field, Seal(tenant, key, id, reflection.GetString(at, field), entropy));
    return Ok();
  }).IgnoreError("sealing cannot fail");
}

Result<size_t> OpenPersonal(Message& message, TenantId tenant, keyring::Keyring& keyring) {
  size_t gone = 0;
  MAILY_TRY_VOID(ForEachPersonal(message, [&](Message& at, const FieldDescriptor* field, const std::string& id) -> Result<void> {
    const Reflection& reflection = *at.GetReflection();
    Result<std::string> plaintext = Open(keyring, tenant, id, reflection.GetString(at, field));
    if (plaintext) {
      reflection.SetString(&at, field, *std::move(plaintext));
    } else if (plaintext.error().code == Code::kNotFound) {
      reflection.ClearField(&at, field);
      ++gone;
    } else {
      return plaintext.error();
    }
    return Ok();
  }));
  return gone;
}

void ClearPersonal(Message& message) {
  ForEachPersonal(message, [](Message& at, const FieldDescriptor* field, const std::string&) -> Result<void> {
    at.GetReflection()->ClearField(&at, field);
    return Ok();
  }).IgnoreError("clearing cannot fail");
}

}  // namespace maily::schema
