// Personal fields, each sealed by itself: closed at the edge before the first append, opened by whoever may. [format]
//
//   box = key_id 8 ‖ nonce 12 ‖ ciphertext ‖ tag 16; AES-256-GCM, associated data = tenant u32 (little-endian) ‖ key_id ‖ field id
// So a box says itself which key opens it, and one that is moved to another field or tenant does not open. A box may be copied from
// message to message without opening it, into a field of the same field id. Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace google::protobuf {
class Message;
}

namespace maily::schema {

inline constexpr size_t kBoxOverhead = sizeof(keyring::KeyId) + keyring::kNonceBytes + keyring::kTagBytes;

// Field id of a personal attribute.
inline std::string AttributeFieldId(std::string_view name) { return "attribute:" + std::string(name); }

std::string Seal(TenantId tenant, const keyring::SubjectKey& key, std::string_view field_id, std::string_view plaintext, Entropy& entropy);

// kNotFound: the key is gone (erased). kInvalid: no box, forged, or of another tenant or field.
Result<std::string> Open(keyring::Keyring& keyring, TenantId tenant, std::string_view field_id, std::string_view box);

// Replaces the plaintext of every personal field that is set, in `message` and the messages within, by its box.
void SealPersonal(google::protobuf::Message& message, TenantId tenant, const keyring::SubjectKey& key, Entropy& entropy);

// Replaces every box by its plaintext; where the key is gone the field is cleared. How many are gone. Fails as Open does otherwise.
Result<size_t> OpenPersonal(google::protobuf::Message& message, TenantId tenant, keyring::Keyring& keyring);

// Clears every personal field, sealed or not, also in the messages within.
void ClearPersonal(google::protobuf::Message& message);

}  // namespace maily::schema
