// Records of an inbox that became no command, as they are kept: whole, but for what is too large, with what was wrong.
//
// Key, value and headers are the record's own. Beside them stand the headers maily-…: id (<topic>/<partition>/<offset>/<its time in
// ms>: once each, also where a topic was made anew),
// source-topic, source-partition, source-offset, source-time, error-code, error-message, error-field, attempts, first-tried-at,
// last-tried-at, build. Of what is larger than the bounds below the beginning is kept, and said how large it was.
#pragma once

#include <string>
#include <vector>

#include "api/inbox_event.h"
#include "streams/port/feed.h"
#include "streams/port/outlet.h"

namespace maily::app {

// Kept of a record, in bytes: all that could have been taken is kept whole.
inline constexpr size_t kDeadValueBytesMax = api::kInboxValueBytesMax;
inline constexpr size_t kDeadKeyBytesMax = 16 * 1024;
inline constexpr size_t kDeadHeadersBytesMax = 32 * 1024;

inline constexpr std::string_view kDeadIdHeader = "maily-id";

struct DeadLetter {
  const FeedRecord& record;
  std::string topic;
  api::InboxRefusal why;
  uint64_t attempts = 1;
  Instant first_tried;
  Instant last_tried;
  std::string build;
};

// [format]
std::string DeadLetterId(const std::string& topic, const FeedRecord& record);
void AddDeadLetter(const DeadLetter& letter, OutletBatch& batch);

}  // namespace maily::app
