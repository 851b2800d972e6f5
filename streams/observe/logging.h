// JSON lines on stderr: {"ts","level","msg", then the fields in the order given}.
//
//   Log(Level::kInfo, "campaign launched", {{"tenant", tenant}, {"partition", partition}, {"trace_id", trace}, {"contacts", n}});
//
// The field names trace_id, tenant and partition mean the same in every line. No address, name or token goes into a line at the
// default level (kInfo): say which contact by its id.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"

namespace maily::observe {

// Per event = kDebug, checkpoints and lifecycle = kInfo, something an operator should look at = kWarn, something that stopped = kError.
enum class Level : int { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3, kOff = 4 };

// "debug", "info", "warn", "error", "off"; none for anything else.
std::optional<Level> LevelFromName(std::string_view name);

// One key and value. Holds views: it lives no longer than the call to Log.
class Field {
 public:
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool, std::string>;

  Field(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  Field(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, const std::string& value) : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, bool value) : key_(key), value_(value) {}
  Field(std::string_view key, double value) : key_(key), value_(value) {}
  Field(std::string_view key, std::signed_integral auto value) : key_(key), value_(int64_t{value}) {}
  Field(std::string_view key, std::unsigned_integral auto value) : key_(key), value_(uint64_t{value}) {}
  // Seconds with a fraction.
  Field(std::string_view key, Duration value) : key_(key), value_(static_cast<double>(value.us) / 1e6) {}
  // The code's name and the message.
  Field(std::string_view key, const Error& value) : key_(key), value_(value.ToString()) {}
  template <class Tag, class T>
  Field(std::string_view key, Id<Tag, T> value) : key_(key), value_(uint64_t{value.value()}) {}
  template <class Tag>
  Field(std::string_view key, const Bytes16<Tag>& value) : key_(key), value_(value.ToHex()) {}

  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  std::string_view key_;
  Value value_;
};

namespace internal {
extern std::atomic<int> least_level;
void Write(Level level, std::string_view message, std::initializer_list<Field> fields);
}  // namespace internal

// One relaxed load. Ask before building an expensive field.
inline bool Enabled(Level level) { return static_cast<int>(level) >= internal::least_level.load(std::memory_order_relaxed); }

// Writes one line of bounded size: strings are cut at 4 KiB, fields past 12 KiB dropped. Never throws or fails. Thread: any.
inline void Log(Level level, std::string_view message, std::initializer_list<Field> fields = {}) {
  if (Enabled(level)) internal::Write(level, message, fields);
}

// kInfo at first. Thread: any.
void SetLevel(Level level);

// Sends the lines (without the newline) to `sink` instead of stderr; an empty function = stderr again.
void SetSinkForTesting(std::function<void(std::string_view line)> sink);

}  // namespace maily::observe
