// What a process does of all that Maily does, and which partitions it leads: the settings `roles` and `lead`.
//
// One process does everything. Where a log on Kafka is shared, each process takes some of it, several may take the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/port/assignment.h"

namespace maily::app {

struct Roles {
  bool tasks = true;        // leads partitions or stands by; effects run where a partition is led, so both go together
  bool projections = true;  // folds the read models, or stands by
  bool links = true;        // writes the public topics of the partitions that it leads
  bool gateway = true;      // takes in the inbox
  bool api = true;          // answers HTTP
  bool all() const { return tasks && projections && links && gateway && api; }
};

// Of the settings `roles`, `lead`, `log`, `db` and `keyring`. kInvalid: an unknown role, or roles and storage that do not go together; the
// message says what to set.
Result<Roles> RolesOf(const Config& config);

// Of the setting `lead`: all, group, or "0-7,12". kInvalid: none of these, or a partition that the log has not.
Result<std::unique_ptr<Assignment>> MakeAssignment(const Config& config, uint16_t partition_count);
// "0-7,12" as partitions, each once and in order. kInvalid: another form, or a partition beyond.
Result<std::vector<PartitionId>> ParsePartitions(const std::string& text, uint16_t partition_count);

}  // namespace maily::app
