// Properties of segments over random expressions and contacts: both forms read back, a slow evaluator of another making agrees, and an
// answer holds until the instant that was named. A failure prints its seed; MAILY_SEED=n plays it again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "processors/audience/segment_evaluate.h"
#include "processors/audience/segment_language.h"
#include "processors/audience/segment_zone.h"

namespace maily::audience {
namespace {

using segments::v1::Node;

constexpr int64_t kDayS = 86'400;
constexpr int64_t kStart = 1'774'000'000;  // some days before summer time begins

uint64_t Seed() {
  const char* given = std::getenv("MAILY_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

segments::v1::Zone Zone() {
  segments::v1::Zone zone;
  zone.set_first_offset_s(3600);
  for (const auto& [at, offset] : {std::pair<int64_t, int32_t>{1'774'746'000, 7200}, {1'792'890'000, 3600}}) {
    zone.add_at_s(at);
    zone.add_offset_s(offset);
  }
  return zone;
}

struct World {
  explicit World(uint64_t seed) : random(seed) {}
  std::mt19937_64 random;
  int64_t Below(int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); }
  template <class T>
  T One(std::initializer_list<T> of) {
    return *(of.begin() + Below(static_cast<int64_t>(of.size())));
  }

  std::string Day() {
    if (Below(2) == 0) return DayText(static_cast<int32_t>(kStart / kDayS + Below(20) - 5));
    return One<std::string>({"today", "today - 1d", "today - 3d", "today - 2w"});
  }
  std::string Leaf() {
    const std::string order = One<std::string>({"=", "!=", "<", "<=", ">", ">="});
    switch (Below(9)) {
      case 0:
        return "plan " + One<std::string>({"=", "!=", "contains", "starts_with", "ends_with"}) + " \"" +
               One<std::string>({"pro", "free", "p\\\"o\\\\", "e", "ä"}) + "\"";
      case 1:
        return "age " + order + " " + One<std::string>({"-1", "0", "2", "2.5", "9223372036854775807", "1e15"});
      case 2:
        return "share " + order + " " + One<std::string>({"0.5", "1", "-0.25", "3.0"});
      case 3:
        return "age " + One<std::string>({"in (1, 2)", "not in (2, 3, 3.5)", "is known", "is unknown"});
      case 4:
        return "born " + order + " " + One<std::string>({Day(), "today + 3d"});
      case 5:
        return One<std::string>({"in_list(1)", "in_list(2)", "in_segment(1)", "subscribed()", "suppressed()", "delivered(campaign: 1)",
                                 "newbie = true", "newbie != true", "tag(\"vip\")", "tag(\"a:b.c-1\")"});
      default: {
        const std::string which = One<std::string>({"opened(", "clicked(", "event(\"buy\""});
        std::string window = One<std::string>({"", "last: 1h", "last: 2d", "last: 5d", "since: " + Day()});
        if (!window.empty() && which.back() != '(') window = ", " + window;
        static const std::set<std::string> kNone = {">= 0", "< 0"};
        std::string count = order + " " + std::to_string(Below(5));
        while (kNone.contains(count)) count = "= " + std::to_string(Below(3));
        return which + window + ") " + count;
      }
    }
  }
  std::string Expression(int depth) {
    const int64_t what = depth >= 5 ? 0 : Below(6);
    if (what <= 1) return Leaf();
    if (what == 2) return "not (" + Expression(depth + 1) + ")";
    std::string text;
    const std::string word = One<std::string>({" and ", " or "});
    for (int64_t i = Below(3) + 2; i > 0; --i) text += (text.empty() ? "" : word) + ("(" + Expression(depth + 1) + ")");
    return text;
  }
};

struct Person : SegmentFacts {
  std::map<std::string, SegmentValue> attributes;
  std::map<std::string, std::vector<int64_t>> did;  // all of it, in any order
  std::map<std::string, segments::v1::Signal> signals;
  std::set<uint64_t> lists;
  std::set<std::string> tags;
  bool in_segment = false, subscribed = false, suppressed = false, delivered = false;

  SegmentValue Attribute(const std::string& name, tenants::v1::AttributeType, bool) override {
    const auto found = attributes.find(name);
    return found == attributes.end() ? SegmentValue() : found->second;
  }
  bool HasAttribute(const std::string& name) override { return attributes.contains(name); }
  bool HasTag(const std::string& tag) override { return tags.contains(tag); }
  bool OnList(uint64_t id) override { return lists.contains(id); }
  bool InSegment(uint64_t) override { return in_segment; }
  bool Subscribed() override { return subscribed; }
  bool Suppressed() override { return suppressed; }
  bool Delivered(uint64_t) override { return delivered; }
  const segments::v1::Signal* Signal(segments::v1::SignalKind kind, uint64_t, const std::string&) override {
    const auto found = signals.find(std::string(SignalWord(kind)));
    return found == signals.end() ? nullptr : &found->second;
  }
};

Person SomePerson(World& world) {
  Person person;
  if (world.Below(3) > 0) person.attributes["plan"] = world.One<std::string>({"pro", "free", "p\"o\\", "ä"});
  if (world.Below(3) > 0) person.attributes["age"] = world.One<int64_t>({-1, 0, 1, 2, 3, INT64_MAX});
  if (world.Below(3) > 0) person.attributes["share"] = world.One<double>({0.5, 1, 3, -0.25});
  if (world.Below(3) > 0) person.attributes["newbie"] = world.Below(2) == 0;
  if (world.Below(3) > 0)
    person.attributes["born"] =
        world.Below(5) == 0 ? std::string("soon") : DayText(static_cast<int32_t>(kStart / kDayS + world.Below(20) - 5));
  for (const char* what : {"opened", "clicked", "event"}) {
    for (int64_t i = world.One<int64_t>({0, 0, 1, 2, 3, 6, 60}); i > 0; --i) {
      const int64_t at = kStart + world.Below(8 * kDayS) - 6 * kDayS;
      person.did[what].push_back(std::min(at, kStart));
      AddToSignal(person.signals[what], person.did[what].back());
    }
  }
  for (const uint64_t id : {1, 2}) {
    if (world.Below(2) == 0) person.lists.insert(id);
  }
  for (const char* tag : {"vip", "a:b.c-1"}) {
    if (world.Below(2) == 0) person.tags.insert(tag);
  }
  person.in_segment = world.Below(2) == 0;
  person.subscribed = world.Below(2) == 0;
  person.suppressed = world.Below(2) == 0;
  person.delivered = world.Below(2) == 0;
  return person;
}

// The slow evaluator: walks the tree bottom up over all that happened, with its own calendar and no thought of when anything changes.
class Slow {
 public:
  Slow(const segments::v1::Expression& expression, int64_t now_s, Person& person)
      : expression_(expression), now_s_(now_s), person_(person) {}
  // 1 true, -1 false, 0 unknown.
  int At(int at) {
    const Node& node = expression_.nodes(at);
    if (node.has_junction()) {
      std::vector<int> below;
      for (int child = at + 1; child < at + static_cast<int>(node.size()); child += static_cast<int>(expression_.nodes(child).size()))
        below.push_back(At(child));
      if (node.junction() == segments::v1::NOT) return -below.at(0);
      return node.junction() == segments::v1::AND ? *std::min_element(below.begin(), below.end())
                                                  : *std::max_element(below.begin(), below.end());
    }
    if (node.has_presence()) return person_.attributes.contains(node.presence().attribute()) == node.presence().known() ? 1 : -1;
    if (node.has_membership()) {
      return (node.membership().segment() ? person_.in_segment : person_.lists.contains(node.membership().id())) ? 1 : -1;
    }
    if (node.has_tag()) return person_.tags.contains(node.tag()) ? 1 : -1;
    if (node.has_standing()) return (node.standing() == segments::v1::SUPPRESSED ? person_.suppressed : person_.subscribed) ? 1 : -1;
    if (node.has_happened()) return Happened(node.happened()) ? 1 : -1;
    return Compare(node.compare());
  }

 private:
  // Local date by its definition, hour for hour.
  static int64_t LocalDay(int64_t at_s) {
    const int64_t offset = at_s >= 1'774'746'000 && at_s < 1'792'890'000 ? 7200 : 3600;
    return (at_s + offset) / kDayS;
  }
  int64_t Day(const segments::v1::Day& day) const { return day.relative() ? LocalDay(now_s_) + day.days() : day.days(); }
  static bool Sign(segments::v1::Operator op, long double a, long double b) {
    const std::string_view sign = OperatorSign(op);
    return sign == "=" || sign == "in" ? a == b
           : sign == "!="              ? a != b
           : sign == "<"               ? a < b
           : sign == "<="              ? a <= b
           : sign == ">"               ? a > b
                                       : a >= b;
  }
  bool Happened(const segments::v1::Happened& happened) {
    if (happened.signal() == segments::v1::DELIVERED) return Sign(happened.op(), person_.delivered ? 1 : 0, happened.count());
    int64_t count = 0;
    for (const int64_t at : person_.did[std::string(SignalWord(happened.signal()))]) {
      bool counts = true;
      if (happened.last_s() != 0) counts = now_s_ - at < happened.last_s();
      if (happened.has_since()) counts = LocalDay(at) >= Day(happened.since());
      count += counts ? 1 : 0;
    }
    return Sign(happened.op(), count, happened.count());
  }
  int Compare(const segments::v1::Comparison& compare) {
    const auto found = person_.attributes.find(compare.attribute());
    if (found == person_.attributes.end()) return 0;
    bool any = false;
    for (const auto& literal : compare.values()) {
      if (literal.has_text()) {
        const auto& text = std::get<std::string>(found->second);
        const std::string& with = literal.text();
        const std::string_view sign = OperatorSign(compare.op());
        const size_t place = text.find(with);
        any = any || (sign == "="             ? text == with
                      : sign == "!="          ? text != with
                      : sign == "contains"    ? place != std::string::npos
                      : sign == "starts_with" ? place == 0
                                              : text.size() >= with.size() && text.substr(text.size() - with.size()) == with);
      } else if (literal.has_boolean()) {
        any = any || ((std::get<bool>(found->second) == literal.boolean()) == (compare.op() == segments::v1::EQUAL));
      } else if (literal.has_day()) {
        const auto day = ParseDay(std::get<std::string>(found->second));
        if (!day) return 0;
        any = any || Sign(compare.op(), *day, static_cast<long double>(Day(literal.day())));
      } else {
        const long double a = std::holds_alternative<int64_t>(found->second) ? static_cast<long double>(std::get<int64_t>(found->second))
                                                                             : std::get<double>(found->second);
        any = any || Sign(compare.op(), a, literal.has_integer() ? static_cast<long double>(literal.integer()) : literal.number());
      }
    }
    return any ? 1 : -1;
  }

  const segments::v1::Expression& expression_;
  const int64_t now_s_;
  Person& person_;
};

int AsNumber(Truth truth) { return static_cast<int>(truth) - 1; }

TEST(SegmentProperty, BothFormsReadBackAndASlowEvaluatorAgrees) {
  const uint64_t seed = Seed();
  const segments::v1::Zone zone = Zone();
  World world(seed);
  for (int round = 0; round < 3'000; ++round) {
    SCOPED_TRACE(testing::Message() << "MAILY_SEED=" << seed << " round " << round);
    const std::string source = world.Expression(0);
    const ParsedSegment parsed = ParseSegmentText(source);
    if (!parsed.problems.empty()) {
      ASSERT_NE(parsed.problems[0].sentence.find("at most 256"), std::string::npos) << source << "\n" << parsed.problems[0].sentence;
      continue;
    }
    const std::string text = SegmentText(parsed.expression);
    const ParsedSegment again = ParseSegmentText(text);
    ASSERT_TRUE(again.problems.empty()) << text;
    ASSERT_EQ(again.expression.SerializeAsString(), parsed.expression.SerializeAsString()) << source << "\n" << text;
    ASSERT_EQ(SegmentText(again.expression), text);
    const std::string json = SegmentJson(parsed.expression);
    if (json.size() <= kSegmentBytesMax) {
      const ParsedSegment from_json = ParseSegmentJson(json);
      ASSERT_TRUE(from_json.problems.empty()) << json << from_json.problems[0].where << from_json.problems[0].sentence;
      ASSERT_EQ(from_json.expression.SerializeAsString(), parsed.expression.SerializeAsString()) << json;
    }
    for (int someone = 0; someone < 5; ++someone) {
      Person person = SomePerson(world);
      for (const int64_t now :
           {kStart, kStart + world.Below(9 * kDayS), StartOfDay(zone, static_cast<int32_t>(kStart / kDayS + world.Below(9)))}) {
        const SegmentAnswer answer = EvaluateSegment(parsed.expression, zone, now, person);
        ASSERT_EQ(AsNumber(answer.truth), Slow(parsed.expression, now, person).At(0)) << text << "\nat " << now;
        ASSERT_GT(answer.next_s, now) << text;
        // It holds until then, by the slow evaluator too.
        const int64_t until = std::min(answer.next_s, now + 40 * kDayS);
        for (const int64_t at : {until - 1, now + world.Below(until - now), now + world.Below(until - now)}) {
          ASSERT_EQ(Slow(parsed.expression, at, person).At(0), AsNumber(answer.truth))
              << text << "\nat " << now << ", then at " << at << ", next " << answer.next_s;
        }
      }
    }
  }
}

TEST(SegmentProperty, AnswersChangeAtTheInstantsThatWereNamed) {
  // Following next_s alone finds every change that the slow evaluator sees minute by minute.
  const uint64_t seed = Seed();
  const segments::v1::Zone zone = Zone();
  World world(seed);
  int changes = 0;
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "MAILY_SEED=" << seed << " round " << round);
    const ParsedSegment parsed = ParseSegmentText(world.Expression(2));
    if (!parsed.problems.empty()) continue;
    Person person = SomePerson(world);
    SegmentAnswer answer = EvaluateSegment(parsed.expression, zone, kStart, person);
    for (int64_t at = kStart; at < kStart + 9 * kDayS; at += 60) {
      while (answer.next_s <= at) {
        const SegmentAnswer next = EvaluateSegment(parsed.expression, zone, answer.next_s, person);
        if (next.truth != answer.truth) ++changes;
        answer = next;
      }
      ASSERT_EQ(Slow(parsed.expression, at, person).At(0), AsNumber(answer.truth)) << SegmentText(parsed.expression) << " at " << at;
    }
  }
  EXPECT_GT(changes, 0) << "seed " << seed;
}

}  // namespace
}  // namespace maily::audience
