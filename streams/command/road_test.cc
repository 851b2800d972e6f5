// Sender, Receiver and Replies: the road of a command from whoever asks to the task, and of the answer back.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "streams/command/receiver.h"
#include "streams/command/replies.h"
#include "streams/command/sender.h"
#include "tests/model/script_log.h"

namespace maily::command {
namespace {

using model::ManualExecutor;
using model::ScriptLog;

const PartitionId kPartition{1};
const TopicPartition kTopic{Topic::kCommands, kPartition};

struct Numbered {
  explicit Numbered(uint32_t number) : text(fmt::format("command {}", number)) {
    command.type = 7;
    command.id.bytes[0] = static_cast<uint8_t>(number);
    command.id.bytes[15] = 1;
    command.payload = text;
  }
  std::string text;
  Command command;
};

void Send(Sender& sender, uint32_t number, Sync sync, std::vector<Result<CommandAt>>& answers, PartitionId partition = kPartition) {
  sender.Send(partition, Numbered(number).command, sync, [&answers](Result<CommandAt> at) { answers.push_back(std::move(at)); });
}

std::string RecordOf(const ScriptLog& log, std::vector<uint32_t> numbers) {
  RecordBuilder builder;
  for (const uint32_t number : numbers) EXPECT_TRUE(builder.Add(Numbered(number).command));
  return builder.Finish(log.settings().log_id, log.settings().generation, kPartition);
}

TEST(Sender, GathersWhileItsLastAppendIsInFlight) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  Sender sender(log, 1 << 20);
  for (uint32_t i = 0; i < 5; ++i) Send(sender, i, i == 3 ? Sync::kNow : Sync::kSoon, answers);
  ASSERT_EQ(log.pending.size(), 1u);  // the first alone, at once
  EXPECT_EQ(log.pending[0].sync, Sync::kSoon);
  EXPECT_TRUE(answers.empty());
  log.Land();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0]->offset, Offset(0));
  ASSERT_EQ(log.pending.size(), 1u);  // the four that waited, in one record
  EXPECT_EQ(log.pending[0].sync, Sync::kNow);
  log.Land();
  ASSERT_EQ(answers.size(), 5u);
  for (uint32_t i = 1; i < 5; ++i) {
    EXPECT_EQ(*answers[i], (CommandAt{.partition = kPartition, .generation = 1, .offset = Offset(1), .index = i - 1}));
  }
  EXPECT_TRUE(log.pending.empty());
}

TEST(Sender, WhatIsFollowedWaitsForTheLastEvenIfThatIsRefused) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  Sender sender(log, 400);
  const auto send = [&](uint32_t number, More more) {
    sender.Send(kPartition, Numbered(number).command, Sync::kSoon, [&](Result<CommandAt> at) { answers.push_back(std::move(at)); }, more);
  };
  send(0, More::kFollows);
  EXPECT_TRUE(log.pending.empty());
  send(1, More::kNone);
  ASSERT_EQ(log.pending.size(), 1u);
  log.Land();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1]->index, 1u);
  uint32_t number = 2;
  while (answers.size() == 2) send(number++, More::kFollows);  // until the queue is full
  EXPECT_EQ(answers[2].error().code, Code::kRetry);
  EXPECT_TRUE(log.pending.empty());
  send(number, More::kNone);
  EXPECT_EQ(log.pending.size(), 1u);
  log.Land();
  EXPECT_EQ(answers.size(), number + 1u);
}

TEST(Sender, PartitionsDoNotWaitForEachOther) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  Sender sender(log, 1 << 20);
  Send(sender, 0, Sync::kNow, answers, PartitionId(0));
  Send(sender, 1, Sync::kNow, answers, PartitionId(1));
  EXPECT_EQ(log.pending.size(), 2u);
  Send(sender, 1, Sync::kNow, answers, PartitionId(4));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].error().code, Code::kInvalid);
}

TEST(Sender, AnErrorOrAnAcknowledgementWithoutOffsetMeansSendAgain) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  Sender sender(log, 1 << 20);
  Send(sender, 0, Sync::kNow, answers);
  log.Land(Result<Appended>(Appended{}));
  Send(sender, 1, Sync::kNow, answers);
  log.Land(Result<Appended>(Fail(Code::kRetry, "full disk")), false);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].error().ToString(), "retry: acknowledged without offset");
  EXPECT_EQ(answers[1].error().ToString(), "retry: full disk");
}

TEST(Sender, RefusesWhatDoesNotFitItsQueueAndTakesMoreWhenItDrained) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  Sender sender(log, 300);
  Send(sender, 0, Sync::kNow, answers);
  Send(sender, 1, Sync::kNow, answers);
  Send(sender, 2, Sync::kNow, answers);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].error().code, Code::kRetry);
  log.Land();
  log.Land();
  Send(sender, 3, Sync::kNow, answers);
  log.Land();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_TRUE(answers[3]);
}

TEST(Sender, SplitsWhatExceedsARecordAndKeepsTheOrder) {
  ScriptLog log;
  log.automatic = false;
  Sender sender(log, 10 << 20);
  const std::string payload(60'000, 'p');
  std::vector<CommandAt> answers;
  for (int i = 0; i < 40; ++i) {
    Command command;
    command.payload = payload;
    sender.Send(kPartition, command, Sync::kSoon, [&](Result<CommandAt> at) { answers.push_back(*at); });
  }
  while (!log.pending.empty()) {
    EXPECT_LE(log.pending[0].record.size(), kRecordBytesMax);
    log.Land();
  }
  ASSERT_EQ(answers.size(), 40u);
  for (size_t i = 1; i < answers.size(); ++i) EXPECT_LT(answers[i - 1], answers[i]);
  EXPECT_EQ(log.Ends(kTopic).durable, Offset(4));
}

TEST(Sender, ClosingAnswersWhoeverStillWaits) {
  ScriptLog log;
  log.automatic = false;
  std::vector<Result<CommandAt>> answers;
  {
    Sender sender(log, 1 << 20);
    Send(sender, 0, Sync::kNow, answers);
    Send(sender, 1, Sync::kNow, answers);
  }
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].error().code, Code::kRetry);
  log.Land();  // the log reports to a sender that is gone
  EXPECT_EQ(answers.size(), 2u);
}

TEST(Receiver, GivesEveryCommandOnceInOrderAndResumesInsideARecord) {
  ScriptLog log;
  log.Put(kTopic, RecordOf(log, {0, 1, 2}));
  log.Put(kTopic, RecordOf(log, {}));
  log.Put(kTopic, RecordOf(log, {3}));
  std::vector<CommandAt> places;
  Receiver all(log, kPartition, ReadTo::kWritten, nullptr);
  for (uint32_t i = 0; i < 4; ++i) {
    const Received* received = all.Peek();
    ASSERT_NE(received, nullptr);
    EXPECT_EQ(received->command.payload, Numbered(i).text);
    EXPECT_EQ(received->time, log.now);
    places.push_back(received->at);
    EXPECT_EQ(all.Peek(), received);
    all.Pop();
  }
  EXPECT_EQ(all.Peek(), nullptr);
  EXPECT_EQ(all.unreadable(), nullptr);
  EXPECT_EQ(all.error(), nullptr);
  EXPECT_EQ(all.next_offset(), Offset(3));
  log.Put(kTopic, RecordOf(log, {4}));
  ASSERT_NE(all.Peek(), nullptr);
  for (uint32_t i = 0; i < 4; ++i) {
    Receiver resumed(log, kPartition, ReadTo::kDurable, &places[i]);
    ASSERT_NE(resumed.Peek(), nullptr);
    EXPECT_EQ(resumed.Peek()->command.payload, Numbered(i + 1).text);
  }
}

TEST(Receiver, ShowsAnUnreadableRecordAndGoesOn) {
  ScriptLog log;
  log.Put(kTopic, RecordOf(log, {0}));
  log.Put(kTopic, "poison");
  std::string flipped = RecordOf(log, {1});
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  log.Put(kTopic, flipped);
  log.Put(kTopic, RecordOf(log, {2}));
  Receiver receiver(log, kPartition, ReadTo::kWritten, nullptr);
  receiver.Peek();
  receiver.Pop();
  ASSERT_EQ(receiver.Peek(), nullptr);
  ASSERT_NE(receiver.unreadable(), nullptr);
  EXPECT_EQ(receiver.unreadable()->why.code, Code::kInvalid);
  EXPECT_EQ(receiver.unreadable()->bytes, "poison");
  const CommandAt poison = receiver.unreadable()->at;
  EXPECT_EQ(poison.offset, Offset(1));
  receiver.Pop();
  ASSERT_EQ(receiver.Peek(), nullptr);
  ASSERT_NE(receiver.unreadable(), nullptr);
  EXPECT_EQ(receiver.unreadable()->why.code, Code::kCorrupt);
  receiver.Pop();
  ASSERT_NE(receiver.Peek(), nullptr);
  EXPECT_EQ(receiver.Peek()->command.payload, Numbered(2).text);
  Receiver resumed(log, kPartition, ReadTo::kWritten, &poison);
  EXPECT_EQ(resumed.Peek(), nullptr);
  ASSERT_NE(resumed.unreadable(), nullptr);
  EXPECT_EQ(resumed.unreadable()->at.offset, Offset(2));
}

TEST(Receiver, TrimmedCommandsAreMissedOnlyIfTheyWereNotDecided) {
  ScriptLog log;
  for (uint32_t i = 0; i < 4; ++i) log.Put(kTopic, RecordOf(log, {i}));
  log.Trim(kTopic, Offset(2)).IgnoreError("never fails");
  const CommandAt last{.partition = kPartition, .generation = 1, .offset = Offset(1), .index = 0};
  Receiver resumed(log, kPartition, ReadTo::kWritten, &last);
  ASSERT_NE(resumed.Peek(), nullptr);
  EXPECT_EQ(resumed.Peek()->command.payload, Numbered(2).text);
  const CommandAt older{.partition = kPartition, .generation = 1, .offset = Offset(0), .index = 0};
  Receiver lost(log, kPartition, ReadTo::kWritten, &older);
  EXPECT_EQ(lost.Peek(), nullptr);
  ASSERT_NE(lost.error(), nullptr);
  EXPECT_EQ(lost.error()->code, Code::kNotFound);
}

TEST(Receiver, APositionBeyondTheLogIsDivergedAndAnOlderGenerationBeginsAnew) {
  ScriptLog log;
  log.Put(kTopic, RecordOf(log, {0}));
  const CommandAt beyond{.partition = kPartition, .generation = 1, .offset = Offset(1), .index = 0};
  Receiver ahead(log, kPartition, ReadTo::kWritten, &beyond);
  EXPECT_EQ(ahead.Peek(), nullptr);
  ASSERT_NE(ahead.error(), nullptr);
  EXPECT_EQ(ahead.error()->code, Code::kDiverged);
  const CommandAt older{.partition = kPartition, .generation = 0, .offset = Offset(9), .index = 0};
  Receiver anew(log, kPartition, ReadTo::kWritten, &older);
  ASSERT_NE(anew.Peek(), nullptr);
  const CommandAt later{.partition = kPartition, .generation = 2, .offset = Offset(0), .index = 0};
  EXPECT_EQ(Receiver(log, kPartition, ReadTo::kWritten, &later).error()->code, Code::kDiverged);
}

// A broker's log in a process that has not heard of the newest records: Ends() are behind, and asking may fail.
class BehindLog : public ScriptLog {
 public:
  LogEnds Ends(TopicPartition) override { return {Offset(0), Offset(1), Offset(1)}; }
  Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes_max, ReadTo to) override {
    if (from > Offset(1) && away) return Fail(Code::kRetry, "no leader now");
    return ScriptLog::Read(at, from, bytes_max, to);
  }
  bool away = true;
};

TEST(Receiver, APositionThatThisProcessHasNotHeardOfIsAskedFor) {
  BehindLog log;
  for (uint32_t i = 0; i < 3; ++i) log.Put(kTopic, RecordOf(log, {i}));
  const CommandAt last{.partition = kPartition, .generation = 1, .offset = Offset(1), .index = 0};
  Receiver receiver(log, kPartition, ReadTo::kWritten, &last);
  EXPECT_EQ(receiver.Peek(), nullptr);
  EXPECT_EQ(receiver.error(), nullptr);
  log.away = false;
  ASSERT_NE(receiver.Peek(), nullptr);
  EXPECT_EQ(receiver.Peek()->command.payload, Numbered(2).text);
}

TEST(Replies, AnswersOnceAndCancelsTheTimer) {
  ManualExecutor executor;
  Replies replies(10);
  std::vector<Result<Reply>> got;
  const CommandId id = Numbered(1).command.id;
  EXPECT_TRUE(replies.Empty());
  replies.Await(id, executor, Seconds(1), [&](Result<Reply> reply) { got.push_back(std::move(reply)); });
  EXPECT_FALSE(replies.Empty());
  replies.Answer(Numbered(2).command.id, {});
  replies.Answer(id, {.outcome = 3, .answer = "{}", .at = {}});
  replies.Answer(id, {.outcome = 4, .answer = "{}", .at = {}});
  EXPECT_TRUE(got.empty());
  executor.RunFor(Seconds(2));
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0]->outcome, 3);
  EXPECT_EQ(executor.timers(), 0u);
  EXPECT_TRUE(replies.Empty());
}

TEST(Replies, TimesOutIsAbandonedAndIsBounded) {
  ManualExecutor executor;
  std::vector<Result<Reply>> got;
  const auto keep = [&](Result<Reply> reply) { got.push_back(std::move(reply)); };
  {
    Replies replies(2);
    replies.Await(Numbered(1).command.id, executor, Seconds(1), keep);
    replies.Await(Numbered(2).command.id, executor, Seconds(9), keep);
    replies.Await(Numbered(3).command.id, executor, Seconds(9), keep);
    executor.Run();
    ASSERT_EQ(got.size(), 1u);  // the third did not fit
    EXPECT_EQ(got[0].error().code, Code::kRetry);
    executor.RunFor(Seconds(2));
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got[1].error().message, "not yet decided; it may still be");
    replies.Abandon(Numbered(2).command.id);
    executor.Run();
    ASSERT_EQ(got.size(), 3u);
    replies.Await(Numbered(4).command.id, executor, Seconds(9), keep);
  }
  executor.RunFor(Seconds(20));
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[3].error().code, Code::kRetry);
}

// Run under tsan too: many callers, appends that land on threads of their own.
TEST(Sender, ManyThreadsGetEachTheirAnswer) {
  class ThreadedLog final : public Log {
   public:
    explicit ThreadedLog(ScriptLog& log) : log_(log), thread_([this] { Work(); }) {}
    ~ThreadedLog() override {
      {
        const std::lock_guard lock(mutex_);
        stop_ = true;
      }
      changed_.notify_all();
      thread_.join();
    }
    const LogSettings& settings() const override { return log_.settings(); }
    void Append(TopicPartition, std::string, Sync, AppendDone done) override {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(done));
      changed_.notify_all();
    }
    Result<std::vector<LogRecord>> Read(TopicPartition at, Offset from, size_t bytes, ReadTo to) override {
      return log_.Read(at, from, bytes, to);
    }
    LogEnds Ends(TopicPartition at) override { return log_.Ends(at); }
    std::unique_ptr<TailWatch> WatchTail(TopicPartition at, ReadTo to, std::function<void()> signal) override {
      return log_.WatchTail(at, to, std::move(signal));
    }
    Result<void> Trim(TopicPartition at, Offset before) override { return log_.Trim(at, before); }
    bool ordered_across_partitions() const override { return true; }
    std::string durability_class() const override { return "none"; }

   private:
    void Work() {
      std::unique_lock lock(mutex_);
      while (true) {
        changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
        if (queue_.empty()) return;
        AppendDone done = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        done(Appended{Offset(offset_++)});
        lock.lock();
      }
    }
    ScriptLog& log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<AppendDone> queue_;
    bool stop_ = false;
    uint64_t offset_ = 0;
    std::thread thread_;
  };
  constexpr int kThreads = 4;
  constexpr int kCommands = 2'000;
  ScriptLog script;
  std::atomic<int> answered = 0;
  ThreadedLog log(script);
  {
    Sender sender(log, 64 << 20);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kCommands; ++i) {
          sender.Send(PartitionId(static_cast<uint16_t>(i % 3)), Numbered(1).command, Sync::kSoon, [&](Result<CommandAt>) { ++answered; });
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(answered.load(), kThreads * kCommands);
}

}  // namespace
}  // namespace maily::command
