// See answers.h.
#include "streams/task/answers.h"

#include <mutex>

#include "streams/observe/logging.h"
#include "streams/task/follower.h"

namespace maily::task {
namespace {

constexpr Duration kRetryAfter = Seconds(1);

void AnswerFrom(const journal::AcceptedFrame& frame, command::Replies& replies) {
  if (replies.Empty()) return;
  for (const journal::Decision& decision : frame.decisions) {
    if (decision.cause.kind != journal::CauseKind::kCommand) continue;
    // An answer with a code is a refusal.
    const bool again = decision.outcome == journal::Outcome::kDuplicate;
    if (again && decision.answer.find("\"code\"") != std::string_view::npos) {
      replies.Abandon(decision.cause.command_id);
      continue;
    }
    replies.Answer(decision.cause.command_id, {.outcome = static_cast<uint16_t>(decision.outcome),
                                               .answer = std::string(decision.answer),
                                               .at = decision.cause.at,
                                               .first = static_cast<uint16_t>(journal::Outcome::kDone)});
  }
}

}  // namespace

struct Answers::Impl : std::enable_shared_from_this<Impl> {
  Impl(journal::Tails& tails_in, command::Replies& replies_in, Executor& executor_in, std::vector<journal::Position> from)
      : tails(tails_in), replies(replies_in), executor(executor_in), followers(tails.partition_count()) {
    for (uint16_t p = 0; p < tails.partition_count(); ++p) {
      journal::Position at;
      at.partition = PartitionId(p);
      positions.push_back(at);
    }
    for (journal::Position& position : from) positions[position.partition.value()] = std::move(position);
    begin = positions;
  }

  void Read(PartitionId partition) {
    const size_t p = partition.value();
    const auto self = weak_from_this();
    auto started = Follower::Start(tails.at(partition), executor, begin[p],
                                   {.fold =
                                        [self](const journal::AcceptedFrame& frame) {
                                          if (const auto impl = self.lock()) AnswerFrom(frame, impl->replies);
                                          return Ok();
                                        },
                                    .reached =
                                        [self, p](const journal::Position& at) {
                                          const auto impl = self.lock();
                                          if (impl == nullptr) return;
                                          const std::lock_guard lock(impl->mutex);
                                          impl->positions[p] = at;
                                        },
                                    .failed =
                                        [self, partition](const Error& error) {
                                          const auto impl = self.lock();
                                          if (impl == nullptr) return;
                                          observe::Log(observe::Level::kError, "answers of a partition cannot be read",
                                                       {{"partition", partition.value()}, {"error", error.ToString()}});
                                        }});
    if (started) {
      followers[p] = std::move(*started);
      return;
    }
    observe::Log(observe::Level::kWarn, "answers of a partition cannot be read yet",
                 {{"partition", partition.value()}, {"error", started.error().ToString()}});
    executor.After(kRetryAfter, [self, partition] {
      if (const auto impl = self.lock()) impl->Read(partition);
    });
  }

  journal::Tails& tails;
  command::Replies& replies;
  Executor& executor;
  std::vector<std::unique_ptr<Follower>> followers;  // one a partition
  std::vector<journal::Position> begin;

  mutable std::mutex mutex;
  std::vector<journal::Position> positions;
};

Answers::Answers(journal::Tails& tails, command::Replies& replies, Executor& executor, std::vector<journal::Position> from)
    : impl_(std::make_shared<Impl>(tails, replies, executor, std::move(from))) {
  executor.Post([weak = std::weak_ptr(impl_)] {
    const auto impl = weak.lock();
    for (uint16_t p = 0; impl != nullptr && p < impl->tails.partition_count(); ++p) impl->Read(PartitionId(p));
  });
}
Answers::~Answers() = default;

journal::Position Answers::position(PartitionId partition) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->positions[partition.value()];
}

}  // namespace maily::task
