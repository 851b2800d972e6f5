// The inbox: topics that producers outside write to, taken in by the processes of role gateway, as one consumer group.
//
// <prefix>.inbox is that of the tenant `default`, <prefix>.inbox.<number> that of another tenant, if the setting inbox_tenants lists him:
// who may write to a topic, by its ACL, speaks for its tenant, whatever his records say. What cannot become a command is kept in
// <prefix>.inbox.dead. See docs/adr/0025-the-inbox.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/api.h"
#include "app/config.h"
#include "streams/adapters/kafka/topics.h"

namespace maily::app {

// Whether the settings ask for it: inbox is on, or auto where the log is on Kafka.
bool WantsInbox(const Config& config);

struct InboxTopic {
  std::string name;  // in full
  TenantId tenant;
};
// The default tenant's, then those of inbox_tenants. kInvalid: that setting is no list of numbers of tenants.
Result<std::vector<InboxTopic>> InboxTopicsOf(const Config& config, const kafka::Options& options);
std::string DeadLetterTopicOf(const kafka::Options& options);
// All of them, as maily topics create makes them; empty if the settings do not ask for them.
Result<std::vector<kafka::PublicTopic>> TopicsOfInbox(const Config& config, const kafka::Options& options);

// Takes in on a thread of its own between Start and Stop.
class InboxGateway {
 public:
  // With the settings off it takes nothing. kInvalid: the settings ask for it and the log is not on Kafka. kConflict: a topic is missing,
  // or could lose records; the message names the command that mends it. kRetry: no broker answers.
  static Result<std::unique_ptr<InboxGateway>> Open(const Config& config, const std::string& build);
  virtual ~InboxGateway() = default;

  // `needs` and what it names outlives Stop, and everything that was under way then.
  virtual void Start(const api::Dependencies& needs) = 0;
  // What is under way is decided first, if that takes no longer than `patience`.
  virtual void Stop(Duration patience) = 0;
};

}  // namespace maily::app
