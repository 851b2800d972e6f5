// See runner.h.
#include "processors/effects/runner.h"

#include "streams/observe/logging.h"

namespace maily::effects {
namespace {

constexpr size_t kFramesInARow = 32;  // then others on the executor have their turn

}  // namespace

struct Runner::Led_ : std::enable_shared_from_this<Led_> {
  Led_(Executor& executor_in, PartitionId partition_in) : executor(executor_in), partition(partition_in) {}

  void Pump() {
    if (stopped) return;
    for (size_t i = 0; i < kFramesInARow; ++i) {
      auto frame = reader->Next();
      if (!frame) {
        observe::Log(observe::Level::kError, "effects stopped", {{"partition", partition}, {"error", frame.error()}});
        return Stop();
      }
      if (*frame == nullptr) {
        reader->WhenReady(executor, [weak = weak_from_this()] {
          if (auto self = weak.lock()) self->Pump();
        });
        return;
      }
      for (const auto& effect : effects) effect->Accepted(**frame);
    }
    executor.Post([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Pump();
    });
  }

  void Stop() {
    if (std::exchange(stopped, true)) return;
    for (const auto& effect : effects) effect->Stop();
  }

  Executor& executor;
  const PartitionId partition;
  std::unique_ptr<journal::TailReader> reader;
  std::vector<std::unique_ptr<Effect>> effects;
  bool stopped = false;
};

Runner::Runner(uint16_t partition_count, EffectFactory factory) : led_(partition_count), factory_(std::move(factory)) {}
Runner::~Runner() = default;

void Runner::Led(Executor& executor, const Leadership& leadership, journal::Tail& tail) {
  auto led = std::make_shared<Led_>(executor, leadership.partition);
  auto reader = tail.Open(leadership.position);
  if (!reader) {
    observe::Log(observe::Level::kError, "effects not started", {{"partition", leadership.partition}, {"error", reader.error()}});
    return;
  }
  led->reader = std::move(*reader);
  led->effects = factory_(leadership.partition, executor);
  led_[leadership.partition.value()] = led;
  for (const auto& effect : led->effects) effect->Lead(leadership);
  executor.Post([led] { led->Pump(); });
}

void Runner::Stopped(PartitionId partition) {
  if (auto led = std::exchange(led_[partition.value()], nullptr)) led->Stop();
}

}  // namespace maily::effects
