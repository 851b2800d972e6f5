// Gives names and types their meaning, and says what an expression depends on. See segment_language.h.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "processors/audience/segment_language.h"

namespace maily::audience {
namespace {

using segments::v1::Literal;
using segments::v1::Node;
using tenants::v1::AttributeType;

// Letters to be put in, taken out or replaced to get from one to the other; counted up to 3.
size_t Distance(std::string_view a, std::string_view b) {
  constexpr size_t kFar = 3;
  if (a.size() > b.size() + kFar || b.size() > a.size() + kFar || a.size() > 64 || b.size() > 64) return kFar;
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return std::min(row[b.size()], kFar);
}

std::string_view TypeWord(AttributeType type) {
  switch (type) {
    case tenants::v1::TEXT:
      return "a text";
    case tenants::v1::INTEGER:
      return "a whole number";
    case tenants::v1::NUMBER:
      return "a number";
    case tenants::v1::BOOLEAN:
      return "true or false";
    default:
      return "of an unknown type";
  }
}

std::string_view LiteralWord(const Literal& literal) {
  switch (literal.value_case()) {
    case Literal::kText:
      return "a text";
    case Literal::kInteger:
      return "a whole number";
    case Literal::kNumber:
      return "a number";
    case Literal::kBoolean:
      return "true or false";
    case Literal::kDay:
      return "a day";
    case Literal::VALUE_NOT_SET:
      break;
  }
  return "nothing";
}

bool IsOrder(segments::v1::Operator op) { return op >= segments::v1::LESS && op <= segments::v1::GREATER_OR_EQUAL; }
bool IsPart(segments::v1::Operator op) { return op >= segments::v1::CONTAINS && op <= segments::v1::ENDS_WITH; }

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kTagBytesMax && std::ranges::all_of(tag, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':';
  });
}

class Checker {
 public:
  Checker(ParsedSegment& parsed, const SegmentCatalog& catalog) : parsed_(parsed), catalog_(catalog) {}

  std::vector<SegmentProblem> Check() {
    for (int i = 0; i < parsed_.expression.nodes_size() && problems_.size() < kSegmentProblemsMax; ++i) {
      where_ = static_cast<size_t>(i);
      Node& node = *parsed_.expression.mutable_nodes(i);
      if (node.has_compare()) Compare(*node.mutable_compare());
      if (node.has_presence()) Find(node.presence().attribute());
      if (node.has_happened()) Happened(*node.mutable_happened());
      if (node.has_tag() && !IsTag(node.tag())) Wrong(fmt::format("a tag has 1 to {} of a-z, 0-9, _ - . and :", kTagBytesMax));
      if (node.has_membership()) Membership(*node.mutable_membership());
    }
    return std::move(problems_);
  }

 private:
  void Wrong(std::string sentence) {
    problems_.push_back({where_ < parsed_.where.size() ? parsed_.where[where_] : "$", std::move(sentence)});
  }

  const SegmentCatalog::Attribute* Find(std::string_view name) {
    for (const auto& attribute : catalog_.attributes) {
      if (attribute.name == name) return &attribute;
    }
    const SegmentCatalog::Attribute* nearest = nullptr;
    size_t distance = 3;
    for (const auto& attribute : catalog_.attributes) {
      if (const size_t d = Distance(name, attribute.name); d < distance) {
        distance = d;
        nearest = &attribute;
      }
    }
    std::string sentence = fmt::format("no attribute \"{}\" is registered", name);
    sentence += nearest == nullptr ? "; register it, or take one that is (GET /v1/attributes)" : fmt::format("; \"{}\" is", nearest->name);
    Wrong(std::move(sentence));
    return nullptr;
  }

  void Compare(segments::v1::Comparison& compare) {
    const SegmentCatalog::Attribute* attribute = Find(compare.attribute());
    if (attribute == nullptr) return;
    compare.set_attribute_type(attribute->type);
    compare.set_personal(attribute->personal);
    for (const Literal& value : compare.values()) {
      if (!Value(compare, value)) return;
    }
  }

  // Whether this value can be compared with the attribute; says it if not.
  bool Value(const segments::v1::Comparison& compare, const Literal& value) {
    const auto op = compare.op();
    const auto type = compare.attribute_type();
    const bool numeric = type == tenants::v1::INTEGER || type == tenants::v1::NUMBER;
    bool fits = false;
    switch (value.value_case()) {
      case Literal::kText:
        fits = type == tenants::v1::TEXT;
        break;
      case Literal::kInteger:
      case Literal::kNumber:
        fits = numeric;
        break;
      case Literal::kBoolean:
        fits = type == tenants::v1::BOOLEAN;
        break;
      case Literal::kDay:
        fits = type == tenants::v1::TEXT;
        break;
      case Literal::VALUE_NOT_SET:
        break;
    }
    if (!fits) {
      Wrong(fmt::format("\"{}\" is {}, and {} is no value of it", compare.attribute(), TypeWord(type), LiteralWord(value)));
      return false;
    }
    if (IsPart(op) && !value.has_text()) {
      Wrong(fmt::format("{} asks for a text", OperatorSign(op)));
      return false;
    }
    if (IsPart(op) && value.text().empty()) {
      Wrong(fmt::format("{} asks for a text that is not empty", OperatorSign(op)));
      return false;
    }
    if (IsOrder(op) && (value.has_text() || value.has_boolean())) {
      Wrong(fmt::format("{} compares numbers and days; {} has =, != and in", OperatorSign(op), TypeWord(type)));
      return false;
    }
    if (op == segments::v1::IN && (value.has_boolean() || value.has_day())) {
      Wrong("in takes texts or numbers");
      return false;
    }
    return true;
  }

  void Happened(segments::v1::Happened& happened) {
    if (happened.signal() == segments::v1::DELIVERED) {
      if (happened.campaign_id() == 0) Wrong("delivered asks for a campaign: delivered(campaign: 12)");
      if (happened.last_s() != 0 || happened.has_since()) Wrong("delivered has no window: it is true of a campaign or not");
    }
    if (happened.signal() == segments::v1::EVENT && happened.campaign_id() != 0) Wrong("events of producers belong to no campaign");
    if (happened.last_s() != 0 && happened.has_since()) Wrong("last: and since: do not stand together");
    if (happened.has_since() && happened.since().relative() && happened.since().days() > 0)
      Wrong("since: a day that is to come counts nothing");
    const bool window = happened.last_s() != 0 || happened.has_since();
    if (window && happened.count() > kWindowCountMax) {
      Wrong(fmt::format("in a window it is counted up to {}; without a window up to {}", kWindowCountMax, kCountMax));
    }
    if (happened.op() == segments::v1::GREATER_OR_EQUAL && happened.count() == 0)
      Wrong("this is true of everybody: a count is never below 0");
    if (happened.op() == segments::v1::LESS && happened.count() == 0) Wrong("this is true of nobody: a count is never below 0");
    if (happened.campaign_id() != 0 && !catalog_.campaign_exists(happened.campaign_id())) {
      Wrong(fmt::format("there is no campaign {}", happened.campaign_id()));
    }
  }

  void Membership(segments::v1::Membership& membership) {
    const std::string_view what = membership.segment() ? "segment" : "list";
    if (membership.name().empty()) {
      const bool there = membership.segment() ? catalog_.segment_exists(membership.id()) : catalog_.list_exists(membership.id());
      if (!there) Wrong(fmt::format("there is no {} {}", what, membership.id()));
      return;
    }
    const auto id = membership.segment() ? catalog_.segment(membership.name()) : catalog_.list(membership.name());
    if (!id) return Wrong(fmt::format("there is no {} \"{}\"", what, membership.name()));
    membership.set_id(*id);
  }

  ParsedSegment& parsed_;
  const SegmentCatalog& catalog_;
  size_t where_ = 0;
  std::vector<SegmentProblem> problems_;
};

int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil.
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

}  // namespace

std::vector<SegmentProblem> CheckSegment(ParsedSegment& parsed, const SegmentCatalog& catalog) { return Checker(parsed, catalog).Check(); }

SegmentDependencies DependenciesOf(const segments::v1::Expression& expression) {
  SegmentDependencies all;
  std::set<SegmentDependencies::One> wakes;
  for (const Node& node : expression.nodes()) {
    switch (node.kind_case()) {
      case Node::kCompare:
        wakes.insert({segments::v1::WAKE_ATTRIBUTE, 0, node.compare().attribute()});
        all.personal = all.personal || node.compare().personal();
        for (const Literal& value : node.compare().values()) all.timed = all.timed || (value.has_day() && value.day().relative());
        break;
      case Node::kPresence:
        wakes.insert({segments::v1::WAKE_ATTRIBUTE, 0, node.presence().attribute()});
        break;
      case Node::kHappened: {
        const auto& happened = node.happened();
        const auto kind = happened.signal() == segments::v1::OPENED    ? segments::v1::WAKE_OPENED
                          : happened.signal() == segments::v1::CLICKED ? segments::v1::WAKE_CLICKED
                          : happened.signal() == segments::v1::EVENT   ? segments::v1::WAKE_EVENT
                                                                       : segments::v1::WAKE_DELIVERED;
        wakes.insert({kind, happened.campaign_id(), happened.event()});
        all.timed = all.timed || happened.last_s() != 0 || (happened.has_since() && happened.since().relative());
        break;
      }
      case Node::kMembership:
        wakes.insert({node.membership().segment() ? segments::v1::WAKE_SEGMENT : segments::v1::WAKE_LIST, node.membership().id(), ""});
        break;
      case Node::kStanding:
        wakes.insert({node.standing() == segments::v1::SUPPRESSED ? segments::v1::WAKE_SUPPRESSED : segments::v1::WAKE_SUBSCRIBED, 0, ""});
        break;
      case Node::kTag:
        wakes.insert({segments::v1::WAKE_TAG, 0, node.tag()});
        break;
      case Node::kJunction:
      case Node::KIND_NOT_SET:
        break;
    }
  }
  all.wakes.assign(wakes.begin(), wakes.end());
  return all;
}

std::optional<int32_t> ParseDay(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](size_t from, size_t count) -> int64_t {
    int64_t value = 0;
    for (size_t i = from; i < from + count; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const int64_t year = number(0, 4);
  const int64_t month = number(5, 2);
  const int64_t day = number(8, 2);
  static constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return std::nullopt;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > kDays[month - 1] + (month == 2 && leap ? 1 : 0)) return std::nullopt;
  return static_cast<int32_t>(DaysFromCivil(year, month, day));
}

std::string DayText(int32_t days) {
  // The same source: civil_from_days.
  const int64_t shifted = int64_t{days} + 719'468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const int64_t of_era = shifted - era * 146'097;
  const int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t m = (5 * of_year + 2) / 153;
  const int64_t day = of_year - (153 * m + 2) / 5 + 1;
  const int64_t month = m < 10 ? m + 3 : m - 9;
  return fmt::format("{:04}-{:02}-{:02}", year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day);
}

}  // namespace maily::audience
