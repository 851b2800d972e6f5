// What the rendering of one template has at hand: memory, limits, the time it is, and the first thing that went wrong. Internal to this
// folder; thread: the rendering's own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "processors/personalization/liquid/date.h"
#include "processors/personalization/liquid/template.h"
#include "processors/personalization/liquid/value.h"

namespace maily::liquid {

class Work {
 public:
  void Begin(const Limits& limits, int64_t now_us, bool escape_html) {
    limits_ = limits;
    now_us_ = now_us;
    escape_html_ = escape_html;
    steps_left_ = static_cast<int64_t>(limits.steps);
    failed_ = false;
    message_.clear();
    arena_.Reset();
  }

  Arena& arena() { return arena_; }
  Zones& zones() { return zones_; }
  int64_t now_us() const { return now_us_; }
  bool escape_html() const { return escape_html_; }
  const Limits& limits() const { return limits_; }

  // Takes steps off; false: there are none left, and the rendering has failed.
  bool Charge(uint64_t steps) {
    steps_left_ -= static_cast<int64_t>(steps);
    if (steps_left_ >= 0) [[likely]]
      return true;
    Fail("the template takes more than {} steps for this contact", limits_.steps);
    return false;
  }
  // Steps for work on bytes, and whether memory is left for as many.
  bool ChargeBytes(size_t bytes) {
    if (!Charge(1 + bytes / kBytesPerStep)) return false;
    if (arena_.used() + bytes <= limits_.memory_bytes) return true;
    Fail("the template takes more than {} bytes of memory for this contact", limits_.memory_bytes);
    return false;
  }

  // The first failure counts. Its words hold nothing of a value, since they are kept in plain text beside the send.
  template <class... Args>
  void Fail(fmt::format_string<Args...> format, Args&&... args) {
    if (failed_) return;
    failed_ = true;
    message_ = fmt::format(format, std::forward<Args>(args)...);
  }
  bool failed() const { return failed_; }
  const std::string& message() const { return message_; }

  // As a filter reads a value: nil is "", an array is spelled out. A string is seen as it is, all else is written into the arena.
  std::string_view Text(const Value& value);
  // An empty string to build in; its bytes stay good until the next call.
  std::string& Scratch() {
    scratch_.clear();
    return scratch_;
  }
  // A copy in the arena, charged.
  Value Keep(std::string_view text);

 private:
  static constexpr size_t kBytesPerStep = 64;

  Limits limits_;
  int64_t now_us_ = 0;
  int64_t steps_left_ = 0;
  bool escape_html_ = false;
  bool failed_ = false;
  std::string message_;
  std::string scratch_;
  Arena arena_;
  Zones zones_;
};

}  // namespace maily::liquid
