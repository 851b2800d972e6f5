// What a process tells the partition of a site's key, and asks there (processors/sites).
//
// Delivery never waits for it. What is told is appended again and again until it is durable; what is asked, until it is decided: under one
// natural key, so that it is decided once, however often it arrives.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "processors/effects/smtp/site.h"
#include "streams/base/result.h"
#include "streams/base/type_number.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "streams/port/env.h"

namespace maily::smtp {

// Messages that may wait for their durability at once; one more is dropped with a line in the log.
inline constexpr size_t kSiteTellsMax = 1024;

// Calls from any thread; what it is given is called on its executor, where it has to be destroyed, unless that runs no more.
class SiteHome : public std::enable_shared_from_this<SiteHome> {
 public:
  // All outlive it.
  SiteHome(command::Sender& sender, command::Replies& replies, Executor& executor, Clock& clock, Entropy& entropy, uint16_t partition_count)
      : sender_(sender), replies_(replies), executor_(executor), clock_(clock), entropy_(entropy), partition_count_(partition_count) {}

  // A site is slower, as fast as before, or to be suspended by the rule of refusals; of other suspensions others tell.
  void Report(const SiteChange& change);
  // A command, as bytes. `durable`: called once it is, or was dropped.
  void Tell(const std::string& site, TypeNumber type, std::string payload, Job durable = {});
  // The same until it is decided; with the decision's answer (JSON).
  void Ask(const std::string& site, TypeNumber type, std::string payload, std::function<void(const std::string& answer)> done);

  Executor& executor() { return executor_; }
  Clock& clock() { return clock_; }

 private:
  struct Message;
  void Send(const std::shared_ptr<Message>& message);
  void Again(const std::shared_ptr<Message>& message, std::string_view why);

  command::Sender& sender_;
  command::Replies& replies_;
  Executor& executor_;
  Clock& clock_;
  Entropy& entropy_;
  const uint16_t partition_count_;
  size_t telling_ = 0;  // on the executor
};

}  // namespace maily::smtp
