// The exhaustive model of the journal: two or three processes that all believe that they own a partition, over the production reader rules
// (journal/reader) and the production writer (journal/writer_core). Every interleaving up to the bounds is visited once.
//
// What can happen, in any order: a process reads and claims, decides a frame, gets a report, reads back, crashes and comes back without
// memory; an append lands, is lost, lands without a report, lands after its error was reported (also past another claim), lands twice, or
// is acknowledged without offset. What must hold in every state:
//   invariant 3    every accepted frame was decided on the fold of exactly the accepted frames before it
//   invariant 13   no reader skips an in-sequence frame
//   durability     what a writer was told to be accepted stands in the journal, at that place, for ever
//   rule 7         a position that somebody stands at fits the record at its hint
//   no false alarm no reader and no writer stops
//   liveness       whoever owns the partition alone gets a frame accepted within a bounded number of steps
// The same model shows why two simpler reader rules are wrong.
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "streams/journal/writer_core.h"

namespace maily::journal {
namespace {

using Do = WriterCore::Do;
using Phase = WriterCore::Phase;

const ReaderRules kRules{.log_id = LogId::FromHex("000102030405060708090a0b0c0d0e0f"), .partition = PartitionId(0), .partition_count = 1};

struct Bounds {
  size_t processes = 2;
  int claims = 3;               // by all processes together
  int frames = 3;               // decided, by all together
  int faults = 2;               // lost, delayed, doubled or unreported appends, and crashes
  int commands_a_frame = 1;     // at most; a writer may take as many as it likes
  uint64_t liveness_every = 1;  // checked in every n-th state
  WriterCore::JudgeFunction judge = &Judge;
};

enum class Violation { kOtherFold, kTornCommands, kSkippedInSequence, kLostAccepted, kStopped, kRule7, kStarved };
const char* Name(Violation v) {
  switch (v) {
    case Violation::kOtherFold:
      return "a frame was accepted that was decided on another fold";
    case Violation::kTornCommands:
      return "a command was decided twice or never";
    case Violation::kSkippedInSequence:
      return "an in-sequence frame was skipped";
    case Violation::kLostAccepted:
      return "what a writer took for accepted is not in the journal";
    case Violation::kStopped:
      return "a reader or writer stopped";
    case Violation::kRule7:
      return "a position does not fit the record at its hint";
    case Violation::kStarved:
      return "the only owner cannot progress";
  }
  return "";
}

// What the model knows of a record beside its bytes.
struct RecordInfo {
  std::string bytes;
  uint64_t decided_on = 0;  // frames: the fold that its decisions were taken on
  uint32_t first_command = 0;
};
using RecordId = uint32_t;

// A fold is the hash of the accepted frames in their order, and how many commands they decided.
struct Folded {
  uint64_t hash = 0;
  uint32_t commands = 0;
  bool operator==(const Folded&) const = default;
};

enum class ReportKind : uint8_t { kNone, kOffset, kNoOffset, kError };
struct Report {
  ReportKind kind = ReportKind::kNone;
  uint64_t offset = 0;
};

struct Process {
  WriterCore core{kRules};
  Position at;          // where it has read to
  Folded fold;          // as of `at`
  RecordId record = 0;  // in flight
  Report report;        // on its way to it; while `reads`: the last one
  bool reads = false;   // has to read back
};

// An append that may still land.
struct Air {
  RecordId record;
  int8_t waiter;  // the process that gets the report; -1: nobody any more
  auto operator<=>(const Air&) const = default;
};

struct World {
  std::vector<RecordId> log;
  std::vector<Air> air;  // sorted
  std::vector<Process> processes;
  int claims = 0;
  int frames = 0;
  int faults = 0;
  // A reader that has seen everything, and its fold at the lsn after each accepted frame.
  Position reference;
  std::vector<std::pair<Lsn, Folded>> folds{{Lsn(0), Folded{}}};
};

enum class MoveKind : uint8_t {
  kClaim,
  kDecide,
  kDecideTwo,
  kReport,
  kReadBack,
  kCrash,
  kLand,
  kLandNoOffset,
  kLandSilent,
  kLose,
  kDelay,
  kDouble
};
struct Move {
  MoveKind kind;
  size_t index;  // of the process, or of the append in the air
};
const char* Name(MoveKind kind) {
  constexpr const char* kNames[] = {"reads and claims",
                                    "decides a frame",
                                    "decides a frame of two commands",
                                    "gets its report",
                                    "reads back",
                                    "crashes",
                                    "lands",
                                    "lands, no offset",
                                    "lands, error reported",
                                    "is lost",
                                    "is delayed",
                                    "lands and is doubled"};
  return kNames[static_cast<size_t>(kind)];
}

class Model {
 public:
  explicit Model(Bounds bounds) : bounds_(bounds) {
    records_.push_back({});  // 0: none
    World world;
    world.processes.resize(bounds.processes);
    for (Process& process : world.processes) process.core = WriterCore(kRules, bounds_.judge);
    Land(world, Intern({.bytes = BuildGenesis(kRules.log_id, kRules.partition, {kRules.partition_count})}));
    Visit(world);
  }

  size_t states() const { return seen_.size(); }
  size_t liveness_checks() const { return liveness_checks_; }
  bool Found(Violation v) const { return found_.contains(v); }
  // Each violation that was found, with the first way to it.
  std::string Describe() const {
    std::string text;
    for (const auto& [violation, trace] : found_) text += fmt::format("{}:\n{}", Name(violation), trace);
    return text;
  }

 private:
  RecordId Intern(RecordInfo info) {
    const auto [it, fresh] = ids_.try_emplace(info.bytes, static_cast<RecordId>(records_.size()));
    if (fresh) records_.push_back(std::move(info));
    return it->second;
  }

  void Report_(Violation v) {
    violated_ = true;
    if (found_.contains(v)) return;
    std::string trace;
    for (const std::string& step : path_) trace += "  " + step + "\n";
    found_.emplace(v, std::move(trace));
  }

  Folded After(const Folded& before, RecordId frame, uint32_t commands) {
    std::string key;
    PutFixed(key, before.hash);
    PutFixed(key, frame);
    return {Xxh3_64(key), commands};
  }
  Folded Advance(const Folded& before, RecordId id, const Step& step) {
    return step.record.kind == RecordKind::kFrame ? After(before, id, before.commands + step.record.frame.count) : before;
  }

  // The record is in the log, and the reference reader reads it.
  uint64_t Land(World& world, RecordId id) {
    const uint64_t offset = world.log.size();
    world.log.push_back(id);
    const Position before = world.reference;
    const Step step = bounds_.judge(kRules, before, Offset(offset), records_[id].bytes);
    if (step.verdict == Verdict::kStop) Report_(Violation::kStopped);
    const bool is_frame = step.record.kind == RecordKind::kFrame;
    const FrameHeader& frame = step.record.frame;
    if (step.verdict == Verdict::kSkip && is_frame && frame.epoch == before.epoch && frame.nonce == before.nonce &&
        frame.seq == before.seq + 1) {
      Report_(Violation::kSkippedInSequence);
    }
    if (step.verdict != Verdict::kAccept) return offset;
    world.reference = step.after;
    if (is_frame) {
      const Folded& fold = world.folds.back().second;
      if (records_[id].decided_on != fold.hash) Report_(Violation::kOtherFold);
      if (records_[id].first_command != fold.commands) Report_(Violation::kTornCommands);
      world.folds.emplace_back(step.after.lsn, Advance(fold, id, step));
    }
    return offset;
  }

  // A process stands at `at` with `fold`: the journal must say the same of that place.
  void CheckStand(const World& world, const Process& process) {
    const auto same = std::pair(process.at.lsn, process.fold);
    if (std::find(world.folds.begin(), world.folds.end(), same) == world.folds.end()) return Report_(Violation::kLostAccepted);
    if (process.at.at_genesis) return;
    const RecordId hint = world.log[process.at.offset_hint.value()];
    if (bounds_.judge == &Judge && !CheckHint(kRules, process.at, records_[hint].bytes)) Report_(Violation::kRule7);
  }

  void Restart(Process& process) {
    process = Process{};
    process.core = WriterCore(kRules, bounds_.judge);
  }

  void Send(World& world, size_t index) {
    Process& process = world.processes[index];
    world.air.push_back({process.record, static_cast<int8_t>(index)});
    std::sort(world.air.begin(), world.air.end());
  }

  void Act(World& world, size_t index, const WriterCore::Action& action) {
    Process& process = world.processes[index];
    switch (action.what) {
      case Do::kNothing:
        return;
      case Do::kAppend:
        return Send(world, index);
      case Do::kRead:
        process.reads = true;
        return;
      case Do::kLost:
        return;
      case Do::kLed:
        return CheckStand(world, process);
      case Do::kAccepted:
        return CheckStand(world, process);
      case Do::kFenced:
        return Restart(process);
      case Do::kStop:
        return Report_(Violation::kStopped);
    }
  }

  // Reads to the end, telling the writer after each accepted record; true if that decided something.
  bool Read(World& world, size_t index, bool tell) {
    Process& process = world.processes[index];
    uint64_t next = process.at.at_genesis ? 0 : process.at.offset_hint.value() + 1;
    for (; next < world.log.size(); ++next) {
      const RecordId id = world.log[next];
      const Step step = bounds_.judge(kRules, process.at, Offset(next), records_[id].bytes);
      if (step.verdict == Verdict::kStop) {
        Report_(Violation::kStopped);
        return true;
      }
      if (step.verdict == Verdict::kSkip) continue;
      process.at = step.after;
      process.fold = Advance(process.fold, id, step);
      if (!tell) continue;
      const auto action = process.core.OnPosition(process.at);
      if (action.what == Do::kNothing) continue;
      Act(world, index, action);
      return true;
    }
    return false;
  }

  void Claim(World& world, size_t index) {
    Process& process = world.processes[index];
    if (Read(world, index, false)) return;
    const auto action =
        process.core.Claim(process.at, static_cast<uint64_t>(++world.claims), 1, std::string(1, static_cast<char>('a' + index)), "");
    process.record = Intern({.bytes = process.core.record()});
    Act(world, index, action);
  }

  void Decide(World& world, size_t index, int commands) {
    Process& process = world.processes[index];
    FrameDraft draft;
    ++world.frames;
    const std::string answer = fmt::format("{:016x} {}", process.fold.hash, index);
    for (int i = 0; i < commands; ++i) {
      Decision decision;
      decision.answer = answer;
      draft.Add(decision);
    }
    const uint32_t last = process.fold.commands + static_cast<uint32_t>(commands) - 1;
    draft.Consumed(0, {.partition = kRules.partition, .generation = 1, .offset = Offset(last), .index = 0});
    const auto action = process.core.Append(draft);
    process.record = Intern({.bytes = process.core.record(), .decided_on = process.fold.hash, .first_command = process.fold.commands});
    Act(world, index, action);
  }

  void TakeReport(World& world, size_t index) {
    Process& process = world.processes[index];
    const Report report = process.report;
    const Position before = process.core.position();
    Result<Appended> told = Fail(Code::kRetry, "time-out");
    if (report.kind == ReportKind::kOffset) told = Appended{Offset(report.offset)};
    if (report.kind == ReportKind::kNoOffset) told = Appended{};
    const auto action = process.core.OnReport(told);
    if (action.what == Do::kAccepted) {  // without read-back: the fold moves by the own frame
      process.at = process.core.position();
      process.fold =
          After(process.fold, process.record, process.fold.commands + static_cast<uint32_t>(process.at.lsn.value() - before.lsn.value()));
    }
    if (action.what != Do::kRead) process.report = {};
    Act(world, index, action);
  }

  void ReadBack(World& world, size_t index) {
    Process& process = world.processes[index];
    process.reads = false;
    process.report = {};
    if (Read(world, index, true)) return;
    Act(world, index, process.core.OnEnd(Offset(world.log.size())));
  }

  void TakeOff(World& world, size_t index, MoveKind kind) {
    const Air air = world.air[index];
    const bool stays = kind == MoveKind::kDelay || kind == MoveKind::kDouble;
    world.air.erase(world.air.begin() + static_cast<std::ptrdiff_t>(index));
    if (stays) {
      world.air.push_back({air.record, -1});
      std::sort(world.air.begin(), world.air.end());
    }
    Report report{.kind = ReportKind::kError};
    if (kind != MoveKind::kLose && kind != MoveKind::kDelay) {
      const uint64_t offset = Land(world, air.record);
      if (kind == MoveKind::kLand || kind == MoveKind::kDouble) report = {.kind = ReportKind::kOffset, .offset = offset};
      if (kind == MoveKind::kLandNoOffset) report = {.kind = ReportKind::kNoOffset};
    }
    if (air.waiter >= 0) world.processes[static_cast<size_t>(air.waiter)].report = report;
  }

  void Crash(World& world, size_t index) {
    Restart(world.processes[index]);
    for (Air& air : world.air) {
      if (air.waiter == static_cast<int8_t>(index)) air.waiter = -1;
    }
    std::sort(world.air.begin(), world.air.end());
  }

  static bool HasReport(const Process& process) { return process.report.kind != ReportKind::kNone && !process.reads; }

  std::vector<Move> Moves(const World& world) const {
    std::vector<Move> moves;
    const bool fault = world.faults < bounds_.faults;
    for (size_t i = 0; i < world.processes.size(); ++i) {
      const Process& process = world.processes[i];
      const Phase phase = process.core.phase();
      if (process.reads) {
        moves.push_back({MoveKind::kReadBack, i});
      } else if (HasReport(process)) {
        moves.push_back({MoveKind::kReport, i});
      } else if (phase == Phase::kIdle && world.claims < bounds_.claims) {
        moves.push_back({MoveKind::kClaim, i});
      } else if (phase == Phase::kLeading && !process.core.in_flight() && world.frames < bounds_.frames) {
        moves.push_back({MoveKind::kDecide, i});
        if (bounds_.commands_a_frame > 1) moves.push_back({MoveKind::kDecideTwo, i});
      }
      if (fault && phase != Phase::kIdle) moves.push_back({MoveKind::kCrash, i});
    }
    for (size_t i = 0; i < world.air.size(); ++i) {
      if (i > 0 && world.air[i] == world.air[i - 1]) continue;
      moves.push_back({MoveKind::kLand, i});
      if (world.air[i].waiter < 0 || !fault) continue;
      for (const MoveKind kind : {MoveKind::kLandNoOffset, MoveKind::kLandSilent, MoveKind::kLose, MoveKind::kDelay, MoveKind::kDouble}) {
        moves.push_back({kind, i});
      }
    }
    return moves;
  }

  void Make(World& world, Move move) {
    switch (move.kind) {
      case MoveKind::kClaim:
        return Claim(world, move.index);
      case MoveKind::kDecide:
        return Decide(world, move.index, 1);
      case MoveKind::kDecideTwo:
        return Decide(world, move.index, 2);
      case MoveKind::kReport:
        return TakeReport(world, move.index);
      case MoveKind::kReadBack:
        return ReadBack(world, move.index);
      case MoveKind::kCrash:
        ++world.faults;
        return Crash(world, move.index);
      case MoveKind::kLand:
        return TakeOff(world, move.index, move.kind);
      default:
        ++world.faults;
        return TakeOff(world, move.index, move.kind);
    }
  }

  std::string Describe(const World& world, Move move) const {
    if (move.kind <= MoveKind::kCrash) return fmt::format("process {} {}", move.index, Name(move.kind));
    const Air& air = world.air[move.index];
    const auto parsed = ParseJournalRecord(records_[air.record].bytes);
    const bool claim = parsed->kind == RecordKind::kClaim;
    return fmt::format("the {} of epoch {}{} {}", claim ? "claim" : "frame", (claim ? parsed->claim.epoch : parsed->frame.epoch).value(),
                       claim ? std::string() : fmt::format(", seq {},", parsed->frame.seq), Name(move.kind));
  }

  static Hash128 KeyOf(const World& world) {
    static thread_local std::string key;
    key.clear();
    for (const RecordId id : world.log) PutFixed(key, id);
    PutFixed(key, UINT32_MAX);
    for (const Air& air : world.air) {
      PutFixed(key, air.record);
      PutFixed(key, air.waiter);
    }
    for (const Process& process : world.processes) {
      PutFixed(key, static_cast<uint8_t>(process.core.phase()));
      PutFixed(key, static_cast<uint8_t>((process.reads ? 1 : 0) + (process.core.in_flight() ? 2 : 0) + (process.at.at_genesis ? 4 : 0)));
      PutFixed(key, process.core.in_flight() ? process.record : 0);
      PutFixed(key, static_cast<uint8_t>(process.report.kind));
      PutFixed(key, process.report.offset);
      PutFixed(key, process.at.offset_hint.value());
      PutFixed(key, process.at.chain);
      PutFixed(key, process.core.position().chain);
      PutFixed(key, process.core.position().epoch.value());
      PutFixed(key, process.fold.hash);
    }
    PutFixed(key, static_cast<uint8_t>(world.claims));
    PutFixed(key, static_cast<uint8_t>(world.frames));
    PutFixed(key, static_cast<uint8_t>(world.faults));
    return Xxh3_128(key);
  }

  void Visit(const World& world) {
    const Hash128 key = KeyOf(world);
    if (!seen_.insert(key).second) return;
    if (key.low % bounds_.liveness_every == 0) CheckLiveness(world);
    for (const Move move : Moves(world)) {
      path_.push_back(Describe(world, move));
      World next = world;
      violated_ = false;
      Make(next, move);
      if (!violated_) Visit(next);
      path_.pop_back();
    }
  }

  // The faults are over and process `owner` is the only one that runs: whether the appends of others that are still in the air land
  // first, land once it leads, or never, it gets a frame accepted.
  void CheckLiveness(const World& world) {
    ++liveness_checks_;
    for (size_t owner = 0; owner < world.processes.size(); ++owner) {
      for (const int strays : {0, 1, 2}) {
        if (!Progresses(world, owner, strays)) {
          path_.push_back(fmt::format("from here process {} alone gets no frame accepted (appends of others land {})", owner,
                                      strays == 0   ? "never"
                                      : strays == 1 ? "first"
                                                    : "once it has a frame in flight"));
          Report_(Violation::kStarved);
          path_.pop_back();
          return;
        }
      }
    }
  }

  bool Progresses(World world, size_t owner, int strays) {
    constexpr int kStepsMax = 60;
    for (size_t i = 0; i < world.processes.size(); ++i) {
      if (i != owner) Crash(world, i);
    }
    violated_ = false;
    const auto land_strays = [&] {
      for (size_t i = world.air.size(); i-- > 0;) {
        if (world.air[i].waiter < 0) TakeOff(world, i, MoveKind::kLand);
      }
    };
    if (strays == 1) land_strays();
    Process& process = world.processes[owner];
    uint64_t decided_seq = 0;
    for (int step = 0; step < kStepsMax && !violated_; ++step) {
      if (decided_seq != 0 && process.core.phase() == Phase::kLeading && !process.core.in_flight()) return true;
      if (process.reads) {
        ReadBack(world, owner);
      } else if (HasReport(process)) {
        TakeReport(world, owner);
      } else if (process.core.phase() == Phase::kIdle) {
        decided_seq = 0;
        Claim(world, owner);
      } else if (!process.core.in_flight()) {
        Decide(world, owner, 1);
        decided_seq = process.core.position().seq + 1;
        if (strays == 2) land_strays();
      } else {
        for (size_t i = 0; i < world.air.size(); ++i) {
          if (world.air[i].waiter == static_cast<int8_t>(owner)) {
            TakeOff(world, i, MoveKind::kLand);
            break;
          }
        }
      }
    }
    return false;
  }

  const Bounds bounds_;
  std::vector<RecordInfo> records_;
  std::unordered_map<std::string, RecordId> ids_;
  struct KeyHash {
    size_t operator()(const Hash128& key) const { return key.low; }
  };
  std::unordered_set<Hash128, KeyHash> seen_;
  std::map<Violation, std::string> found_;
  std::vector<std::string> path_;
  bool violated_ = false;
  size_t liveness_checks_ = 0;
};

void ExpectSound(const char* name, Bounds bounds) {
  const auto start = std::chrono::steady_clock::now();
  const Model model(bounds);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{}: {} states, {} checked for liveness, {:.1f} s\n", name, model.states(), model.liveness_checks(), seconds);
  EXPECT_EQ(model.Describe(), "");
  EXPECT_GT(model.states(), 1'000u);
}

TEST(JournalModel, EveryStateIsSoundAndLive) { ExpectSound("small", {.claims = 2, .frames = 2, .faults = 2, .liveness_every = 16}); }
TEST(JournalModel, EveryStateIsSoundWithMoreTakeovers) {
  ExpectSound("takeovers", {.claims = 3, .frames = 3, .faults = 1, .liveness_every = 64});
}
TEST(JournalModel, EveryStateIsSoundWithThreeWriters) {
  ExpectSound("three", {.processes = 3, .claims = 3, .frames = 2, .faults = 0, .liveness_every = 16});
  ExpectSound("three, a fault", {.processes = 3, .claims = 3, .frames = 1, .faults = 1, .liveness_every = 64});
}
// Minutes under sanitizers: --gtest_also_run_disabled_tests.
TEST(JournalModel, DISABLED_EveryStateIsSoundWithThreeWritersAndMoreFrames) {
  ExpectSound("three, more frames", {.processes = 3, .claims = 3, .frames = 2, .faults = 1, .liveness_every = 64});
}
TEST(JournalModel, EveryStateIsSoundWithFramesOfDifferentSizes) {
  ExpectSound("sizes", {.claims = 2, .frames = 2, .faults = 1, .commands_a_frame = 2, .liveness_every = 8});
}

Step Take(Position after, Offset offset, Parsed record) {
  Step step{.verdict = Verdict::kAccept, .skip = SkipWhy::kStray, .stop = {}, .after = std::move(after), .record = {}};
  step.after.offset_hint = offset;
  step.record = std::move(record);
  return step;
}
Step Pass(Parsed record) {
  return {.verdict = Verdict::kSkip, .skip = SkipWhy::kDuplicate, .stop = {}, .after = {}, .record = std::move(record)};
}

// The rule "take every frame whose last command is higher than what was decided": neither epoch nor chain is asked.
Step JudgeByCommandOffset(const ReaderRules& rules, const Position& at, Offset offset, std::string_view bytes) {
  auto record = ParseJournalRecord(bytes);
  if (!record || record->kind != RecordKind::kFrame) return Judge(rules, at, offset, bytes);
  const FrameHeader& frame = record->frame;
  const SourcePosition* mine = at.Source(0);
  if (mine != nullptr && frame.sources.at(0).last_offset <= mine->offset) return Pass(std::move(*record));
  Position after = at;
  if (frame.epoch == at.epoch && frame.nonce == at.nonce) after.seq = frame.seq;
  after.lsn = Lsn(at.lsn.value() + frame.count);
  after.chain = ChainAfter(at.chain, *record);
  after.sources = {{.source = 0, .generation = 1, .any = true, .offset = frame.sources[0].last_offset, .index = 0}};
  return Take(std::move(after), offset, std::move(*record));
}

// The rule "take every frame that continues the chain, pass over all others": a claim says who should write, and fences nobody.
Step JudgeByChainAlone(const ReaderRules& rules, const Position& at, Offset offset, std::string_view bytes) {
  auto record = ParseJournalRecord(bytes);
  if (!record || record->kind == RecordKind::kGenesis) return Judge(rules, at, offset, bytes);
  Position after = at;
  if (record->kind == RecordKind::kClaim) {
    if (record->claim.epoch <= at.epoch) return Pass(std::move(*record));
    after.epoch = record->claim.epoch;
    after.nonce = record->claim.nonce;
    after.seq = 0;
    return Take(std::move(after), offset, std::move(*record));
  }
  const FrameHeader& frame = record->frame;
  if (frame.prev_chain != at.chain) return Pass(std::move(*record));
  if (frame.epoch == at.epoch && frame.nonce == at.nonce) after.seq = frame.seq;
  after.lsn = Lsn(at.lsn.value() + frame.count);
  after.chain = ChainAfter(at.chain, *record);
  for (const FrameSource& source : frame.sources) {
    after.sources = {{.source = 0, .generation = 1, .any = true, .offset = source.last_offset, .index = 0}};
  }
  return Take(std::move(after), offset, std::move(*record));
}

TEST(RejectedRules, AcceptingByCommandOffsetTearsHistoriesAndLosesCommands) {
  const Model model({.claims = 2, .frames = 3, .faults = 0, .commands_a_frame = 2, .liveness_every = 16, .judge = &JudgeByCommandOffset});
  EXPECT_TRUE(model.Found(Violation::kOtherFold));
  EXPECT_TRUE(model.Found(Violation::kTornCommands));
  fmt::print("{}", model.Describe());
}

TEST(RejectedRules, AcceptingByTheChainAloneLetsAZombieStarveTheOwner) {
  const Model model({.claims = 2, .frames = 2, .faults = 0, .judge = &JudgeByChainAlone});
  EXPECT_TRUE(model.Found(Violation::kStarved));
  EXPECT_TRUE(model.Found(Violation::kSkippedInSequence));
  fmt::print("{}", model.Describe());
}

// A reader that went wrong, for whatever reason, notices at the next frame; by the chain alone it would stand still in silence.
TEST(RejectedRules, ByTheChainAloneADivergedReaderSkipsForEver) {
  Position good;
  std::vector<std::string> frames;
  uint64_t offset = 0;
  const auto give = [&](const std::string& record) { good = Judge(kRules, good, Offset(offset++), record).after; };
  give(BuildGenesis(kRules.log_id, kRules.partition, {kRules.partition_count}));
  give(BuildClaim(kRules.log_id, kRules.partition, {.epoch = Epoch(1), .nonce = 1, .writer_level = 1}));
  Position diverged = good;
  diverged.chain ^= 1;
  for (int i = 0; i < 20; ++i) {
    frames.push_back(BuildFrame(kRules.log_id, kRules.partition,
                                {.epoch = Epoch(1),
                                 .nonce = 1,
                                 .seq = good.seq + 1,
                                 .first_lsn = good.lsn.Next(),
                                 .count = 1,
                                 .prev_chain = good.chain,
                                 .body_hash = 0,
                                 .body_size = 0},
                                "x"));
    give(frames.back());
  }
  for (const std::string& frame : frames) EXPECT_EQ(JudgeByChainAlone(kRules, diverged, Offset(9), frame).verdict, Verdict::kSkip);
  const Step step = Judge(kRules, diverged, Offset(9), frames[0]);
  ASSERT_EQ(step.verdict, Verdict::kStop);
  EXPECT_EQ(step.stop->code, Code::kDiverged);
}

}  // namespace
}  // namespace maily::journal
