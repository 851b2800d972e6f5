// The store of a keyring that one process has to itself: a Kv. [format]
//
// Numbers big-endian; every stored key is sealed:
//   'r'                               MAC of the root key, so that another one is noticed
//   't' tenant u32                    the five tenant keys, wrapped by the root key
//   'k' tenant u32 key_id 8           a subject key, wrapped by the tenant's wrap key
//   's' tenant u32 subject            key_ids of the subject, 8 bytes each; the last is the one to seal with
#pragma once

#include <memory>

#include "streams/port/key_store.h"
#include "streams/port/kv.h"

namespace maily::keyring {

// `kv` is opened with KvDurability::kOnWrite. Changes: one caller at a time, as the Keyring has it.
std::unique_ptr<KeyStore> MakeKvStore(std::unique_ptr<Kv> kv);

}  // namespace maily::keyring
