// See runner.h.
#include "processors/effects/runner.h"

#include <atomic>

#include "streams/observe/logging.h"
#include "streams/observe/metrics.h"

namespace maily::effects {
namespace {

constexpr size_t kFramesInARow = 32;  // then others on the executor have their turn
constexpr Duration kRetryAfter = Seconds(1);

}  // namespace

struct Runner::Led_ : std::enable_shared_from_this<Led_> {
  // How far the effects have read; shown on any thread.
  struct Seen {
    std::atomic<uint64_t> next = 0;    // offset
    std::atomic<int64_t> time_us = 0;  // of the last frame
  };

  Led_(Executor& executor_in, Log& log_in, Clock& clock, const Leadership& leadership)
      : executor(executor_in), log(log_in), partition(leadership.partition), epoch(leadership.epoch) {
    const journal::Position& from = leadership.position;
    seen->next = from.at_genesis ? 0 : from.offset_hint.Next().value();
    seen->time_us = from.time.us;
    auto& metrics = observe::Metrics::Process();
    const observe::Labels labels = {{"partition", std::to_string(partition.value())}};
    const auto behind = [seen_by = seen, &from_log = log, at = journal()] {
      const uint64_t end = from_log.Ends(at).durable.value();
      return end - std::min<uint64_t>(end, seen_by->next);
    };
    lag_records = metrics.AddProbe("maily_effect_journal_lag_records", "Journal records that the effects of the partition have not seen.",
                                   labels, [behind] { return static_cast<double>(behind()); });
    lag_seconds =
        metrics.AddProbe("maily_effect_journal_lag_seconds", "Age of the last frame that the effects have seen, while there are others.",
                         labels, [behind, seen_by = seen, &clock] {
                           return behind() == 0 ? 0 : std::max(0.0, static_cast<double>(clock.Now().us - seen_by->time_us) / 1e6);
                         });
  }

  TopicPartition journal() const { return {Topic::kJournal, partition}; }

  void Pump() {
    if (stopped) return;
    for (size_t i = 0; i < kFramesInARow; ++i) {
      const uint64_t end = log.Ends(journal()).durable.value();
      auto frame = reader->Next();
      if (!frame && frame.error().code == Code::kRetry) {  // a full disk, say
        executor.After(kRetryAfter, [weak = weak_from_this()] {
          if (auto self = weak.lock()) self->Pump();
        });
        return;
      }
      if (!frame) {
        observe::Log(observe::Level::kError, "effects stopped", {{"partition", partition}, {"error", frame.error()}});
        return Stop();
      }
      if (*frame == nullptr) {
        seen->next = std::max<uint64_t>(seen->next, end);  // what it passed over holds nothing for anybody
        reader->WhenReady(executor, [weak = weak_from_this()] {
          if (auto self = weak.lock()) self->Pump();
        });
        return;
      }
      for (const auto& effect : effects) effect->Accepted(**frame);
      seen->next = (*frame)->offset.Next().value();
      seen->time_us = (*frame)->time.us;
    }
    executor.Post([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Pump();
    });
  }

  void Stop() {
    if (std::exchange(stopped, true)) return;
    // What was accepted under this leadership is for these effects and no others, so they see all of it.
    for (; reader != nullptr;) {
      const auto frame = reader->Next();
      if (!frame || *frame == nullptr || (*frame)->after.epoch != epoch) break;
      for (const auto& effect : effects) effect->Accepted(**frame);
    }
    for (const auto& effect : effects) effect->Stop();
    lag_records = {};
    lag_seconds = {};
  }

  Executor& executor;
  Log& log;
  const PartitionId partition;
  const Epoch epoch;
  const std::shared_ptr<Seen> seen = std::make_shared<Seen>();
  observe::Metrics::Probe lag_records, lag_seconds;
  std::unique_ptr<journal::TailReader> reader;
  std::vector<std::unique_ptr<Effect>> effects;
  bool stopped = false;
};

Runner::Runner(Log& log, Clock& clock, EffectFactory factory)
    : log_(log), clock_(clock), led_(log.settings().partition_count), factory_(std::move(factory)) {}
Runner::~Runner() = default;

void Runner::Led(Executor& executor, const Leadership& leadership, journal::Tail& tail) {
  auto led = std::make_shared<Led_>(executor, log_, clock_, leadership);
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
