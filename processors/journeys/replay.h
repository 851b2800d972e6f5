// What a definition would have made of a contact that is in the journey: it enters when it did, and everything that it did since happens
// again, at the time at which it happened.
//
// Pure: a definition and a history in, a place out. It knows no partition and no decision, so nothing can be sent by it. What a contact is
// (attributes, lists, segments) is as it is now, since nobody remembers what it was; mails are taken as sent on time, opened and clicked as
// the contact did with mails of the same template that the journey sent it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace maily::journeys {

inline constexpr int kReplayTurnsMax = 1'000;  // steps of one contact; then it stays where it is

// What names in a definition stand for.
struct ReplayNames {
  struct Attribute {
    std::string name;
    std::string type;  // "text", "integer", "number", "boolean"
    bool personal = false;
  };
  std::vector<Attribute> attributes = {};
  std::map<std::string, uint64_t, std::less<>> segments = {};  // that are in use
  std::map<std::string, uint64_t, std::less<>> lists = {};
  std::set<std::string, std::less<>> templates = {};
  std::string time_zone = {};  // of the tenant; empty: UTC
};

struct ReplayProblem {
  std::string where;  // JSON Pointer
  std::string code;
  std::string sentence;
};

struct Happening {
  enum class Kind : uint8_t { kEvent, kOpened, kClicked };
  int64_t at_s = 0;
  Kind kind = Kind::kEvent;
  std::string name = {};  // of an event; else of the mail's template
};

struct ReplayPerson {
  uint16_t partition = 0;
  uint64_t ordinal = 0;
  uint64_t journey_id = 0;
  int64_t entered_at_s = 0;
  std::map<std::string, std::string, std::less<>> attributes = {};  // values as JSON
  std::set<std::string, std::less<>> tags = {};
  std::set<uint64_t> lists = {};
  std::set<uint64_t> segments = {};  // of Replay::segments()
  bool subscribed = true;
  std::vector<Happening> happened = {};  // since it entered, in order
};

// Where it would be.
struct ReplayPlace {
  bool over = false;
  std::string step = {};               // where it waits; of one that is over, where it was
  std::string why = {};                // "delay", "wait_for"; "completed", "exit", "converted", "segment_left"; "too_long": kReplayTurnsMax
  int64_t due_s = 0;                   // of a wait
  std::string zone = {};               // of a wait by local time
  std::vector<std::string> sent = {};  // steps, in order
  int updates = 0;
};

class Replay {
 public:
  Replay(const ReplayNames& names, std::string_view json);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // All that is wrong with the definition; Run is for those without.
  const std::vector<ReplayProblem>& problems() const;
  // Segments that it asks for.
  const std::set<uint64_t>& segments() const;
  bool HasStep(std::string_view id) const;
  ReplayPlace Run(const ReplayPerson& person, int64_t now_s) const;

 private:
  struct Read;
  std::unique_ptr<const Read> read_;
};

}  // namespace maily::journeys
