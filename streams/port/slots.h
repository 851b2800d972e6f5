// A few fixed-size slots that outlive kill -9, but not power: they tell a restarted process how far its last one had come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily {

// Thread: one writer a slot. A write of up to 64 bytes is seen whole or not at all by the next process (checksummed).
class Slots {
 public:
  static constexpr size_t kSlotBytesMax = 64;
  virtual ~Slots() = default;
  virtual size_t count() const = 0;
  // What the slot held when last written by this or an earlier process; empty if never, cleared or torn.
  virtual std::string Read(size_t slot) const = 0;
  // True if bytes of the slot were damaged when it was opened: what Read gives may be older than what was written last.
  virtual bool Doubtful(size_t /*slot*/) const { return false; }
  virtual void Write(size_t slot, std::string_view bytes) = 0;
  // Changes with every boot of the machine: slots written under another boot id prove nothing.
  virtual std::string boot_id() const = 0;
  // Which place these slots are kept in: a copy of them is kept in another one.
  virtual std::string place() const = 0;
};

}  // namespace maily
