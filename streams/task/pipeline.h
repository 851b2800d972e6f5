// The pipeline as a value: who decides, who evolves, who reads, and what links carry; validated, printed as text and as a graph.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "streams/task/processor.h"

namespace maily::task {

// An event type that a link carries from the partition where it was decided.
enum class CarryTo {
  kAll,    // from where it was decided to every partition, that one included
  kHome,   // from any partition to the tenant's home
  kNamed,  // to the partition that the event names, if it names one
};
// Where an event goes that names it, and as what.
struct Destination {
  PartitionId partition;
  TypeNumber type = 0;    // 0 = as the event that it is
  std::string payload{};  // of another type
};
using DestinationFn = std::optional<Destination> (*)(std::string_view event, uint16_t partition_count);
struct Carry {
  TypeNumber event;
  CarryTo to;
  DestinationFn destination = nullptr;  // of kNamed
};

// Commands that are routed by a key, and that another partition may have to decide: asked before each is decided. True: it has emitted that
// the command goes on, and nothing is left to decide.
struct Forwarding {
  std::string noun;
  std::vector<TypeNumber> commands;
  bool (*forward)(Context& context, const command::Command& command) = nullptr;
};

class Pipeline {
 public:
  // `home` gives a tenant's home partition. CHECK (a start-up error of the programmer): two nouns own a table or decide a command, a table
  // is read that nobody owns, a carried event that nobody decides where it arrives, a number out of range.
  Pipeline(std::vector<Noun> nouns, std::vector<Carry> carries, PartitionId (*home)(TenantId, uint16_t partition_count),
           Forwarding forwarding = {});

  const std::vector<Noun>& nouns() const { return nouns_; }
  const std::vector<Carry>& carries() const { return carries_; }
  PartitionId Home(TenantId tenant, uint16_t partition_count) const { return home_(tenant, partition_count); }
  // "contacts=1 lists=1 …": what a store was folded by.
  std::string FoldVersion() const;

  // Rows by number; null where there is none. The noun's index stands beside.
  struct Decider {
    size_t noun = 0;
    const Noun::DecideRow* row = nullptr;
    const Noun::LookUpRow* looks_up = nullptr;  // null: none
    bool unhurried = false;
    bool forwarded = false;  // may be
  };
  struct Evolver {
    size_t noun = 0;
    const Noun::EvolveRow* row = nullptr;
  };
  struct Reactor {
    size_t noun = 0;
    const Noun::ReactRow* row = nullptr;
  };
  const Decider& decider(TypeNumber type) const { return deciders_[type < kTypeNumbersMax ? type : 0]; }
  const std::vector<Evolver>& evolvers(TypeNumber type) const { return evolvers_[type < kTypeNumbersMax ? type : 0]; }
  const std::vector<Reactor>& reactors(TypeNumber type) const { return reactors_[type < kTypeNumbersMax ? type : 0]; }
  const Carry* carry(TypeNumber type) const;
  const Forwarding& forwarding() const { return forwarding_; }
  size_t forwarding_noun() const { return forwarding_noun_; }
  struct Slicer {
    size_t noun = 0;
    SliceFn slice = nullptr;
  };
  struct Timer {
    size_t noun = 0;
    TimerFn timer = nullptr;
  };
  Slicer slicer(WorkKind kind) const;
  Timer timer(TimerStep step) const;
  bool Owns(size_t noun, TypeNumber type) const { return owner_[type] == static_cast<int>(noun); }
  bool MayRead(size_t noun, TypeNumber type) const { return Owns(noun, type) || readers_[noun][type]; }

  // For people. `name` gives the name of a type number.
  std::string ToText(const std::function<std::string(TypeNumber)>& name) const;
  // Graphviz.
  std::string ToDot(const std::function<std::string(TypeNumber)>& name) const;

 private:
  std::vector<Noun> nouns_;
  std::vector<Carry> carries_;
  PartitionId (*home_)(TenantId, uint16_t);
  Forwarding forwarding_;
  size_t forwarding_noun_ = 0;
  std::vector<Decider> deciders_;
  std::vector<std::vector<Evolver>> evolvers_;
  std::vector<std::vector<Reactor>> reactors_;
  std::vector<int> carry_;
  std::vector<int> owner_;
  std::vector<std::vector<bool>> readers_;
};

}  // namespace maily::task
