// Everything that happened to a person, from the read models of people and of campaigns together.
#pragma once

#include <string>

#include "api/read.h"

namespace maily::api {

// A moment in it: entries are ordered by these, the newest first, and no two have the same.
struct TimelinePlace {
  int64_t at_us = INT64_MAX;
  int64_t place = INT64_MAX;  // of kinds that happened at the same time
  int64_t id = INT64_MAX;
  int64_t noun_id = INT64_MAX;
  auto operator<=>(const TimelinePlace&) const = default;
};

struct TimelinePage {
  Json items = Json::array();
  TimelinePlace last;  // of items
  bool more = false;
};

// At most `size` entries before `before`. Blocking.
Result<TimelinePage> ReadTimeline(Call& call, const Value& contact_id, const TimelinePlace& before, int64_t size);

}  // namespace maily::api
