// See lag.h.
#include "processors/effects/lag.h"

#include <mutex>
#include <set>

namespace maily::effects {

struct Lag::Impl {
  explicit Impl(Clock& clock_in) : clock(clock_in) {}

  size_t Records() const {
    const std::lock_guard lock(mutex);
    return since.size();
  }
  Duration Oldest() const {
    const std::lock_guard lock(mutex);
    return since.empty() ? Duration{} : std::max(Duration{}, clock.Steady() - *since.begin());
  }

  Clock& clock;
  mutable std::mutex mutex;
  std::multiset<Duration> since;  // steady time; as many as the effect has in hand, which it bounds
};

class Lag::Item {
 public:
  Item(std::shared_ptr<Impl> lag, Duration age) : lag_(std::move(lag)) {
    const std::lock_guard lock(lag_->mutex);
    at_ = lag_->since.insert(lag_->clock.Steady() - age);
  }
  ~Item() {
    const std::lock_guard lock(lag_->mutex);
    lag_->since.erase(at_);
  }
  Item(const Item&) = delete;
  Item& operator=(const Item&) = delete;

 private:
  const std::shared_ptr<Impl> lag_;
  std::multiset<Duration>::const_iterator at_;
};

Lag::Lag(Clock& clock, const std::string& effect, PartitionId partition) : impl_(std::make_shared<Impl>(clock)) {
  auto& metrics = observe::Metrics::Process();
  const observe::Labels labels = {{"effect", effect}, {"partition", std::to_string(partition.value())}};
  records_ = metrics.AddProbe("maily_effect_lag_records",
                              "What the journal asked of an effect and is not done: of smtp attempts whose result is not durable yet, of "
                              "clock a timer that is due and that journal time has not reached.",
                              labels, [impl = impl_] { return static_cast<double>(impl->Records()); });
  seconds_ = metrics.AddProbe("maily_effect_lag_seconds", "For how long the oldest of maily_effect_lag_records has been asked for.", labels,
                              [impl = impl_] { return static_cast<double>(impl->Oldest().us) / 1e6; });
}

Lag::Open Lag::Begin(Duration age) { return std::make_shared<const Item>(impl_, age); }
size_t Lag::records() const { return impl_->Records(); }
Duration Lag::oldest() const { return impl_->Oldest(); }

}  // namespace maily::effects
