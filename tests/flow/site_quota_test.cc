// Random histories of several processes that send to one site with limits: they are killed and stopped, leases run out, hours and days
// pass. What began within an hour and a day is never more than their numbers.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "maily/sites/v1/commands.pb.h"
#include "maily/sites/v1/events.pb.h"
#include "processors/effects/smtp/site.h"
#include "processors/pipeline.h"
#include "schemas/codec.h"
#include "tests/flow/world.h"

namespace maily::flow {
namespace {

namespace sites = maily::sites::v1;

constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;
constexpr uint64_t kOfHour = 37, kOfDay = 100;
constexpr size_t kProcesses = 3;

const task::Pipeline& ThePipeline() {
  static const task::Pipeline* const pipeline = new task::Pipeline(MakePipeline());
  return *pipeline;
}

class Quota {
 public:
  explicit Quota(uint32_t seed) : random_(seed), world_(ThePipeline(), 2, seed % 2 == 1), kills_(seed % 3 != 0) {
    for (size_t p = 0; p < kProcesses; ++p) Start(p);
  }

  // Gives how many mails began; `full` counts hours and days whose number was used up.
  uint64_t Play(uint64_t& full_hours, uint64_t& full_days) {
    for (int step = 0; step < 2000 && !testing::Test::HasFailure(); ++step) Act();
    for (const auto& [period, mails] : of_) {
      full_hours += period > 400'000 && mails == kOfHour;
      full_days += period < 400'000 && mails == kOfDay;
    }
    return begun_;
  }

 private:
  struct Process {
    std::shared_ptr<smtp::Site> site;
    uint32_t reserved = 0;
    bool wants = false;
  };

  uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }
  Duration steady() const { return {world_.now().us}; }

  void Start(size_t p) {
    processes_[p] = Process();
    bool& wants = processes_[p].wants;
    processes_[p].site = std::make_shared<smtp::Site>("s", smtp::SitePolicy{.mails_per_hour = kOfHour, .mails_per_day = kOfDay},
                                                      [&wants](const auto&) { wants = true; });
  }
  template <class Message>
  Answered Ask(const Message& message) {
    return world_.Command(world_.PartitionFor(message), TypeNumberOf<Message>(), schema::Encode(message), world_.now());
  }
  void Return(Process& process, bool all) {
    for (const smtp::SiteLease& lease : process.site->TakeUnspent(world_.now(), all)) {
      sites::ReturnSiteLease back;
      back.set_site("s");
      back.set_hour(lease.hour);
      back.set_mails(lease.mails);
      Ask(back);
    }
  }

  void Act() {
    Process& process = processes_[Below(kProcesses)];
    switch (Below(12)) {
      case 0:
      case 1:
      case 2:
        process.reserved += process.site->Take(1 + Below(8), steady(), world_.now());
        break;
      case 3:
      case 4:
        if (std::exchange(process.wants, false)) {
          sites::LeaseSite lease;
          lease.set_site("s");
          lease.mutable_limits()->set_mails_per_hour(kOfHour);
          lease.mutable_limits()->set_mails_per_day(kOfDay);
          const auto answer = nlohmann::json::parse(Ask(lease).answer);
          process.site->Lend({answer["mails"], answer["hour"], {answer["until_us"].get<int64_t>()}}, steady());
        }
        break;
      case 5:
        if (process.reserved > 0) {
          --process.reserved;
          process.site->GiveBack(1);
        }
        break;
      case 6:
        if (Below(8) == 0) world_.Advance(Seconds(Below(3600)));
        break;
      case 7:
        Return(process, false);
        break;
      case 8:
        if (Below(4) != 0) break;
        if (!kills_ || Below(2) == 0) Return(process, true);  // stopped,
        Start(static_cast<size_t>(&process - processes_));    // or killed
        break;
      default:
        for (uint32_t n = Below(process.reserved + 1); n > 0; --n) Begin(process);
    }
  }
  void Begin(Process& process) {
    --process.reserved;
    if (!process.site->Begin(steady(), world_.now())) return;
    ++begun_;
    const int64_t hour = world_.now().us / kHourUs;
    EXPECT_LE(++of_[hour], kOfHour) << "of the hour " << hour;
    EXPECT_LE(++of_[hour / 24], kOfDay) << "of the day " << hour / 24;
  }

  std::mt19937 random_;
  World world_;
  const bool kills_;  // else processes stop cleanly
  Process processes_[kProcesses];
  std::map<int64_t, uint64_t> of_;  // hours are above 400,000, days far below
  uint64_t begun_ = 0;
};

TEST(SiteQuota, IsNeverExceededWhoeverDies) {
  uint64_t begun = 0, full_hours = 0, full_days = 0;
  for (uint32_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    begun += Quota(seed).Play(full_hours, full_days);
  }
  // Limits that let nothing go hold too.
  EXPECT_GT(begun, 50 * kOfDay);
  EXPECT_GT(full_hours, 5u);
  EXPECT_GT(full_days, 0u);
}

}  // namespace
}  // namespace maily::flow
