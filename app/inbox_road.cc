// See inbox_road.h.
#include "app/inbox_road.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "app/dead_letter.h"
#include "streams/observe/logging.h"

namespace maily::app {
namespace {

using Kind = api::InboxVerdict::Kind;

constexpr Duration kTake = Milliseconds(200);
constexpr Duration kAgainFirst = Milliseconds(50);
constexpr Duration kAgainMax = Seconds(5);
constexpr Duration kTellAgain = Seconds(30);
constexpr Duration kLookAtStop = Milliseconds(100);
constexpr const char* kRecords = "maily_inbox_records_total";
constexpr const char* kRecordsHelp = "Records of the inbox that were settled, by result.";
constexpr const char* kRefused = "maily_inbox_refused_total";
constexpr const char* kRefusedHelp = "Records of the inbox that became dead letters, by reason.";

observe::Counter Settled(const char* result) {
  return observe::Metrics::Process().AddCounter(kRecords, kRecordsHelp, {{"result", result}});
}
observe::Counter Reason(const std::string& reason) {
  return observe::Metrics::Process().AddCounter(kRefused, kRefusedHelp, {{"reason", reason}});
}
observe::Counter Retries() {
  return observe::Metrics::Process().AddCounter("maily_inbox_retries_total", "Tries of inbox records that could not be decided yet.");
}

}  // namespace

// A record on its way, and what came of it.
struct InboxRoad::Batch {
  struct One {
    FeedRecord record;
    api::InboxVerdict verdict;
    uint64_t attempts = 0;
    Instant first_tried = {};
    Instant last_tried = {};
    Duration wait;                    // before it is tried again
    std::optional<size_t> next = {};  // of the same key, decided after it
  };
  std::vector<One> ones;
};

// Verdicts that have come, on whatever thread. Of an older batch nobody waits any more.
struct InboxRoad::Answers {
  std::mutex mutex;
  std::condition_variable came;
  uint64_t batch = 0;
  std::deque<std::pair<size_t, api::InboxVerdict>> verdicts;

  void Put(uint64_t of_batch, size_t index, api::InboxVerdict verdict) {
    {
      const std::lock_guard lock(mutex);
      if (of_batch != batch) return;
      verdicts.emplace_back(index, std::move(verdict));
    }
    came.notify_one();
  }
  uint64_t Begin() {
    const std::lock_guard lock(mutex);
    verdicts.clear();
    return ++batch;
  }
  // The next one, waited for.
  std::optional<std::pair<size_t, api::InboxVerdict>> Take(Duration wait) {
    std::unique_lock lock(mutex);
    came.wait_for(lock, std::chrono::microseconds(wait.us), [this] { return !verdicts.empty(); });
    if (verdicts.empty()) return std::nullopt;
    auto first = std::move(verdicts.front());
    verdicts.pop_front();
    return first;
  }
};

void RegisterInboxMetrics() {
  for (const char* result : {"accepted", "duplicate", "refused"}) Settled(result);
  Reason("forged_tenant");
  Retries();
}

InboxRoad::InboxRoad(InboxRoadParts parts)
    : parts_(std::move(parts)),
      answers_(std::make_shared<Answers>()),
      looked_(parts_.dead.partition_count()),
      accepted_(Settled("accepted")),
      duplicates_(Settled("duplicate")),
      retries_(Retries()),
      dead_(Settled("refused")) {}

InboxRoad::~InboxRoad() { Stop(Duration{}); }

void InboxRoad::Start() {
  thread_ = std::thread([this] { Run(); });
}

void InboxRoad::Stop(Duration patience) {
  give_up_us_ = (parts_.clock.Steady() + patience).us;
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

bool InboxRoad::over() const { return stopping_ && parts_.clock.Steady().us >= give_up_us_; }

void InboxRoad::Run() {
  while (!stopping_) Once(kTake);
}

size_t InboxRoad::Once(Duration wait) {
  auto taken = parts_.feed.Take(kBatchRecords, kBatchBytes, wait);
  if (!taken) {
    observe::Log(observe::Level::kWarn, "the inbox cannot be read", {{"error", taken.error()}});
    std::this_thread::sleep_for(std::chrono::microseconds(kAgainFirst.us));
    return 0;
  }
  if (taken->empty()) return 0;
  if (assignment_ != parts_.feed.assignment()) {
    assignment_ = parts_.feed.assignment();
    looked_.assign(looked_.size(), false);
  }
  Batch batch;
  for (FeedRecord& record : *taken) batch.ones.push_back({.record = std::move(record), .verdict = {}, .wait = kAgainFirst});
  if (!Decide(batch) || !Bury(batch)) return 0;
  if (auto settled = parts_.feed.Settle(); !settled) {
    observe::Log(observe::Level::kWarn, "the inbox will give records again, which is harmless", {{"error", settled.error()}});
    looked_.assign(looked_.size(), false);
  }
  for (const Batch::One& one : batch.ones) {
    if (one.verdict.kind == Kind::kAccepted) accepted_.Add();
    if (one.verdict.kind == Kind::kDuplicate) duplicates_.Add();
    if (one.verdict.kind != Kind::kRefused) continue;
    dead_.Add();
    Reason(one.verdict.why.code).Add();
  }
  return batch.ones.size();
}

// False: given up.
bool InboxRoad::Decide(Batch& batch) {
  const uint64_t number = answers_->Begin();
  std::map<std::pair<size_t, std::string_view>, size_t> last;  // of a topic and key
  std::vector<size_t> ready;
  for (size_t i = 0; i < batch.ones.size(); ++i) {
    const FeedRecord& record = batch.ones[i].record;
    if (!record.key || record.key->empty()) {
      ready.push_back(i);
      continue;
    }
    const auto [place, first] = last.emplace(std::pair(record.topic, std::string_view(*record.key)), i);
    if (first) {
      ready.push_back(i);
    } else {
      batch.ones[std::exchange(place->second, i)].next = i;
    }
  }
  const auto ask = [&](size_t i) {
    Batch::One& one = batch.ones[i];
    one.last_tried = parts_.clock.Now();
    if (one.attempts++ == 0) one.first_tried = one.last_tried;
    parts_.decide(one.record, [answers = answers_, number, i](api::InboxVerdict verdict) { answers->Put(number, i, std::move(verdict)); });
  };
  for (const size_t i : ready) ask(i);
  std::multimap<Duration, size_t> again;  // by when
  std::optional<Duration> told;
  size_t left = batch.ones.size();
  while (left > 0) {
    const Duration now = parts_.clock.Steady();
    if (over()) return false;
    if (!again.empty() && again.begin()->first <= now) {
      ask(again.extract(again.begin()).mapped());
      continue;
    }
    auto answer = answers_->Take(again.empty() ? kLookAtStop : std::min(kLookAtStop, again.begin()->first - now));
    if (!answer) continue;
    Batch::One& one = batch.ones[answer->first];
    one.verdict = std::move(answer->second);
    if (one.verdict.kind == Kind::kBroken && one.attempts >= kBrokenMax) one.verdict.kind = Kind::kRefused;
    if (one.verdict.kind == Kind::kAgain || one.verdict.kind == Kind::kBroken) {
      retries_.Add();
      if (!told || now - *told > kTellAgain) {
        told = now;
        observe::Log(observe::Level::kWarn, "the inbox waits: a record cannot be decided now",
                     {{"topic", parts_.feed.topic_name(one.record.topic)},
                      {"kafka_partition", one.record.partition},
                      {"offset", one.record.offset},
                      {"attempts", one.attempts},
                      {"why", one.verdict.why.message}});
      }
      again.emplace(parts_.clock.Steady() + one.wait, answer->first);
      one.wait = std::min(kAgainMax, one.wait + one.wait);
      continue;
    }
    --left;
    if (one.next) ask(*one.next);
  }
  return true;
}

// False: given up.
bool InboxRoad::Bury(Batch& batch) {
  std::map<uint16_t, std::vector<size_t>> letters;  // by partition of the dead letters
  for (size_t i = 0; i < batch.ones.size(); ++i) {
    if (batch.ones[i].verdict.kind != Kind::kRefused) continue;
    letters[static_cast<uint16_t>(batch.ones[i].record.partition % parts_.dead.partition_count())].push_back(i);
  }
  for (const auto& [partition, those] : letters) {
    Duration wait = kAgainFirst;
    for (;;) {
      const auto buried = BuryOne(batch, partition, those);
      if (buried) break;
      looked_[partition] = false;
      if (over()) return false;
      observe::Log(observe::Level::kWarn, "dead letters of the inbox cannot be kept; it waits", {{"error", buried.error()}});
      const Duration until = parts_.clock.Steady() + wait;
      while (!over() && parts_.clock.Steady() < until) std::this_thread::sleep_for(std::chrono::microseconds(kAgainFirst.us));
      wait = std::min(kAgainMax, wait + wait);
    }
  }
  return true;
}

Result<void> InboxRoad::BuryOne(Batch& batch, uint16_t partition, const std::vector<size_t>& letters) {
  std::set<std::string> there;
  if (!looked_[partition]) {
    MAILY_TRY(const std::vector<OutletRecord> newest, parts_.dead.Newest(0, PartitionId(partition), kBatchRecords));
    for (const OutletRecord& record : newest) {
      if (const std::string* id = record.Header(kDeadIdHeader)) there.insert(*id);
    }
  }
  OutletBatch out;
  for (const size_t i : letters) {
    const Batch::One& one = batch.ones[i];
    const std::string& topic = parts_.feed.topic_name(one.record.topic);
    if (there.contains(DeadLetterId(topic, one.record))) continue;
    AddDeadLetter({.record = one.record,
                   .topic = topic,
                   .why = one.verdict.why,
                   .attempts = one.attempts,
                   .first_tried = one.first_tried,
                   .last_tried = one.last_tried,
                   .build = parts_.build},
                  out);
    observe::Log(observe::Level::kWarn, "a record of the inbox became a dead letter",
                 {{"topic", topic},
                  {"kafka_partition", one.record.partition},
                  {"offset", one.record.offset},
                  {"code", one.verdict.why.code},
                  {"field", one.verdict.why.field}});
  }
  if (!out.empty()) {
    struct Waiter {
      std::mutex mutex;
      std::condition_variable came;
      std::optional<Result<void>> result;
    };
    const auto waiter = std::make_shared<Waiter>();
    parts_.dead.Append(0, PartitionId(partition), std::move(out), [waiter](Result<void> result, OutletBatch) {
      {
        const std::lock_guard lock(waiter->mutex);
        waiter->result = std::move(result);
      }
      waiter->came.notify_one();
    });
    std::unique_lock lock(waiter->mutex);
    waiter->came.wait(lock, [&] { return waiter->result.has_value(); });
    MAILY_TRY_VOID(*waiter->result);
  }
  looked_[partition] = true;
  return Ok();
}

}  // namespace maily::app
