// What a processor is: deciders that turn commands into events, evolvers that fold events into state, slices and timers.
//
// A noun (contacts, campaigns, …) is a row of the pipeline: it owns tables, decides commands, evolves events, may react to events inside
// the same decision (a cascade), cuts long work into slices, and is called when a timer it armed is due. Deciders are pure: what they may
// know is in Context.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/ids.h"
#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/base/type_number.h"
#include "streams/command/command.h"
#include "streams/journal/decision.h"
#include "streams/state/table.h"
#include "streams/task/credits.h"

namespace maily::keyring {
class Keyring;
}

namespace maily::task {

// Type numbers of messages end below this.
inline constexpr size_t kTypeNumbersMax = 2048;

// A kind of work that is cut into slices, and a step of a timer: numbers given by the pipeline's nouns, unique over all.
using WorkKind = uint16_t;
using TimerStep = uint16_t;

class Engine;  // decide.cc

// What Evolve may touch. Evolve must be portable: no clock, no libm, no unordered iteration, and it cannot open a seal.
class Fold {
 public:
  // The table of T. CHECK: the evolving noun owns T.
  template <state::StateMessage T>
  state::Table<T> table() {
    RequireOwner(TypeNumberOf<T>());
    return state::Table<T>(*cache_);
  }
  template <state::StateMessage T>
  state::View<T> view() const {
    return state::View<T>(*cache_);
  }
  TenantId tenant() const { return tenant_; }
  PartitionId partition() const { return partition_; }
  // Journal time of the frame.
  Instant now() const { return now_; }

  // Long work: `kind` and `subject` (unique in kind and tenant) name an item; its slices run until it is removed. Adding twice is once.
  void AddWork(WorkKind kind, std::string_view subject);
  void RemoveWork(WorkKind kind, std::string_view subject);
  // A timer is named by all three; it is gone once it fired.
  void ArmTimer(Instant due, TimerStep step, std::string_view subject);
  void DisarmTimer(Instant due, TimerStep step, std::string_view subject);

 private:
  friend class Engine;
  void RequireOwner(TypeNumber type) const;
  Engine* engine_ = nullptr;
  state::Cache* cache_ = nullptr;
  TenantId tenant_;
  PartitionId partition_;
  Instant now_;
  size_t noun_ = 0;
};

// What Decide may know and do. Valid for one decision.
class Context {
 public:
  TenantId tenant() const { return tenant_; }
  PartitionId partition() const { return partition_; }
  uint16_t partition_count() const { return partition_count_; }
  // Journal time; never goes back.
  Instant now() const { return now_; }
  // The command that is decided; null for slices and timers.
  const command::Command* command() const { return command_; }

  // The table of T as decided so far, this decision's own events included. CHECK: the noun owns T or declared to read it.
  template <state::StateMessage T>
  state::View<T> view() const {
    RequireReader(TypeNumberOf<T>());
    return state::View<T>(*cache_);
  }
  // For derived facts only; never for what Evolve needs. Null in a fold.
  keyring::Keyring* keyring() const { return keyring_; }

  // Records that E happened: folded at once into every noun that evolves it, then reacted to. E is a Protobuf event.
  template <class E>
  void Emit(const E& event) {
    std::string& bytes = BeginEvent(TypeNumberOf<E>());
    event.AppendToString(&bytes);
    FinishEvent(TypeNumberOf<E>(), &event);
  }
  // A business "no": nothing was emitted, the caller gets the outcome with a stable code and a sentence.
  void Refuse(journal::Outcome outcome, std::string_view code, std::string_view message);
  // Nobody can decide this command yet: nothing was emitted, and it is kept with its bytes as a dead letter, with a stable code and a
  // sentence. Of commands, not of slices and timers.
  void Reject(std::string_view code, std::string_view reason);
  // Adds a member to the answer's JSON object.
  void Answer(std::string_view name, std::string_view text);
  void Answer(std::string_view name, uint64_t number);
  // Adds all that is wrong, beside the sentence of Refuse: where -> what. A place that is there twice gets both sentences.
  void AnswerAll(const std::vector<std::pair<std::string, std::string>>& wrong);
  // The trace of a decision that no command caused: of the request whose work goes on in a slice or timer.
  void Continue(TraceId trace) { trace_ = trace; }
  // Decided, and nothing had to change.
  void Unchanged() { outcome_ = journal::Outcome::kUnchanged; }
  // Spends a credit of the site and says who granted it; null: there is none.
  const CreditHolder* TakeCredit(std::string_view site);
  // True: a credit of the site was asked for in vain since the last one came; asking again finds none. False: it may.
  bool LacksCredit(std::string_view site) const;
  // True: sites are keys of recipient domains.
  bool CreditsPerDomain() const;
  // How many events this decision holds already.
  size_t event_count() const;

 private:
  friend class Engine;
  std::string& BeginEvent(TypeNumber type);
  void FinishEvent(TypeNumber type, const void* event);
  void RequireReader(TypeNumber type) const;
  Engine* engine_ = nullptr;
  state::Cache* cache_ = nullptr;
  keyring::Keyring* keyring_ = nullptr;
  const command::Command* command_ = nullptr;
  TenantId tenant_;
  PartitionId partition_;
  uint16_t partition_count_ = 0;
  Instant now_;
  TraceId trace_;
  size_t noun_ = 0;
  journal::Outcome outcome_ = journal::Outcome::kDone;
  bool refused_ = false;
  struct Rejection {
    std::string code;
    std::string reason;
  };
  std::optional<Rejection> rejection_;
};

// How a slice ended.
enum class SliceEnd {
  kMore,     // call again as soon as others had their turn
  kWaiting,  // nothing to do before a credit is granted or a command changes something
};
// One slice of one work item: at most kSliceEventsMax events and about a millisecond. It ends its item by an event whose Evolve calls
// RemoveWork.
using SliceFn = SliceEnd (*)(Context&, std::string_view subject);
using TimerFn = void (*)(Context&, std::string_view subject);

// A row of the pipeline, built by the noun's own Register function.
class Noun {
 public:
  // `evolve_version` grows when Evolve means something else for old events: then stores are refolded.
  Noun(std::string name, uint32_t evolve_version) : name_(std::move(name)), evolve_version_(evolve_version) {}

  template <class... T>
  Noun& Owns() {
    (owns_.push_back(TypeNumberOf<T>()), ...);
    return *this;
  }
  template <class... T>
  Noun& Reads() {
    (reads_.push_back(TypeNumberOf<T>()), ...);
    return *this;
  }
  // Decides command C; also an event type that a link brings from another partition.
  template <class C>
  Noun& Decides(void (*decide)(Context&, const C&)) {
    decides_.push_back({TypeNumberOf<C>(), [decide](Context& context, std::string_view payload) {
                          thread_local C message;
                          if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return false;
                          decide(context, message);
                          return true;
                        }});
    return *this;
  }
  // Nobody is in a hurry to know how C is decided: many wait for one another, and share a frame (task.cc).
  template <class... C>
  Noun& Unhurried() {
    (unhurried_.push_back(TypeNumberOf<C>()), ...);
    return *this;
  }
  // Deciding C looks up the entry of T under the command's tenant and key. A hint: those of the next commands are read together, ahead of
  // their turn, and no decision depends on it.
  template <class C, state::StateMessage T>
  Noun& LooksUp() {
    looks_up_.push_back({TypeNumberOf<C>(), &state::OpsOf<T>()});
    return *this;
  }
  template <class E>
  Noun& Evolves(void (*evolve)(Fold&, const E&)) {
    evolves_.push_back({TypeNumberOf<E>(), [evolve](Fold& fold, const void* event) { evolve(fold, *static_cast<const E*>(event)); },
                        [](std::string_view payload, const std::function<void(const void*)>& with) {
                          E message;
                          if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return false;
                          with(&message);
                          return true;
                        }});
    return *this;
  }
  // Reacts to event E inside the decision that emitted it.
  template <class E>
  Noun& Reacts(void (*react)(Context&, const E&)) {
    reacts_.push_back({TypeNumberOf<E>(), [react](Context& context, const void* event) { react(context, *static_cast<const E*>(event)); }});
    return *this;
  }
  Noun& Slices(WorkKind kind, std::string label, SliceFn slice) {
    slices_.push_back({kind, std::move(label), slice});
    return *this;
  }
  Noun& Timers(TimerStep step, std::string label, TimerFn timer) {
    timers_.push_back({step, std::move(label), timer});
    return *this;
  }

  struct DecideRow {
    TypeNumber type;
    std::function<bool(Context&, std::string_view payload)> decide;  // false: the payload does not parse
  };
  struct LookUpRow {
    TypeNumber type;
    const state::TypeOps* table;
  };
  struct EvolveRow {
    TypeNumber type;
    std::function<void(Fold&, const void*)> evolve;
    std::function<bool(std::string_view, const std::function<void(const void*)>&)> parse;
  };
  struct ReactRow {
    TypeNumber type;
    std::function<void(Context&, const void*)> react;
  };
  struct SliceRow {
    WorkKind kind;
    std::string label;
    SliceFn slice;
  };
  struct TimerRow {
    TimerStep step;
    std::string label;
    TimerFn timer;
  };
  const std::string& name() const { return name_; }
  uint32_t evolve_version() const { return evolve_version_; }
  const std::vector<TypeNumber>& owns() const { return owns_; }
  const std::vector<TypeNumber>& reads() const { return reads_; }
  const std::vector<DecideRow>& decides() const { return decides_; }
  const std::vector<LookUpRow>& looks_up() const { return looks_up_; }
  const std::vector<TypeNumber>& unhurried() const { return unhurried_; }
  const std::vector<EvolveRow>& evolves() const { return evolves_; }
  const std::vector<ReactRow>& reacts() const { return reacts_; }
  const std::vector<SliceRow>& slices() const { return slices_; }
  const std::vector<TimerRow>& timers() const { return timers_; }

 private:
  std::string name_;
  uint32_t evolve_version_;
  std::vector<TypeNumber> owns_;
  std::vector<TypeNumber> reads_;
  std::vector<DecideRow> decides_;
  std::vector<LookUpRow> looks_up_;
  std::vector<TypeNumber> unhurried_;
  std::vector<EvolveRow> evolves_;
  std::vector<ReactRow> reacts_;
  std::vector<SliceRow> slices_;
  std::vector<TimerRow> timers_;
};

}  // namespace maily::task
