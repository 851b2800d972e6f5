// See producer.h.
#include "tests/histories/producer.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "tests/histories/record_bytes.h"

namespace maily::histories {
namespace {

constexpr uint64_t kTooLarge = 1'000'001;
constexpr uint64_t kWindows[] = {1, 16, 64, 512, 2048, 4096, 4096};

uint64_t SizeOf(std::minstd_rand& random) {
  const uint64_t dice = random() % 100'000;
  if (dice < 4) return kTooLarge;
  if (dice < 10) return 16 + random() % 900'000;
  if (dice < 500) return 16 + random() % 10'000;
  return 16 + random() % 200;
}

}  // namespace

Producer::Producer(Session& session, Outcomes& outcomes, uint16_t number)
    : session_(session),
      outcomes_(outcomes),
      client_(static_cast<uint16_t>(session.number * kProducers + number)),
      random_(session.Random(number)),
      track_(session.Track(fmt::format("producer{}", number), Role::kProducer, client_)) {}

void Producer::Await(uint64_t under_way_max) {
  for (uint64_t now = under_way_; now > under_way_max; now = under_way_) under_way_.wait(now);
}

uint64_t Producer::Append(uint8_t partition, uint64_t size, Sync sync, uint64_t under_way_max) {
  Await(under_way_max);
  ++under_way_;
  const uint64_t value = ValueOf(partition, client_, ++last_);
  track_->Add(Event::Of(Kind::kInvoked, value, sync == Sync::kNow ? 1 : 0, size));
  session_.log.Append(At(partition), BytesOf(value, size), sync, [this, value](const Result<Appended>& result) {
    outcomes_.Add(value, result);
    --under_way_;
    under_way_.notify_one();
  });
  return value;
}

void Producer::Run(const Load& load) {
  const auto began = std::chrono::steady_clock::now();
  uint64_t window = 0;
  uint64_t left = 0;  // of this window
  while (session_.progress->appends.fetch_add(1) < load.appends_max) {
    if (left == 0) {
      window = kWindows[random_() % std::size(kWindows)];
      left = 20 + 8 * window;
    }
    --left;
    Append(static_cast<uint8_t>(random_() % kPartitions), SizeOf(random_), random_() % 2 == 0 ? Sync::kNow : Sync::kSoon, window - 1);
    if (load.rate_max != 0 && last_ % 16 == 0) {
      std::this_thread::sleep_until(began + std::chrono::microseconds(last_ * 1'000'000 / load.rate_max));
    }
  }
  --session_.progress->appends;  // the one too many
  AwaitAll();
}

}  // namespace maily::histories
