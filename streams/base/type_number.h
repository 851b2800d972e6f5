// The number by which a message type is known in stored bytes.
#pragma once

#include <cstdint>

namespace maily {

// Stable number of a command, event or state type; given once, in the schema, and never used again for another.
using TypeNumber = uint16_t;

// The number of message type M. Declared here so that streams/ can store messages that it knows nothing about;
// schemas/types.h defines it, from the message's own (maily.type) option.
template <class M>
TypeNumber TypeNumberOf();

}  // namespace maily
