// What the writer of a journal decides, without I/O: its phase, what a delivery report means, when to read back, when to resend.
//
// Writer carries it out on a log; the exhaustive model (tests/model/journal_test.cc) and the simulation run this very code.
//
//           Claim()            own claim accepted               Append(): record in flight
//   kIdle ─────────▶ kClaiming ─────────────────▶ kLeading ◀──────────────────────┐
//     ▲                  │ other claim first         │ └── report, read back ──────┘ accepted
//     └──────────────────┘ (kLost)                   ├── other claim accepted ──▶ kFenced
//                                                    └── truncated, corrupt ────▶ kStopped   (from kClaiming too)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "streams/journal/position.h"
#include "streams/journal/reader.h"
#include "streams/journal/writer.h"
#include "streams/port/log.h"

namespace maily::journal {

class WriterCore {
 public:
  enum class Phase : uint8_t { kIdle, kClaiming, kLeading, kFenced, kStopped };

  // What the caller has to do next.
  enum class Do : uint8_t {
    kNothing,
    kAppend,    // append record() and tell OnReport how it went; a repeated one only after a pause
    kRead,      // read from after position() to the durable end: OnPosition after each accepted record, OnEnd at the end
    kLed,       // step 4: the own claim was accepted; decide on the fold up to it
    kLost,      // step 4: another claim came first; wait 1-10 s at random, read to the end, Claim again with a fresh nonce
    kAccepted,  // step 7: the frame is in; position() stands after it
    kFenced,    // step 8: another owner claimed; everything unaccepted is void
    kStop,      // `why`: truncated, corrupt, refused
  };
  struct Action {
    Do what = Do::kNothing;
    std::optional<Error> why;  // kStop, kFenced
  };
  using JudgeFunction = Step (*)(const ReaderRules&, const Position&, Offset, std::string_view);

  // `judge` is Judge; the model also shows what other rules would lead to.
  explicit WriterCore(ReaderRules rules, JudgeFunction judge = &Judge);

  // Step 3: claims leadership from `at`, where reading to the durable end has led. CHECK: not leading, nothing in flight. -> kAppend
  Action Claim(const Position& at, uint64_t nonce, uint32_t level, std::string_view owner, std::string_view build);
  // Step 5: a frame of these decisions. CHECK: leading, nothing in flight. -> kAppend, or kStop if it is larger than a record may be.
  Action Append(const FrameDraft& draft);

  // Step 6: how the append of record() ended. -> kAccepted, kRead or kStop
  Action OnReport(const Result<Appended>& report);
  // After each record that the reader rules accepted while reading. -> kNothing (read on), kLed, kLost, kAccepted, kFenced
  Action OnPosition(const Position& now);
  // Everything before `end` was read and nothing was decided by it. -> kAppend (the same bytes again), or kStop
  Action OnEnd(Offset end);
  // A reader rule said stop. -> kStop
  Action OnReaderStop(Error why);

  Phase phase() const { return phase_; }
  // True between kAppend and the end of what it began.
  bool in_flight() const { return !record_.empty(); }
  // True while the log still has to report on record().
  bool awaits_report() const { return awaits_report_; }
  const std::string& record() const { return record_; }
  // After the last accepted record that this writer knows of.
  const Position& position() const { return position_; }
  const ReaderRules& rules() const { return rules_; }

 private:
  Action Finish(Do what);
  Action Stop(Error why);

  ReaderRules rules_;
  JudgeFunction judge_;
  Phase phase_ = Phase::kIdle;
  bool awaits_report_ = false;
  std::string record_;  // the claim or frame in flight, as stored; resent as the same bytes
  Epoch epoch_;         // of record_
  uint64_t nonce_ = 0;
  uint64_t seq_ = 0;  // of record_; 0 = it is a claim
  uint32_t level_ = 1;
  std::optional<Offset> acknowledged_;  // where the log says that record_ is
  Position position_;
};

}  // namespace maily::journal
