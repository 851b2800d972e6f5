// See segment_evaluate.h.
#include "processors/audience/segment_evaluate.h"

#include <algorithm>
#include <charconv>

#include "processors/audience/segment_language.h"
#include "processors/audience/segment_zone.h"

namespace maily::audience {
namespace {

using segments::v1::Literal;
using segments::v1::Node;
using segments::v1::Operator;

Truth Of(bool value) { return value ? Truth::kTrue : Truth::kFalse; }

// -1, 0, 1.
template <class T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

bool Holds(Operator op, int order) {
  switch (op) {
    case segments::v1::EQUAL:
    case segments::v1::IN:
      return order == 0;
    case segments::v1::NOT_EQUAL:
      return order != 0;
    case segments::v1::LESS:
      return order < 0;
    case segments::v1::LESS_OR_EQUAL:
      return order <= 0;
    case segments::v1::GREATER:
      return order > 0;
    case segments::v1::GREATER_OR_EQUAL:
      return order >= 0;
    default:
      return false;
  }
}

// An integer and a double, exactly: a double of 2^53 or more is not what a cast makes of a large integer.
int OrderOf(int64_t a, double b) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (b >= kLimit) return -1;
  if (b < -kLimit) return 1;
  const auto whole = static_cast<int64_t>(b);  // towards zero
  if (a != whole) return a < whole ? -1 : 1;
  const double rest = b - static_cast<double>(whole);
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

std::optional<int> NumberOrder(const SegmentValue& value, const Literal& literal) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return literal.has_integer() ? Order(*integer, int64_t{literal.integer()}) : OrderOf(*integer, literal.number());
  }
  if (const auto* number = std::get_if<double>(&value)) {
    if (*number != *number) return std::nullopt;  // not a number: compares with nothing
    return literal.has_integer() ? -OrderOf(literal.integer(), *number) : Order(*number, literal.number());
  }
  return std::nullopt;
}

Truth TextTest(Operator op, const std::string& text, const std::string& with) {
  switch (op) {
    case segments::v1::CONTAINS:
      return Of(text.find(with) != std::string::npos);
    case segments::v1::STARTS_WITH:
      return Of(text.starts_with(with));
    case segments::v1::ENDS_WITH:
      return Of(text.ends_with(with));
    default:
      return Of(Holds(op, text.compare(with)));
  }
}

class Evaluation {
 public:
  Evaluation(const segments::v1::Expression& expression, const segments::v1::Zone& zone, int64_t now_s, SegmentFacts& facts)
      : expression_(expression), zone_(zone), now_s_(now_s), facts_(facts) {}

  SegmentAnswer At(int at) {
    const Node& node = expression_.nodes(at);
    switch (node.kind_case()) {
      case Node::kJunction:
        return Joined(node, at);
      case Node::kCompare:
        return Compare(node.compare());
      case Node::kPresence:
        return {Of(facts_.HasAttribute(node.presence().attribute()) == node.presence().known())};
      case Node::kHappened:
        return Happened(node.happened());
      case Node::kMembership:
        return {Of(node.membership().segment() ? facts_.InSegment(node.membership().id()) : facts_.OnList(node.membership().id()))};
      case Node::kStanding:
        return {Of(node.standing() == segments::v1::SUPPRESSED ? facts_.Suppressed() : facts_.Subscribed())};
      case Node::kTag:
        return {Of(facts_.HasTag(node.tag()))};
      case Node::KIND_NOT_SET:
        break;
    }
    return {Truth::kUnknown};
  }

 private:
  SegmentAnswer Joined(const Node& node, int at) {
    if (node.junction() == segments::v1::NOT) {
      SegmentAnswer answer = At(at + 1);
      answer.truth = static_cast<Truth>(2 - static_cast<int>(answer.truth));
      return answer;
    }
    // One operand that decides is enough, and only when it changes can the whole.
    const bool conjunction = node.junction() == segments::v1::AND;
    const Truth decides = conjunction ? Truth::kFalse : Truth::kTrue;
    SegmentAnswer all{conjunction ? Truth::kTrue : Truth::kFalse};
    const int end = at + static_cast<int>(node.size());
    for (int child = at + 1; child < end; child += static_cast<int>(expression_.nodes(child).size())) {
      const SegmentAnswer one = At(child);
      if (one.truth == decides) return one;
      if (one.truth == Truth::kUnknown) all.truth = Truth::kUnknown;
      all.next_s = std::min(all.next_s, one.next_s);
    }
    return all;
  }

  int32_t Today() {
    if (!today_) today_ = DayOf(zone_, now_s_);
    return *today_;
  }
  int32_t Resolve(const segments::v1::Day& day) { return day.relative() ? Today() + day.days() : day.days(); }

  SegmentAnswer Compare(const segments::v1::Comparison& compare) {
    const SegmentValue value = facts_.Attribute(compare.attribute(), compare.attribute_type(), compare.personal());
    if (std::holds_alternative<std::monostate>(value)) return {Truth::kUnknown};
    SegmentAnswer answer{Truth::kFalse};
    for (const Literal& literal : compare.values()) {
      const SegmentAnswer one = Single(compare.op(), value, literal);
      if (compare.op() != segments::v1::IN || one.truth != Truth::kFalse) return one;
    }
    return answer;
  }

  SegmentAnswer Single(Operator op, const SegmentValue& value, const Literal& literal) {
    const auto* text = std::get_if<std::string>(&value);
    switch (literal.value_case()) {
      case Literal::kText:
        return {text == nullptr ? Truth::kUnknown : TextTest(op, *text, literal.text())};
      case Literal::kBoolean: {
        const auto* boolean = std::get_if<bool>(&value);
        return {boolean == nullptr ? Truth::kUnknown : Of(Holds(op, Order(*boolean, literal.boolean())))};
      }
      case Literal::kInteger:
      case Literal::kNumber: {
        const auto order = NumberOrder(value, literal);
        return {order ? Of(Holds(op, *order)) : Truth::kUnknown};
      }
      case Literal::kDay: {
        const auto day = text == nullptr ? std::nullopt : ParseDay(*text);
        if (!day) return {Truth::kUnknown};
        const int32_t with = Resolve(literal.day());
        int64_t next = kNever;
        // The order changes when today comes to that day, and when it has passed.
        if (literal.day().relative() && *day >= with) next = StartOfDay(zone_, *day - literal.day().days() + (*day == with ? 1 : 0));
        return {Of(Holds(op, Order(*day, with))), next};
      }
      case Literal::VALUE_NOT_SET:
        break;
    }
    return {Truth::kUnknown};
  }

  static bool Counts(const segments::v1::Happened& happened, int64_t count) {
    return Holds(happened.op(), Order(count, int64_t{happened.count()}));
  }
  // When what happened at at_s leaves the window.
  int64_t Leaves(const segments::v1::Happened& happened, int64_t at_s) {
    if (happened.last_s() != 0) return at_s + happened.last_s();
    if (!happened.since().relative()) return kNever;
    return StartOfDay(zone_, DayOf(zone_, at_s) + 1 - happened.since().days());
  }
  SegmentAnswer Happened(const segments::v1::Happened& happened) {
    if (happened.signal() == segments::v1::DELIVERED) {
      return {Of(Counts(happened, facts_.Delivered(happened.campaign_id()) ? 1 : 0))};
    }
    const segments::v1::Signal* signal = facts_.Signal(happened.signal(), happened.campaign_id(), happened.event());
    const bool window = happened.last_s() != 0 || happened.has_since();
    if (!window) return {Of(Counts(happened, signal == nullptr ? 0 : static_cast<int64_t>(signal->total())))};
    const int size = signal == nullptr ? 0 : signal->times_s_size();
    const int64_t first =
        happened.last_s() != 0 ? now_s_ - happened.last_s() + 1 : StartOfDay(zone_, Resolve(happened.since()));  // that still counts
    int from = size;
    while (from > 0 && signal->times_s(from - 1) >= first) --from;
    const bool now = Counts(happened, size - from);
    // One after the other leaves, the oldest first.
    for (int i = from; i < size; ++i) {
      if (Counts(happened, size - i - 1) != now) return {Of(now), Leaves(happened, signal->times_s(i))};
    }
    return {Of(now)};
  }

  const segments::v1::Expression& expression_;
  const segments::v1::Zone& zone_;
  const int64_t now_s_;
  SegmentFacts& facts_;
  std::optional<int32_t> today_;
};

}  // namespace

SegmentAnswer EvaluateSegment(const segments::v1::Expression& expression, const segments::v1::Zone& zone, int64_t now_s,
                              SegmentFacts& facts) {
  return Evaluation(expression, zone, now_s, facts).At(0);
}

void AddToSignal(segments::v1::Signal& signal, int64_t at_s) {
  signal.set_total(signal.total() + 1);
  auto& times = *signal.mutable_times_s();
  const int place = static_cast<int>(std::upper_bound(times.begin(), times.end(), at_s) - times.begin());
  if (times.size() >= kSignalTimesMax) {
    if (place == 0) return;  // older than all that are kept
    std::copy(times.begin() + 1, times.begin() + place, times.begin());
    times[place - 1] = at_s;
    return;
  }
  times.Add(at_s);
  std::rotate(times.begin() + place, times.end() - 1, times.end());
}

SegmentValue TypedValue(std::string_view text, tenants::v1::AttributeType type) {
  if (type == tenants::v1::TEXT) return std::string(text);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto read = [&](auto number) -> SegmentValue {
    const std::string_view digits = text.substr(text.starts_with('+') ? 1 : 0);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) return {};
    return number;
  };
  if (type == tenants::v1::INTEGER) return read(int64_t{});
  if (type == tenants::v1::NUMBER) return read(double{});
  if (type != tenants::v1::BOOLEAN) return {};
  const auto is = [&](std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
  };
  if (is("true") || is("yes") || is("1")) return true;
  if (is("false") || is("no") || is("0")) return false;
  return {};
}

}  // namespace maily::audience
