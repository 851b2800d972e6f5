// See pipeline.h.
#include "streams/task/pipeline.h"

#include <fmt/format.h>

namespace maily::task {
namespace {

const char* Words(CarryTo to) { return to == CarryTo::kAll ? "to all" : to == CarryTo::kHome ? "to home" : "to named"; }

}  // namespace

Pipeline::Pipeline(std::vector<Noun> nouns, std::vector<Carry> carries, PartitionId (*home)(TenantId, uint16_t), Forwarding forwarding)
    : nouns_(std::move(nouns)),
      carries_(std::move(carries)),
      home_(home),
      forwarding_(std::move(forwarding)),
      deciders_(kTypeNumbersMax),
      evolvers_(kTypeNumbersMax),
      reactors_(kTypeNumbersMax),
      carry_(kTypeNumbersMax, -1),
      owner_(kTypeNumbersMax, -1),
      readers_(nouns_.size(), std::vector<bool>(kTypeNumbersMax, false)) {
  const auto check_number = [](const Noun& noun, TypeNumber type) {
    MAILY_CHECK(type > 0 && type < kTypeNumbersMax, "type number {} of {}", type, noun.name());
  };
  for (size_t i = 0; i < nouns_.size(); ++i) {
    const Noun& noun = nouns_[i];
    for (const TypeNumber type : noun.owns()) {
      check_number(noun, type);
      MAILY_CHECK(owner_[type] < 0, "table {} has two owners: {} and {}", type, nouns_[static_cast<size_t>(owner_[type])].name(),
                  noun.name());
      owner_[type] = static_cast<int>(i);
    }
    for (const TypeNumber type : noun.reads()) {
      check_number(noun, type);
      readers_[i][type] = true;
    }
    for (const auto& row : noun.decides()) {
      check_number(noun, row.type);
      MAILY_CHECK(deciders_[row.type].row == nullptr, "command {} is decided twice", row.type);
      deciders_[row.type] = {.noun = i, .row = &row};
    }
    for (const auto& row : noun.looks_up()) {
      MAILY_CHECK(row.type < kTypeNumbersMax && deciders_[row.type].row != nullptr && deciders_[row.type].noun == i,
                  "{} looks up for command {} that it does not decide", noun.name(), row.type);
      deciders_[row.type].looks_up = &row;
    }
    for (const TypeNumber type : noun.unhurried()) {
      MAILY_CHECK(type < kTypeNumbersMax && deciders_[type].row != nullptr && deciders_[type].noun == i,
                  "{} is in no hurry with command {} that it does not decide", noun.name(), type);
      deciders_[type].unhurried = true;
    }
    for (const auto& row : noun.evolves()) {
      check_number(noun, row.type);
      evolvers_[row.type].push_back({i, &row});
    }
    for (const auto& row : noun.reacts()) {
      check_number(noun, row.type);
      reactors_[row.type].push_back({i, &row});
    }
  }
  for (size_t i = 0; i < nouns_.size(); ++i) {
    for (const TypeNumber type : nouns_[i].reads())
      MAILY_CHECK(owner_[type] >= 0, "{} reads table {} that nobody owns", nouns_[i].name(), type);
  }
  for (const TypeNumber type : forwarding_.commands) {
    MAILY_CHECK(type < kTypeNumbersMax && deciders_[type].row != nullptr, "command {} is forwarded, and decided by nobody", type);
    deciders_[type].forwarded = true;
  }
  while (!forwarding_.commands.empty() && nouns_[forwarding_noun_].name() != forwarding_.noun) {
    MAILY_CHECK(++forwarding_noun_ < nouns_.size(), "there is no noun {} that forwards", forwarding_.noun);
  }
  for (size_t i = 0; i < carries_.size(); ++i) {
    MAILY_CHECK((carries_[i].to == CarryTo::kNamed) == (carries_[i].destination != nullptr), "event {} is carried to nowhere",
                carries_[i].event);
    // What arrives as another type is a command that is forwarded, so somebody decides it.
    const auto& known = deciders_[carries_[i].event];
    MAILY_CHECK(known.row != nullptr || carries_[i].to == CarryTo::kNamed, "event {} is carried, but nobody decides it where it arrives",
                carries_[i].event);
    carry_[carries_[i].event] = static_cast<int>(i);
  }
}

std::string Pipeline::FoldVersion() const {
  std::string version;
  for (const Noun& noun : nouns_) version += fmt::format("{}{}={}", version.empty() ? "" : " ", noun.name(), noun.evolve_version());
  return version;
}

const Carry* Pipeline::carry(TypeNumber type) const {
  if (type >= kTypeNumbersMax || carry_[type] < 0) return nullptr;
  return &carries_[static_cast<size_t>(carry_[type])];
}

Pipeline::Slicer Pipeline::slicer(WorkKind kind) const {
  for (size_t i = 0; i < nouns_.size(); ++i) {
    for (const auto& row : nouns_[i].slices()) {
      if (row.kind == kind) return {i, row.slice};
    }
  }
  return {};
}

Pipeline::Timer Pipeline::timer(TimerStep step) const {
  for (size_t i = 0; i < nouns_.size(); ++i) {
    for (const auto& row : nouns_[i].timers()) {
      if (row.step == step) return {i, row.timer};
    }
  }
  return {};
}

std::string Pipeline::ToText(const std::function<std::string(TypeNumber)>& name) const {
  std::string out;
  const auto line = [&](const char* label, const std::vector<std::string>& items) {
    if (items.empty()) return;
    out += fmt::format("  {:<10}", label);
    for (size_t i = 0; i < items.size(); ++i) out += (i == 0 ? "" : ", ") + items[i];
    out += "\n";
  };
  const auto names = [&](const auto& rows) {
    std::vector<std::string> list;
    for (const auto& row : rows) list.push_back(name(row.type));
    return list;
  };
  for (const Noun& noun : nouns_) {
    out += fmt::format("{} (evolve_version {})\n", noun.name(), noun.evolve_version());
    line("decides", names(noun.decides()));
    line("reacts to", names(noun.reacts()));
    line("evolves", names(noun.evolves()));
    std::vector<std::string> owns;
    for (const TypeNumber type : noun.owns()) owns.push_back(name(type));
    line("owns", owns);
    std::vector<std::string> reads;
    for (const TypeNumber type : noun.reads()) reads.push_back(name(type));
    line("reads", reads);
    std::vector<std::string> work;
    for (const auto& row : noun.slices()) work.push_back(row.label);
    line("slices", work);
    std::vector<std::string> timers;
    for (const auto& row : noun.timers()) timers.push_back(row.label);
    line("timers", timers);
  }
  out += "links\n";
  for (const Carry& carry : carries_) {
    out += fmt::format("  {:<8} {}\n", Words(carry.to), name(carry.event));
  }
  return out;
}

std::string Pipeline::ToDot(const std::function<std::string(TypeNumber)>& name) const {
  std::string out = "digraph maily {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const Noun& noun : nouns_) {
    out += fmt::format("  \"{}\" [style=bold];\n", noun.name());
    for (const auto& row : noun.decides()) out += fmt::format("  \"{}\" -> \"{}\" [label=\"decides\"];\n", name(row.type), noun.name());
    for (const auto& row : noun.evolves())
      out += fmt::format("  \"{}\" -> \"{}\" [label=\"evolves\", style=dashed];\n", name(row.type), noun.name());
    for (const auto& row : noun.reacts())
      out += fmt::format("  \"{}\" -> \"{}\" [label=\"reacts\", style=dotted];\n", name(row.type), noun.name());
  }
  for (const Carry& carry : carries_) {
    out += fmt::format("  \"{}\" -> \"link\" [label=\"{}\"];\n", name(carry.event), Words(carry.to));
  }
  return out + "}\n";
}

}  // namespace maily::task
