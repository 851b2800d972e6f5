// Everything that happened to a person, from the read models of people and of campaigns together.
#pragma once

#include <string>
#include <vector>

#include "api/read.h"

namespace maily::api {

// A moment in it: entries are ordered by these, the newest first, and no two have the same.
struct TimelinePlace {
  int64_t at_us = INT64_MAX;
  int64_t place = INT64_MAX;  // of kinds that happened at the same time
  int64_t id = INT64_MAX;
  int64_t noun_id = INT64_MAX;
  int64_t contact_id = INT64_MAX;  // whose it is
  auto operator<=>(const TimelinePlace&) const = default;
};

struct TimelinePage {
  Json items = Json::array();
  TimelinePlace last;  // of items
  bool more = false;
};

// The contact and all that were merged into it, itself first. Blocking.
Result<std::vector<int64_t>> MergedContacts(Call& call, const Value& contact_id);

// At most `size` entries of these contacts before `before`. Blocking.
Result<TimelinePage> ReadTimeline(Call& call, const std::vector<int64_t>& contact_ids, const TimelinePlace& before, int64_t size);

}  // namespace maily::api
