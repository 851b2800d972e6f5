// See writer.h. What is decided stands in writer_core.cc; here it is carried out.
#include "streams/journal/writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "streams/journal/writer_core.h"

namespace maily::journal {
namespace {

constexpr size_t kReadBytes = 1 << 20;       // of one read of the log
constexpr size_t kFoldBytesBatch = 1 << 20;  // folded between two turns of the executor
constexpr size_t kFoldFramesBatch = 64;
constexpr Duration kResendFirst = Milliseconds(5);  // doubled with every further copy of the same record
constexpr Duration kResendLast = Seconds(1);
constexpr Duration kReclaimLeast = Seconds(1);
constexpr Duration kReclaimSpread = Seconds(9);

}  // namespace

Duration ReclaimPause(Entropy& entropy) {
  return kReclaimLeast + Microseconds(static_cast<int64_t>(entropy.Next() % static_cast<uint64_t>(kReclaimSpread.us)));
}

struct Writer::Impl : std::enable_shared_from_this<Writer::Impl> {
  using Do = WriterCore::Do;

  Impl(Log& log_in, Tail& tail_in, Executor& executor_in, Entropy& entropy_in, Options options_in)
      : log(log_in),
        tail(tail_in),
        executor(executor_in),
        entropy(entropy_in),
        options(std::move(options_in)),
        at{Topic::kJournal, options.partition},
        core(ReaderRules::Of(log_in.settings(), options.partition)) {}

  // Runs `what` on the executor, unless the writer is gone or has begun a new Lead by then.
  Job Later(void (Impl::*what)()) {
    return [weak = weak_from_this(), what, mine = term] {
      if (const auto impl = weak.lock(); impl && impl->term == mine) ((*impl).*what)();
    };
  }

  // Steps 2 and 4: folds what is there, then claims, or looks for the own claim.
  void ReadOn() {
    const Offset end = log.Ends(at).durable;  // taken first: everything before it will have been read when Next gives null
    size_t bytes = 0;
    for (size_t frames = 0; frames < kFoldFramesBatch && bytes < kFoldBytesBatch; ++frames) {
      auto frame = reader->Next();
      if (!frame) {
        if (frame.error().code != Code::kRetry) return Act(core.OnReaderStop(frame.error()));
        executor.After(kResendLast, Later(&Impl::ReadOn));
        return;
      }
      if (*frame == nullptr) return AtEnd(end);
      if (auto folded = fold(**frame); !folded) return Act(core.OnReaderStop(folded.error()));
      bytes += (*frame)->body.size();
    }
    executor.Post(Later(&Impl::ReadOn));
  }

  void AtEnd(Offset end) {
    if (core.phase() == WriterCore::Phase::kIdle) {
      return Act(core.Claim(reader->position(), entropy.Next(), options.level, options.owner, options.build));  // 3.
    }
    WriterCore::Action action = core.OnPosition(reader->position());
    if (action.what == Do::kNothing) action = core.OnEnd(end);
    Act(std::move(action));
  }

  // Step 6: reads from after the last accepted record, until the frame in flight is in or void.
  void ReadBack() {
    Position now = core.position();
    Offset from = now.offset_hint.Next();
    while (true) {
      auto records = log.Read(at, from, kReadBytes, ReadTo::kDurable);
      if (!records) {
        const Error& why = records.error();
        if (why.code == Code::kRetry) {
          executor.After(kResendLast, Later(&Impl::ReadBack));
          return;
        }
        const bool lost = why.code == Code::kNotFound || why.code == Code::kInvalid;
        return Act(core.OnReaderStop(lost ? Fail(Code::kDiverged, "journal {}: cannot read back at offset {}: {}",
                                                 options.partition.value(), from.value(), why.message)
                                          : why));
      }
      if (records->empty()) return Act(core.OnEnd(from));
      for (const LogRecord& record : *records) {
        const Step step = Judge(core.rules(), now, record.offset, record.bytes);
        if (step.verdict == Verdict::kStop) return Act(core.OnReaderStop(*step.stop));
        from = record.offset.Next();
        if (step.verdict == Verdict::kSkip) continue;
        now = step.after;
        auto action = core.OnPosition(now);
        if (action.what != Do::kNothing) return Act(std::move(action));
      }
    }
  }

  void SendRecord() {
    log.Append(at, core.record(), Sync::kNow, [weak = weak_from_this(), &to = executor, mine = term](Result<Appended> report) {
      to.Post([weak, mine, report = std::move(report)] {
        if (const auto impl = weak.lock(); impl && impl->term == mine) impl->Act(impl->core.OnReport(report));
      });
    });
  }

  void Act(WriterCore::Action action) {
    switch (action.what) {
      case Do::kNothing:
        return;
      case Do::kAppend: {
        const int copy = copies++;
        if (copy == 0) return SendRecord();
        executor.After(std::min(kResendFirst * (int64_t{1} << std::min(copy - 1, 10)), kResendLast), Later(&Impl::SendRecord));
        return;
      }
      case Do::kRead:
        return core.phase() == WriterCore::Phase::kLeading ? ReadBack() : ReadOn();
      case Do::kLost:
        copies = 0;
        executor.After(ReclaimPause(entropy), Later(&Impl::ReadOn));
        return;
      case Do::kLed:
        copies = 0;
        reader.reset();
        fold = nullptr;
        std::exchange(led, nullptr)(core.position().epoch);
        return;
      case Do::kAccepted:
        copies = 0;
        std::exchange(accepted, nullptr)(core.position());
        return;
      case Do::kFenced:
      case Do::kStop:
        reader.reset();
        fold = nullptr;
        if (auto tell = std::exchange(led, nullptr)) return tell(*action.why);
        if (auto tell = std::exchange(accepted, nullptr)) tell(*action.why);
        return;
    }
  }

  Log& log;
  Tail& tail;
  Executor& executor;
  Entropy& entropy;
  const Options options;
  const TopicPartition at;

  WriterCore core;
  uint64_t term = 0;                   // counts calls of Lead: jobs of an earlier one do nothing
  int copies = 0;                      // of core.record() sent so far
  std::unique_ptr<TailReader> reader;  // while not leading
  std::function<Result<void>(const AcceptedFrame&)> fold;
  std::function<void(Result<Epoch>)> led;
  std::function<void(Result<Position>)> accepted;
};

Writer::Writer(Log& log, Tail& tail, Executor& executor, Entropy& entropy, Options options)
    : impl_(std::make_shared<Impl>(log, tail, executor, entropy, std::move(options))) {}
Writer::~Writer() = default;

void Writer::Lead(const Position& from, std::function<Result<void>(const AcceptedFrame&)> fold, std::function<void(Result<Epoch>)> led) {
  MAILY_CHECK(!impl_->led && !impl_->accepted, "Lead of journal {} while it leads or has a frame in flight",
              impl_->options.partition.value());
  ++impl_->term;
  impl_->core = WriterCore(ReaderRules::Of(impl_->log.settings(), impl_->options.partition));
  impl_->copies = 0;
  impl_->fold = std::move(fold);
  impl_->led = std::move(led);
  auto reader = impl_->tail.Open(from);
  if (!reader) {
    impl_->executor.Post([weak = impl_->weak_from_this(), mine = impl_->term, why = reader.error()] {
      if (const auto impl = weak.lock(); impl && impl->term == mine) impl->Act(impl->core.OnReaderStop(why));
    });
    return;
  }
  impl_->reader = std::move(*reader);
  impl_->executor.Post(impl_->Later(&Impl::ReadOn));
}

void Writer::Append(FrameDraft draft, std::function<void(Result<Position>)> accepted) {
  MAILY_CHECK(!in_flight(), "a second frame in flight in journal {}", impl_->options.partition.value());
  impl_->accepted = std::move(accepted);
  auto action = impl_->core.Append(draft);
  if (action.what == WriterCore::Do::kAppend) return impl_->Act(std::move(action));
  impl_->executor.Post([weak = impl_->weak_from_this(), mine = impl_->term, action = std::move(action)]() mutable {
    if (const auto impl = weak.lock(); impl && impl->term == mine) impl->Act(std::move(action));
  });
}

bool Writer::in_flight() const { return impl_->accepted != nullptr; }
const Position& Writer::position() const { return impl_->core.position(); }

}  // namespace maily::journal
