// See flusher.h.
#include "streams/task/flusher.h"

#include "streams/observe/logging.h"
#include "streams/task/retention.h"

namespace maily::task {
namespace {

// Old commands are looked for so often in the time that they are kept, and once an hour at least.
constexpr int64_t kTrimsInRetention = 64;
constexpr Duration kTrimIntervalMax = Hours(1);

}  // namespace

Flusher::Flusher(const TaskEnvironment& environment, PartitionId partition, state::Store& store)
    : environment_(environment),
      partition_(partition),
      store_(store),
      quarters_(partition.value() % 4 + 1),
      restore_dirty_max_(environment.cache_bytes_max / 2),
      // The first flush of a leadership looks: a process may be restarted every hour.
      last_trim_(environment.clock.Steady() - kTrimIntervalMax) {}

Result<void> Flusher::Write(const journal::Position& at) {
  store_.Freeze(at);
  return store_.WriteFrozen();
}

Result<void> Flusher::Restored(const journal::Position& at) {
  if (store_.cache().dirty_bytes() <= restore_dirty_max_) return Ok();
  const auto written = Write(at);
  if (!written && written.error().code != Code::kRetry) return written.error();
  restore_dirty_max_ = store_.cache().dirty_bytes() + environment_.cache_bytes_max / 2;
  return Ok();
}

bool Flusher::Due() const {
  if (stalled_) return asked_ || full();
  return asked_ || journal_bytes_ >= environment_.flush_journal_bytes / 4 * quarters_ ||
         store_.cache().dirty_bytes() >= environment_.cache_bytes_max / 16 * 3 * quarters_;
}

bool Flusher::full() const { return stalled_ && store_.cache().dirty_bytes() >= environment_.cache_bytes_max; }

Result<void> Flusher::Flush(const journal::Position& at) {
  asked_ = false;
  journal_bytes_ = 0;
  const auto written = Write(at);
  if (!written && written.error().code != Code::kRetry) return written.error();
  if (!written && !stalled_) {
    observe::Log(observe::Level::kWarn, "the state is not flushed, and will be tried again",
                 {{"partition", partition_.value()}, {"error", written.error().message}});
  }
  stalled_ = !written;
  quarters_ = 4;
  if (!stalled_) Trim();
  return Ok();
}

void Flusher::Trim() {
  const Duration retention = environment_.commands_retention;
  if (retention <= Duration{}) return;
  const Duration steady = environment_.clock.Steady();
  if (steady - last_trim_ < std::min(Duration{retention.us / kTrimsInRetention}, kTrimIntervalMax)) return;
  last_trim_ = steady;
  const journal::SourcePosition* decided = store_.position().Source(0);
  if (decided == nullptr || !decided->any || decided->generation != environment_.log.settings().generation) return;
  const auto begin = TrimCommands(environment_.log, partition_, decided->offset, environment_.clock.Now() - retention);
  if (begin) return;
  observe::Log(observe::Level::kWarn, "old commands are not trimmed", {{"partition", partition_.value()}, {"error", begin.error()}});
}

}  // namespace maily::task
