// A dead letter: a command that was not decided, kept in the journal with its bytes; topic and table are views of it. [format]
#pragma once

#include <string>
#include <string_view>

#include "streams/base/bytes.h"
#include "streams/base/type_number.h"

namespace maily::journal {

// Type number 4 among the events. Coordinates, actor, key and trace stand in the decision that carries it.
struct CommandRejected {
  std::string code;      // "unknown_type", "malformed", "wrong_partition", "failed", "unreadable", "poison"; or a decider's own
  std::string reason;    // a sentence
  std::string build;     // of the process that rejected it
  uint16_t type = 0;     // the command's; 0 = unreadable
  std::string original;  // the command's payload, or the whole record if it was unreadable (cut at 64 KiB)

  bool AppendToString(std::string* out) const {
    PutBytes(*out, code);
    PutBytes(*out, reason);
    PutBytes(*out, build);
    PutVarint(*out, type);
    PutBytes(*out, original);
    return true;
  }
  bool ParseFromArray(const void* data, int size) {
    Cursor cursor(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size)));
    code = cursor.Bytes();
    reason = cursor.Bytes();
    build = cursor.Bytes();
    type = static_cast<uint16_t>(cursor.Varint());
    original = cursor.Bytes();
    return cursor.ok();
  }
};

}  // namespace maily::journal

namespace maily {
template <>
inline TypeNumber TypeNumberOf<journal::CommandRejected>() {
  return 4;
}
}  // namespace maily
