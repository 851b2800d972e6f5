// See follower.h.
#include "streams/task/follower.h"

namespace maily::task {
namespace {

constexpr size_t kFramesATurn = 64;
constexpr Duration kRetryAfter = Seconds(1);  // the log cannot be read now

}  // namespace

struct Follower::Impl : std::enable_shared_from_this<Impl> {
  Impl(Executor& executor_in, Callbacks callbacks_in) : executor(executor_in), callbacks(std::move(callbacks_in)) {}

  void Go() {
    for (size_t frames = 0; frames < kFramesATurn; ++frames) {
      auto frame = reader->Next();
      if (!frame && frame.error().code == Code::kRetry) {
        executor.After(kRetryAfter, Later());
        return;
      }
      if (!frame) return callbacks.failed(frame.error());
      if (*frame == nullptr) {
        callbacks.reached(reader->position());
        return reader->WhenReady(executor, Later());
      }
      if (auto folded = callbacks.fold(**frame); !folded) return callbacks.failed(folded.error());
    }
    executor.Post(Later());
  }
  Job Later() {
    return [weak = weak_from_this()] {
      if (const auto impl = weak.lock()) impl->Go();
    };
  }

  Executor& executor;
  const Callbacks callbacks;
  std::unique_ptr<journal::TailReader> reader;
};

Result<std::unique_ptr<Follower>> Follower::Start(journal::Tail& tail, Executor& executor, const journal::Position& from,
                                                  Callbacks callbacks) {
  auto impl = std::make_shared<Impl>(executor, std::move(callbacks));
  MAILY_TRY(impl->reader, tail.Open(from));
  executor.Post(impl->Later());
  return std::unique_ptr<Follower>(new Follower(std::move(impl)));
}

Follower::~Follower() = default;
const journal::Position& Follower::position() const { return impl_->reader->position(); }

}  // namespace maily::task
