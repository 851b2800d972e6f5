// The JSON form: reading and writing. See segment_language.h.
//
//   {"and": […]} {"or": […]} {"not": …}
//   {"attribute": "plan", "op": "=", "value": "pro"}    of in: "values": […]; of days: {"day": "2026-11-22"} or {"today": -7}
//   {"attribute": "plan", "op": "known"}                or "unknown"
//   {"happened": "event", "event": "purchase", "campaign": 12, "last": "7d", "since": {"today": -7}, "op": ">=", "count": 1}
//   {"in_list": "vip"} {"in_segment": 3} {"tag": "vip"} {"is": "subscribed"} {"is": "suppressed"}
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "processors/audience/segment_builder.h"
#include "processors/audience/segment_language.h"
#include "processors/audience/segment_lexer.h"
#include "schemas/json.h"

namespace maily::audience {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using segments::v1::Literal;
using segments::v1::Node;
using segments::v1::Operator;

class Reader {
 public:
  SegmentTree Read(const json& value, const std::string& where, size_t depth) {
    if (Full()) return {};
    if (depth > kSegmentDepthMax + 1)
      return Fail(where, fmt::format("and, or and not stand at most {} deep within one another", kSegmentDepthMax));
    if (!value.is_object() || value.empty())
      return Fail(where, "expected a test or a joint, like {\"attribute\": \"plan\", \"op\": \"=\", \"value\": \"pro\"}");
    for (const auto& [word, junction] : {std::pair{"and", segments::v1::AND}, {"or", segments::v1::OR}, {"not", segments::v1::NOT}}) {
      if (value.contains(word)) return Joint(value, word, junction, where, depth);
    }
    if (value.contains("happened")) return Happened(value, where);
    if (value.contains("in_list")) return Membership(value, "in_list", where);
    if (value.contains("in_segment")) return Membership(value, "in_segment", where);
    if (value.contains("tag")) return Tag(value, where);
    if (value.contains("is")) return Standing(value, where);
    if (value.contains("attribute")) return Attribute(value, where);
    return Fail(where, "expected one of the members and, or, not, attribute, happened, in_list, in_segment, tag, is");
  }
  std::vector<SegmentProblem> problems;

 private:
  bool Full() const { return problems.size() >= kSegmentProblemsMax; }
  SegmentTree Fail(const std::string& where, std::string sentence) {
    if (!Full()) problems.push_back({where, std::move(sentence)});
    return {};
  }
  void Only(const json& object, const std::string& where, std::initializer_list<std::string_view> members) {
    for (const auto& [name, unused] : object.items()) {
      if (std::ranges::find(members, name) == members.end()) Fail(where, fmt::format("there is no member \"{}\" here", name.substr(0, 40)));
    }
  }
  // The text of a member that is there.
  std::string Text(const json& object, const char* name, const std::string& where) {
    if (!object.contains(name) || !object[name].is_string() || object[name].get_ref<const std::string&>().empty()) {
      Fail(where + "." + name, "expected a text that is not empty");
      return "";
    }
    return Bounded(object[name].get<std::string>(), where + "." + name);
  }
  std::string Bounded(std::string text, const std::string& where) {
    if (text.size() > kSegmentTextBytesMax) Fail(where, fmt::format("a text has at most {} bytes", kSegmentTextBytesMax));
    const auto control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F; };
    if (std::ranges::any_of(text, control)) Fail(where, "a text has no control characters but line breaks and tabs");
    return text;
  }

  SegmentTree Joint(const json& value, const char* word, segments::v1::Junction junction, const std::string& where, size_t depth) {
    Only(value, where, {word});
    const json& below = value[word];
    const std::string at = where + "." + word;
    std::vector<SegmentTree> operands;
    if (junction == segments::v1::NOT) {
      operands.push_back(Read(below, at, depth + 1));
    } else {
      if (!below.is_array() || below.empty()) return Fail(at, "expected a list of one test or more");
      if (below.size() > kSegmentNodesMax) return Fail(at, fmt::format("an expression has at most {} tests and joints", kSegmentNodesMax));
      for (size_t i = 0; i < below.size(); ++i) operands.push_back(Read(below[i], fmt::format("{}[{}]", at, i), depth + 1));
    }
    if (!problems.empty()) return {};
    return SegmentJoin(junction, std::move(operands), where);
  }

  Operator OperatorIn(const json& value, const std::string& where, Operator last) {
    const std::string sign = Text(value, "op", where);
    for (int op = segments::v1::EQUAL; op <= last; ++op) {
      if (sign == OperatorSign(static_cast<Operator>(op))) return static_cast<Operator>(op);
    }
    if (!sign.empty()) {
      Fail(where + ".op", last == segments::v1::IN ? "expected =, !=, <, <=, >, >=, contains, starts_with, ends_with, in, known or unknown"
                                                   : "expected =, !=, <, <=, > or >=");
    }
    return segments::v1::OPERATOR_UNSPECIFIED;
  }

  SegmentTree Attribute(const json& value, const std::string& where) {
    Node node;
    const std::string name = Text(value, "attribute", where);
    // It must be a name that the text form can write.
    if (name.find_first_of("` \n\t") != std::string::npos) Fail(where + ".attribute", "there is no attribute of such a name");
    if (value.contains("op") && (value["op"] == "known" || value["op"] == "unknown")) {
      Only(value, where, {"attribute", "op"});
      node.mutable_presence()->set_attribute(name);
      node.mutable_presence()->set_known(value["op"] == "known");
      return SegmentLeaf(std::move(node), where);
    }
    auto& compare = *node.mutable_compare();
    compare.set_attribute(name);
    compare.set_op(OperatorIn(value, where, segments::v1::IN));
    if (compare.op() == segments::v1::IN) {
      Only(value, where, {"attribute", "op", "values"});
      if (!value.contains("values") || !value["values"].is_array() || value["values"].empty()) {
        return Fail(where + ".values", "expected a list of one value or more");
      }
      const json& values = value["values"];
      if (values.size() > kSegmentValuesMax) return Fail(where + ".values", fmt::format("in takes at most {} values", kSegmentValuesMax));
      for (size_t i = 0; i < values.size(); ++i) *compare.add_values() = Value(values[i], fmt::format("{}.values[{}]", where, i));
    } else {
      Only(value, where, {"attribute", "op", "value"});
      if (!value.contains("value")) return Fail(where, "the member \"value\" is missing");
      *compare.add_values() = Value(value["value"], where + ".value");
    }
    return SegmentLeaf(std::move(node), where);
  }

  Literal Value(const json& value, const std::string& where) {
    Literal literal;
    if (value.is_string()) {
      literal.set_text(Bounded(value.get<std::string>(), where));
    } else if (value.is_boolean()) {
      literal.set_boolean(value.get<bool>());
    } else if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
      Fail(where, "a whole number is at most 9223372036854775807");
    } else if (value.is_number_integer()) {
      literal.set_integer(value.get<int64_t>());
      if (literal.integer() == INT64_MIN) Fail(where, "a whole number is at least -9223372036854775807");
    } else if (value.is_number_float()) {
      literal.set_number(value.get<double>());
      if (!std::isfinite(literal.number())) Fail(where, "this is no number that can be compared with");
    } else if (value.is_object()) {
      *literal.mutable_day() = Day(value, where);
    } else {
      Fail(where, "expected a text, a number, true, false, {\"day\": \"2026-11-22\"} or {\"today\": -7}");
    }
    return literal;
  }

  segments::v1::Day Day(const json& value, const std::string& where) {
    segments::v1::Day day;
    const bool one = value.is_object() && value.size() == 1;
    if (one && value.contains("day") && value["day"].is_string()) {
      if (const auto days = ParseDay(value["day"].get_ref<const std::string&>())) {
        day.set_days(*days);
        return day;
      }
    } else if (one && value.contains("today") && value["today"].is_number_integer()) {
      const auto days = value["today"].get<int64_t>();
      if (days >= -kDaysMax && days <= kDaysMax) {
        day.set_relative(true);
        day.set_days(static_cast<int32_t>(days));
        return day;
      }
    }
    Fail(where, fmt::format("expected {{\"day\": \"2026-11-22\"}}, or {{\"today\": n}} with n from -{} to {}", kDaysMax, kDaysMax));
    return day;
  }

  SegmentTree Happened(const json& value, const std::string& where) {
    Node node;
    auto& happened = *node.mutable_happened();
    const std::string word = Text(value, "happened", where);
    for (int kind = segments::v1::OPENED; kind <= segments::v1::DELIVERED; ++kind) {
      if (word == SignalWord(static_cast<segments::v1::SignalKind>(kind))) happened.set_signal(static_cast<segments::v1::SignalKind>(kind));
    }
    if (happened.signal() == segments::v1::SIGNAL_KIND_UNSPECIFIED)
      return Fail(where + ".happened", "expected opened, clicked, event or delivered");
    Only(value, where, {"happened", "event", "campaign", "last", "since", "op", "count"});
    if (happened.signal() == segments::v1::EVENT) {
      happened.set_event(Text(value, "event", where));
    } else if (value.contains("event")) {
      Fail(where + ".event", "only of {\"happened\": \"event\"}");
    }
    if (value.contains("campaign")) {
      const json& id = value["campaign"];
      if (!id.is_number_integer() || id.get<int64_t>() <= 0) return Fail(where + ".campaign", "expected the campaign's id");
      happened.set_campaign_id(id.get<uint64_t>());
    }
    if (value.contains("last")) {
      // As in the text form.
      SegmentLexer lexer(value["last"].is_string() ? std::string_view(value["last"].get_ref<const std::string&>()) : std::string_view());
      const SegmentToken duration = lexer.Next();
      if (duration.kind != SegmentToken::Kind::kDuration || lexer.Next().kind != SegmentToken::Kind::kEnd || duration.integer == 0 ||
          duration.integer > kWindowMaxS) {
        return Fail(where + ".last", fmt::format("expected a duration up to {}d, like \"7d\"", kWindowMaxS / 86'400));
      }
      happened.set_last_s(duration.integer);
    }
    if (value.contains("since")) *happened.mutable_since() = Day(value["since"], where + ".since");
    happened.set_op(segments::v1::GREATER_OR_EQUAL);
    happened.set_count(1);
    if (value.contains("op") != value.contains("count")) return Fail(where, "op and count stand together or not at all");
    if (value.contains("op")) {
      happened.set_op(OperatorIn(value, where, segments::v1::GREATER_OR_EQUAL));
      const json& count = value["count"];
      if (!count.is_number_integer() || count.get<int64_t>() < 0 || count.get<int64_t>() > kCountMax) {
        return Fail(where + ".count", fmt::format("expected a whole number from 0 to {}", kCountMax));
      }
      happened.set_count(count.get<int64_t>());
    }
    return SegmentLeaf(std::move(node), where);
  }

  SegmentTree Membership(const json& value, const char* word, const std::string& where) {
    Only(value, where, {word});
    Node node;
    auto& membership = *node.mutable_membership();
    membership.set_segment(std::string_view(word) == "in_segment");
    const json& which = value[word];
    if (which.is_string()) {
      membership.set_name(Text(value, word, where));
    } else if (which.is_number_integer() && which.get<int64_t>() > 0) {
      membership.set_id(which.get<uint64_t>());
    } else {
      return Fail(where + "." + word, "expected a name or an id");
    }
    return SegmentLeaf(std::move(node), where);
  }

  SegmentTree Tag(const json& value, const std::string& where) {
    Only(value, where, {"tag"});
    Node node;
    node.set_tag(Text(value, "tag", where));
    return SegmentLeaf(std::move(node), where);
  }

  SegmentTree Standing(const json& value, const std::string& where) {
    Only(value, where, {"is"});
    const std::string word = Text(value, "is", where);
    if (word != "subscribed" && word != "suppressed") return Fail(where + ".is", "expected subscribed or suppressed");
    Node node;
    node.set_standing(word == "subscribed" ? segments::v1::SUBSCRIBED : segments::v1::SUPPRESSED);
    return SegmentLeaf(std::move(node), where);
  }
};

ordered_json DayJson(const segments::v1::Day& day) {
  if (day.relative()) return {{"today", day.days()}};
  return {{"day", DayText(day.days())}};
}

ordered_json LiteralJson(const Literal& literal) {
  switch (literal.value_case()) {
    case Literal::kText:
      return literal.text();
    case Literal::kInteger:
      return literal.integer();
    case Literal::kNumber:
      return literal.number();
    case Literal::kBoolean:
      return literal.boolean();
    case Literal::kDay:
      return DayJson(literal.day());
    case Literal::VALUE_NOT_SET:
      return nullptr;
  }
  return nullptr;
}

std::string Duration(int64_t seconds) {
  if (seconds % 86'400 == 0) return fmt::format("{}d", seconds / 86'400);
  return seconds % 3'600 == 0 ? fmt::format("{}h", seconds / 3'600) : fmt::format("{}m", seconds / 60);
}

ordered_json LeafJson(const Node& node) {
  ordered_json out;
  switch (node.kind_case()) {
    case Node::kCompare: {
      const auto& compare = node.compare();
      out["attribute"] = compare.attribute();
      out["op"] = std::string(OperatorSign(compare.op()));
      if (compare.op() == segments::v1::IN) {
        out["values"] = ordered_json::array();
        for (const Literal& value : compare.values()) out["values"].push_back(LiteralJson(value));
      } else {
        out["value"] = compare.values().empty() ? ordered_json() : LiteralJson(compare.values(0));
      }
      return out;
    }
    case Node::kPresence:
      out["attribute"] = node.presence().attribute();
      out["op"] = node.presence().known() ? "known" : "unknown";
      return out;
    case Node::kHappened: {
      const auto& happened = node.happened();
      out["happened"] = std::string(SignalWord(happened.signal()));
      if (happened.signal() == segments::v1::EVENT) out["event"] = happened.event();
      if (happened.campaign_id() != 0) out["campaign"] = happened.campaign_id();
      if (happened.last_s() != 0) out["last"] = Duration(happened.last_s());
      if (happened.has_since()) out["since"] = DayJson(happened.since());
      out["op"] = std::string(OperatorSign(happened.op()));
      out["count"] = happened.count();
      return out;
    }
    case Node::kMembership: {
      const auto& membership = node.membership();
      const char* word = membership.segment() ? "in_segment" : "in_list";
      if (membership.name().empty()) {
        out[word] = membership.id();
      } else {
        out[word] = membership.name();
      }
      return out;
    }
    case Node::kStanding:
      out["is"] = node.standing() == segments::v1::SUPPRESSED ? "suppressed" : "subscribed";
      return out;
    case Node::kTag:
      out["tag"] = node.tag();
      return out;
    default:
      return out;
  }
}

ordered_json ToJson(const segments::v1::Expression& expression, int at) {
  const Node& node = expression.nodes(at);
  if (node.kind_case() != Node::kJunction) return LeafJson(node);
  if (node.junction() == segments::v1::NOT) return {{"not", ToJson(expression, at + 1)}};
  ordered_json operands = ordered_json::array();
  const int end = at + static_cast<int>(node.size());
  for (int child = at + 1; child < end; child += static_cast<int>(expression.nodes(child).size())) {
    operands.push_back(ToJson(expression, child));
  }
  return {{node.junction() == segments::v1::AND ? "and" : "or", std::move(operands)}};
}

}  // namespace

ParsedSegment ParseSegmentJson(std::string_view text) {
  ParsedSegment parsed;
  if (text.size() > kSegmentBytesMax) {
    parsed.problems.push_back({"$", fmt::format("an expression has at most {} bytes; divide it with in_segment", kSegmentBytesMax)});
    return parsed;
  }
  schema::JsonProblem problem;
  const auto value = schema::ParseJson(text, &problem);
  if (!value) {
    parsed.problems.push_back({problem.path.empty() ? "$" : problem.path, problem.message});
    return parsed;
  }
  Reader reader;
  SegmentTree tree = reader.Read(*value, "$", 1);
  if (!reader.problems.empty()) {
    parsed.problems = std::move(reader.problems);
    return parsed;
  }
  return SegmentParsed(std::move(tree));
}

std::string SegmentJson(const segments::v1::Expression& expression) {
  return expression.nodes().empty() ? std::string() : ToJson(expression, 0).dump();
}

}  // namespace maily::audience
