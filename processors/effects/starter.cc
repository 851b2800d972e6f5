// See starter.h.
#include "processors/effects/starter.h"

#include <map>
#include <string>

#include "maily/campaigns/v1/commands.pb.h"
#include "maily/campaigns/v1/state.pb.h"
#include "schemas/types.h"
#include "streams/base/bytes.h"
#include "streams/state/table.h"

namespace maily::effects {

struct StarterEffect::Impl : std::enable_shared_from_this<Impl> {
  Impl(const InstanceFacts& facts_in, Clock& clock_in, Entropy& entropy_in, Executor& executor_in, command::Sender& sender_in)
      : facts(facts_in), clock(clock_in), entropy(entropy_in), executor(executor_in), sender(sender_in) {}

  void Start(TenantId tenant, uint64_t campaign_id) {
    campaigns::v1::StartCampaign start;
    start.set_campaign_id(campaign_id);
    start.set_live(facts.live);
    start.set_mail_bytes_max(facts.mail_bytes_max);
    const std::string payload = start.SerializeAsString();
    command::Command command;
    command.id = entropy.NextId<CommandId>();
    command.type = TypeNumberOf<campaigns::v1::StartCampaign>();
    command.tenant = tenant;
    command.actor = "effect:starter";
    command.occurred_at = clock.Now();
    command.payload = payload;
    sender.Send(partition, command, Sync::kSoon, [](const Result<CommandAt>&) {});  // said again if it was lost
  }

  void Poll() {
    executor.After(kStarterPoll, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self || self->stopped) return;
      self->Look();
      self->Poll();
    });
  }

  void Look() {
    std::map<std::string, Duration> still;  // that are due, and when they were told to start last
    state::View<campaigns::v1::DueStart>(*cache).Scan({}, {}, [&](std::string_view key, const campaigns::v1::DueStart&) {
      const auto told = said.find(std::string(key));
      const Duration now = clock.Steady();
      if (told != said.end() && now - told->second < kStarterAgain) {
        still.emplace(*told);
      } else {
        Cursor cursor(key);
        const TenantId tenant(cursor.Ordered<uint32_t>());
        Start(tenant, cursor.Ordered<uint64_t>());
        still.emplace(std::string(key), now);
      }
      return still.size() < kStartsAtOnce;
    });
    said = std::move(still);
  }

  const InstanceFacts facts;
  Clock& clock;
  Entropy& entropy;
  Executor& executor;
  command::Sender& sender;
  PartitionId partition;
  state::Cache* cache = nullptr;
  std::map<std::string, Duration> said;
  bool stopped = false;
};

StarterEffect::StarterEffect(const InstanceFacts& facts, Clock& clock, Entropy& entropy, Executor& executor, command::Sender& sender)
    : impl_(std::make_shared<Impl>(facts, clock, entropy, executor, sender)) {}
StarterEffect::~StarterEffect() { impl_->stopped = true; }
void StarterEffect::Lead(const Leadership& leadership) {
  impl_->partition = leadership.partition;
  impl_->cache = leadership.cache;
  if (!impl_->facts.held) impl_->Poll();
}
void StarterEffect::Accepted(const journal::AcceptedFrame& /*frame*/) {}
void StarterEffect::Stop() { impl_->stopped = true; }

}  // namespace maily::effects
