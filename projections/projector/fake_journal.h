// For tests of folds and projectors: a journal of hand-made frames, and one thread whose time is moved by hand.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "projections/projector/projection.h"
#include "streams/base/hash.h"
#include "streams/journal/tail.h"
#include "tests/databases.h"

namespace maily::projections {

// Runs jobs in the order of posting, when told to.
class ManualExecutor final : public Executor, public Clock {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  TimerId After(Duration delay, Job job) override {
    timers_.emplace(std::pair(steady_ + delay, ++last_timer_), std::move(job));
    return last_timer_;
  }
  void Cancel(TimerId timer) override {
    std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  }
  Instant Now() override { return Instant{1'700'000'060'000'000} + steady_; }
  Duration Steady() override { return steady_; }

  // Runs one job, or the next timer; false if there is neither.
  bool RunOne() {
    if (jobs_.empty()) {
      if (timers_.empty()) return false;
      steady_ = std::max(steady_, timers_.begin()->first.first);
      jobs_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    job();
    return true;
  }
  void Drain() {
    while (RunOne()) {
    }
  }
  void Advance(Duration by) { steady_ = steady_ + by; }

 private:
  std::deque<Job> jobs_;
  std::map<std::pair<Duration, TimerId>, Job> timers_;
  TimerId last_timer_ = 0;
  Duration steady_;
};

// Events of one decision of a hand-made frame.
struct FakeDecision {
  TenantId tenant{1};
  std::vector<std::pair<TypeNumber, std::string>> events = {};
  journal::Outcome outcome = journal::Outcome::kDone;
  journal::Cause cause = {};

  template <class M>
  FakeDecision& With(const M& message) {
    std::string bytes;
    message.AppendToString(&bytes);
    events.emplace_back(TypeNumberOf<M>(), std::move(bytes));
    return *this;
  }
};

class FakeJournal {
 public:
  explicit FakeJournal(uint16_t partition_count) : partitions_(partition_count) {}

  // Appends an accepted frame that decides the next command of the partition.
  journal::FramePtr Add(uint16_t partition, Instant time, std::vector<FakeDecision> decisions) {
    Partition& p = partitions_[partition];
    auto frame = std::make_shared<journal::AcceptedFrame>();
    frame->before = p.frames.empty() ? Genesis(partition) : p.frames.back()->after;
    frame->after = frame->before;
    frame->after.at_genesis = false;
    frame->after.epoch = Epoch(1);
    frame->after.seq += 1;
    frame->after.lsn = Lsn(frame->before.lsn.value() + decisions.size());
    frame->after.time = time;
    frame->after.offset_hint = Offset(p.frames.size() + 1);
    frame->after.sources = {{.source = 0, .generation = 1, .any = true, .offset = Offset(frame->after.seq), .index = 0}};
    frame->offset = frame->after.offset_hint;
    frame->time = time;
    frame->first_lsn = frame->before.lsn.Next();
    size_t size = 0;
    size_t count = 0;
    for (const FakeDecision& decision : decisions) {
      for (const auto& [type, bytes] : decision.events) size += bytes.size();
      count += decision.events.size();
    }
    frame->body.reserve(size);
    frame->events.reserve(count);
    for (const FakeDecision& decision : decisions) {
      journal::Decision made;
      made.tenant = decision.tenant;
      made.outcome = decision.outcome;
      made.cause = decision.cause;
      const size_t first = frame->events.size();
      for (const auto& [type, bytes] : decision.events) {
        const size_t at = frame->body.size();
        frame->body += bytes;
        frame->events.push_back({type, std::string_view(frame->body).substr(at, bytes.size())});
      }
      made.events = std::span(frame->events).subspan(first);
      frame->decisions.push_back(made);
    }
    frame->after.chain = Xxh3_64Chain(frame->before.chain, frame->body, frame->after.lsn.value());
    p.frames.push_back(frame);
    // Every waiting reader looks again.
    for (auto& [executor, ready] : std::exchange(p.waiting, {})) executor->Post(std::move(ready));
    return frame;
  }

  Result<std::unique_ptr<journal::TailReader>> Open(PartitionId partition, const journal::Position& from) {
    Partition& p = partitions_[partition.value()];
    const size_t next = from.at_genesis ? 0 : from.offset_hint.value();
    if (next > p.frames.size()) return Fail(Code::kDiverged, "position beyond the end");
    return std::unique_ptr<journal::TailReader>(std::make_unique<Reader>(p, next, from));
  }
  uint64_t End(PartitionId partition) const { return partitions_[partition.value()].frames.size() + 1; }

 private:
  struct Partition {
    std::vector<journal::FramePtr> frames;  // frame i stands at offset i + 1
    std::vector<std::pair<Executor*, Job>> waiting;
  };
  static journal::Position Genesis(uint16_t partition) {
    journal::Position position;
    position.partition = PartitionId(partition);
    return position;
  }
  class Reader final : public journal::TailReader {
   public:
    Reader(Partition& p, size_t next, journal::Position at) : partition_(p), next_(next), at_(std::move(at)) {}
    Result<journal::FramePtr> Next() override {
      if (next_ == partition_.frames.size()) return journal::FramePtr();
      at_ = partition_.frames[next_]->after;
      return partition_.frames[next_++];
    }
    const journal::Position& position() const override { return at_; }
    void WhenReady(Executor& executor, Job ready) override {
      if (next_ < partition_.frames.size()) return executor.Post(std::move(ready));
      partition_.waiting.emplace_back(&executor, std::move(ready));
    }

   private:
    Partition& partition_;
    size_t next_;
    journal::Position at_;
  };
  std::vector<Partition> partitions_;
};

// A journal, databases in a directory of their own, and what projections ask for.
class ProjectionFixture : public testing::Test {
 protected:
  explicit ProjectionFixture(uint16_t partition_count = 2) : journal(partition_count), partition_count_(partition_count) {
    databases = place.Open();
  }
  void SetUp() override {
    if (test::NoEngine()) GTEST_SKIP() << "skipped: no PostgreSQL (scripts/setup.sh --postgres installs it)";
  }
  ProjectionEnvironment Environment() { return EnvironmentOf(*databases); }
  ProjectionEnvironment EnvironmentOf(sql::Databases& all) {
    return {.databases = all,
            .executor = executor,
            .clock = executor,
            .partition_count = partition_count_,
            .open_reader = [this](PartitionId p, const journal::Position& from) { return journal.Open(p, from); },
            .journal_end = [this](PartitionId p) { return journal.End(p); },
            .keyring = keyring};
  }

  ManualExecutor executor;
  FakeJournal journal;
  test::Databases place;
  std::unique_ptr<sql::Databases> databases;
  keyring::Keyring* keyring = nullptr;

 private:
  uint16_t partition_count_;
};

// Folds hand-made frames into a live projection of one group, and asks its queries.
class FoldFixture : public ProjectionFixture {
 protected:
  explicit FoldFixture(Group g, uint16_t partition_count = 2) : ProjectionFixture(partition_count), group(std::move(g)) {}
  void TearDown() override {
    if (projection == nullptr) return;
    if (test::OnPostgres() && !damaged) EqualsSqlite();
    projection->Stop([] {});
    executor.Drain();
  }

  // Appends a frame with one decision, and folds it.
  template <class... M>
  void Happens(uint16_t partition, const M&... events) {
    FakeDecision decision;
    (decision.With(events), ...);
    Decides(partition, std::move(decision));
  }
  void Decides(uint16_t partition, FakeDecision decision) {
    journal.Add(partition, now, {std::move(decision)});
    Fold();
  }
  void Fold() {
    if (projection == nullptr) {
      GroupQueries queries{.group = group.name};
      for (const ReadModel& model : group.models) queries.queries_sql.push_back(model.queries_sql);
      views = std::make_unique<Views>(*databases, std::vector{queries});
      projection = std::make_unique<Projection>(Environment(), group, *views);
      projection->Start([](Result<void> started) { started.value(); });
    }
    executor.Drain();
    const ProjectionStatus status = projection->Status();
    ASSERT_EQ(status.stopped, "");
  }
  Rows Ask(std::string_view query, const std::vector<Parameter>& parameters = {}) { return views->Query(query, parameters).value(); }
  GroupDigest Digest() {
    GroupDigest digest;
    projection->Digest([&](Result<VerifiedDigest> got) { digest = got.value().digest; });
    executor.Drain();
    return digest;
  }
  // Folds all of it anew, and fails if the rows differ.
  void RebuildGivesTheSame() {
    std::string why = "no answer";
    bool compared = false;
    projection->Rebuild(Projection::Then::kCompare, [&](Result<RebuildStatus> built) {
      why = built ? "" : built.error().ToString();
      compared = built && built->compared;
    });
    executor.Drain();
    EXPECT_EQ(why, "");
    EXPECT_TRUE(compared);
  }

  // On another engine: the same journal gives the same digest on SQLite.
  void EqualsSqlite() {
    executor.Drain();
    const std::string digest = Digest().ToHex();
    char name[] = "/tmp/maily-twin-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    auto twin = sql::OpenSqlite({.directory = directory}).value();
    auto projector = Projector::Open(EnvironmentOf(*twin), group, "twin", Mode::kLive, {}, {}).value();
    projector->Start();
    executor.Drain();
    Digester digester(projector->connection(), group);
    while (!digester.Step(1'000).value()) {
    }
    EXPECT_EQ(digester.digest().ToHex(), digest);
    projector->Stop();
    projector.reset();
    twin.reset();
    std::filesystem::remove_all(directory);
  }

  bool damaged = false;  // the rows are, on purpose, not those of the journal; or the projection stopped
  Group group;
  Instant now{1'700'000'000'000'000};
  std::unique_ptr<Views> views;
  std::unique_ptr<Projection> projection;
};

}  // namespace maily::projections
