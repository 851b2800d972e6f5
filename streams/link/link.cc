// See link.h.
#include "streams/link/link.h"

#include <fmt/format.h>

#include "streams/journal/decision.h"

namespace maily::link {
namespace {

constexpr Duration kReplyTimeout = Seconds(10);
constexpr Duration kResendDelay = Milliseconds(250);

}  // namespace

struct Links::Impl : std::enable_shared_from_this<Impl> {
  struct Lane {
    uint64_t released = 0;  // may be sent up to here
    uint64_t sent = 0;      // was sent up to here
    uint64_t decided = 0;   // the destination decided up to here
    uint64_t acked = 0;     // an acknowledgement up to here is on its way into the own journal
    bool resend = false;    // a resend is scheduled
  };

  Impl(PartitionId source_in, uint16_t count, const Outbox& outbox_in, command::Sender& sender_in, command::Replies& replies_in,
       Entropy& entropy_in, Executor& executor_in)
      : source(source_in),
        outbox(outbox_in),
        sender(sender_in),
        replies(replies_in),
        entropy(entropy_in),
        executor(executor_in),
        lanes(count),
        name(LinkStream(source_in)),
        actor(fmt::format("link:{}", source_in.value())) {}

  void Pump(uint16_t to) {
    Lane& lane = lanes[to];
    if (stopped || lane.resend) return;
    const uint64_t upto = std::min(lane.released, lane.decided + kWindow);
    if (lane.sent >= upto) return;
    outbox.Read(PartitionId(to), lane.sent, upto, kWindow, [&](uint64_t number, const OutboxItem& item) { Send(to, number, item); });
    lane.sent = upto;
  }

  void Send(uint16_t to, uint64_t number, const OutboxItem& item) {
    command::Command command;
    command.id = entropy.NextId<CommandId>();
    command.type = item.type;
    command.tenant = item.tenant;
    command.actor = actor;
    command.trace = item.trace;
    command.correlation = item.correlation;
    command.natural_key = name;
    command.sequence = number;
    command.payload = item.payload;
    replies.Await(command.id, executor, kReplyTimeout,
                  [self = shared_from_this(), to, number](Result<command::Reply> reply) { self->Decided(to, number, reply); });
    sender.Send(PartitionId(to), command, Sync::kSoon, [](const Result<CommandAt>&) {});  // the reply, or its time-out, tells
  }

  void Decided(uint16_t to, uint64_t number, const Result<command::Reply>& reply) {
    if (stopped) return;
    Lane& lane = lanes[to];
    const auto retry_later = static_cast<uint16_t>(journal::Outcome::kRetryLater);
    const auto out_of_order = static_cast<uint16_t>(journal::Outcome::kOutOfOrder);
    if (!reply || reply->outcome == retry_later || reply->outcome == out_of_order) {
      if (number <= lane.decided || lane.resend) return;
      lane.resend = true;
      executor.After(kResendDelay, [self = shared_from_this(), to] {
        if (self->stopped) return;
        Lane& again = self->lanes[to];
        again.resend = false;
        again.sent = again.decided;
        self->Pump(to);
      });
      return;
    }
    // Decided, a duplicate, or refused for good: in each case the destination has passed this number, and all before it.
    if (number <= lane.decided) return;
    lane.decided = number;
    Ack(to);
    Pump(to);
  }

  void Ack(uint16_t to) {
    Lane& lane = lanes[to];
    // One acknowledgement covers all before it: send it for the last item of what is on its way, and now and then.
    if (lane.decided < lane.sent && lane.decided - lane.acked < kWindow / 2) return;
    lane.acked = lane.decided;
    const std::string payload = LinkAcked{PartitionId(to), lane.decided}.Encode();
    command::Command command;
    command.id = entropy.NextId<CommandId>();
    command.type = kLinkAckCommand;
    command.actor = actor;
    command.payload = payload;
    sender.Send(source, command, Sync::kSoon,
                [](const Result<CommandAt>&) {});  // lost ones are covered by the next, or by the next take-over
  }

  const PartitionId source;
  const Outbox outbox;
  command::Sender& sender;
  command::Replies& replies;
  Entropy& entropy;
  Executor& executor;
  std::vector<Lane> lanes;
  const std::string name;
  const std::string actor;
  bool stopped = false;
};

Links::Links(PartitionId source, uint16_t partition_count, const Outbox& outbox, command::Sender& sender, command::Replies& replies,
             Entropy& entropy, Executor& executor)
    : impl_(std::make_shared<Impl>(source, partition_count, outbox, sender, replies, entropy, executor)) {}

Links::~Links() { Stop(); }

void Links::Lead() {
  for (uint16_t to = 0; to < impl_->lanes.size(); ++to) {
    const OutboxCursor cursor = impl_->outbox.At(PartitionId(to));
    auto& lane = impl_->lanes[to];
    lane.released = cursor.last;
    lane.sent = lane.decided = lane.acked = cursor.acked;
    impl_->Pump(to);
  }
}

void Links::Release(PartitionId destination, uint64_t upto) {
  auto& lane = impl_->lanes[destination.value()];
  if (upto <= lane.released) return;
  lane.released = upto;
  impl_->Pump(destination.value());
}

void Links::Stop() { impl_->stopped = true; }

uint64_t Links::Lag() const {
  uint64_t lag = 0;
  for (const auto& lane : impl_->lanes) lag += lane.released - lane.decided;
  return lag;
}

}  // namespace maily::link
