// A policy that was fetched, and its bytes for whoever keeps it over a restart. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

#include "processors/effects/mta_sts/policy.h"

namespace maily::mta_sts {

struct Entry {
  std::string domain;  // as HostName() gives it
  std::string id;      // of the DNS record that led to it
  Policy policy;
  Instant fetched_at;  // wall time: it outlives the process
  bool operator==(const Entry&) const = default;

  // §5.1, step 1: the time since its fetch has exceeded its max_age.
  bool ExpiredAt(Instant now) const { return now - fetched_at > policy.max_age; }
};

// "MSTS" | version u8 = 1 | domain bytes | id bytes | mode u8 | max_age in seconds varint | fetched_at i64 in µs
// | count of patterns varint, each bytes | XXH3_64 of all that. [format]
std::string EncodeEntry(const Entry& entry);
// kCorrupt: these are not the bytes of EncodeEntry, or of a newer version.
Result<Entry> DecodeEntry(std::string_view bytes);

}  // namespace maily::mta_sts
