// A key that seals what is about one subject, and its id.
#pragma once

#include <array>
#include <cstdint>

#include "streams/base/ids.h"
#include "streams/keyring/cipher.h"

namespace maily::keyring {

using KeyId = std::array<uint8_t, 8>;

struct SubjectKey {
  KeyId key_id{};
  Key key;
};

}  // namespace maily::keyring
