// A key that seals what is about one subject, and its id.
#pragma once

#include "streams/base/ids.h"
#include "streams/keyring/cipher.h"
#include "streams/port/key_store.h"

namespace maily::keyring {

using maily::KeyId;

struct SubjectKey {
  KeyId key_id{};
  Key key;
};

}  // namespace maily::keyring
