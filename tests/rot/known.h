// What was true of a data directory when it was made, besides its files: what its keys open, which attempts its slots hold.
#pragma once

#include <string>
#include <vector>

#include "processors/effects/smtp/attempt_slots.h"
#include "tests/rot/process.h"

namespace maily::rot {

struct Known {
  std::string made;                   // the directory that holds `data`
  std::vector<std::string> subjects;  // contact keys
  std::vector<std::string> boxes;     // their sealed addresses
  uint64_t opener = 0;                // of the attempts
  std::string slots_place;

  void Save(const std::string& path) const;
  static Known Load(const std::string& path);
};

// Attempts of three stages, and one that was never opened.
inline constexpr size_t kAttemptsKnown = 4;
inline smtp::AttemptKey AttemptOf(size_t i) { return {kTenant, kPartition, 1, i + 1, 1}; }

// The slots of attempts as they were, though their file is a copy now.
class SamePlace : public Slots {
 public:
  SamePlace(Slots& slots, std::string place) : slots_(slots), place_(std::move(place)) {}
  size_t count() const override { return slots_.count(); }
  std::string Read(size_t slot) const override { return slots_.Read(slot); }
  void Write(size_t slot, std::string_view bytes) override { slots_.Write(slot, bytes); }
  std::string boot_id() const override { return slots_.boot_id(); }
  std::string place() const override { return place_; }

 private:
  Slots& slots_;
  const std::string place_;
};

}  // namespace maily::rot
