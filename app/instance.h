// One `maily serve` a data directory, and what it may do to the world: sandbox, live or held.
//
// The lock names its holder. An identity record outside the data (in $XDG_STATE_HOME/maily, else ~/.local/state/maily) holds where this log
// lives and the highest epoch it has claimed: a log found in another place, or with a lower epoch, is a copy or a restored backup and
// starts held, so that it opens no connection. The place of an embedded log is the data directory; of one on Kafka, the cluster: any number
// of data directories may share it, and each is armed by itself.
#pragma once

#include <memory>
#include <string>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/port/live.h"

namespace maily::app {

class Instance {
 public:
  // Locks `data`, making it if needed. kConflict: another process holds it (its pid is named).
  static Result<std::unique_ptr<Instance>> Open(const std::string& data);
  ~Instance();

  // Absolute.
  const std::string& data() const { return data_; }

  // Where a log is.
  struct Place {
    LogId log_id;
    std::string name;     // of the data directory or the cluster
    bool shared = false;  // other machines use it too: that this one never saw it means nothing
  };
  // Reads the mode: `epoch` is the highest of any partition as found there. Why it is held, if it is, in held_reason().
  Result<Mode> DecideMode(const Place& place, uint64_t epoch);
  const std::string& held_reason() const { return held_reason_; }
  // The highest epoch that the data itself knows of; 0 = it was never led.
  uint64_t RecordedEpoch() const;
  // Notes the highest epoch claimed.
  Result<void> RecordEpoch(uint64_t epoch);

 private:
  explicit Instance(std::string data, int lock) : data_(std::move(data)), lock_(lock) {}
  std::string data_;
  int lock_;
  Place place_;
  std::string held_reason_;
};

// `maily arm`: from the next start on the instance at `data` is live (or, with `live` false, a sandbox again). Also takes the data's
// present place and epoch as its own: a held copy becomes a live instance, for a server that looks for its identity record in the same
// place. Gives the path of that record.
Result<std::string> Arm(const std::string& data, bool live);
const char* ModeName(Mode mode);

}  // namespace maily::app
