// The text form: parser and canonical printing. See segment_language.h.
#include <fmt/format.h>

#include <algorithm>

#include "processors/audience/segment_builder.h"
#include "processors/audience/segment_language.h"
#include "processors/audience/segment_lexer.h"
#include "streams/base/utf8.h"

namespace maily::audience {
namespace {

using segments::v1::Literal;
using segments::v1::Node;
using segments::v1::Operator;
using Kind = SegmentToken::Kind;

constexpr std::string_view kReserved[] = {"and",   "or",       "not",         "in",        "is",    "known", "unknown", "true",
                                          "false", "contains", "starts_with", "ends_with", "today", "last",  "since",   "campaign"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

Operator OperatorOf(const SegmentToken& token) {
  if (token.kind != Kind::kSign && token.kind != Kind::kWord) return segments::v1::OPERATOR_UNSPECIFIED;
  const std::string sign = token.kind == Kind::kWord ? Lower(token.text) : token.text;
  for (int op = segments::v1::EQUAL; op <= segments::v1::ENDS_WITH; ++op) {
    if (sign == OperatorSign(static_cast<Operator>(op))) return static_cast<Operator>(op);
  }
  return segments::v1::OPERATOR_UNSPECIFIED;
}

// One problem ends it: what follows a word that does not fit has no meaning.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { Take(); }

  ParsedSegment Parse() {
    SegmentTree tree = Or(1);
    if (!failed_ && now_.kind != Kind::kEnd) Fail(now_, "expected and, or, or the end");
    if (failed_) {
      ParsedSegment parsed;
      parsed.problems.push_back(std::move(problem_));
      return parsed;
    }
    return SegmentParsed(std::move(tree));
  }

 private:
  SegmentToken Take() {
    SegmentToken taken = std::move(now_);
    now_ = lexer_.Next();
    return taken;
  }
  bool IsWord(std::string_view word) const { return now_.kind == Kind::kWord && Lower(now_.text) == word; }
  bool IsSign(std::string_view sign) const { return now_.kind == Kind::kSign && now_.text == sign; }
  bool TakeWord(std::string_view word) {
    if (failed_ || !IsWord(word)) return false;
    Take();
    return true;
  }
  bool TakeSign(std::string_view sign) {
    if (failed_ || !IsSign(sign)) return false;
    Take();
    return true;
  }
  void Need(std::string_view sign, std::string_view after) {
    if (!failed_ && !TakeSign(sign)) Fail(now_, fmt::format("expected {} {}", sign, after));
  }
  SegmentTree Fail(const SegmentToken& at, std::string sentence) {
    if (failed_) return {};
    failed_ = true;
    if (at.kind == Kind::kBad) {
      problem_ = {at.where, at.text};
    } else {
      problem_ = {at.where,
                  fmt::format("{}; {}", sentence, at.kind == Kind::kEnd ? "the text ends here" : fmt::format("here is {}", Shown(at)))};
    }
    return {};
  }
  static std::string Shown(const SegmentToken& token) {
    const size_t bytes = Utf8Prefix(std::string_view(token.text).substr(0, 40));
    return fmt::format("{}\"{}\"", token.kind == Kind::kText ? "the text " : "", std::string_view(token.text).substr(0, bytes));
  }

  SegmentTree Or(size_t depth) { return Joined(segments::v1::OR, "or", depth); }
  SegmentTree Joined(segments::v1::Junction junction, std::string_view word, size_t depth) {
    const std::string where = now_.where;
    std::vector<SegmentTree> operands;
    do {
      operands.push_back(junction == segments::v1::OR ? Joined(segments::v1::AND, "and", depth) : Unary(depth));
    } while (TakeWord(word));
    if (failed_) return {};
    return SegmentJoin(junction, std::move(operands), where);
  }
  SegmentTree Unary(size_t depth) {
    if (failed_) return {};
    const SegmentToken at = now_;
    if (depth > kSegmentDepthMax) {
      return Fail(at, fmt::format("parentheses and not stand at most {} deep within one another", kSegmentDepthMax));
    }
    if (TakeWord("not")) {
      std::vector<SegmentTree> operand;
      operand.push_back(Unary(depth + 1));
      if (failed_) return {};
      return SegmentJoin(segments::v1::NOT, std::move(operand), at.where);
    }
    if (TakeSign("(")) {
      SegmentTree inner = Or(depth + 1);
      Need(")", "after what begins with (");
      return inner;
    }
    return Test();
  }

  SegmentTree Test() {
    const SegmentToken name = Take();
    if (name.kind != Kind::kWord && name.kind != Kind::kQuoted) {
      return Fail(name, "expected a test, like plan = \"pro\" or clicked(last: 7d) >= 1");
    }
    if (name.kind == Kind::kWord && IsSign("(")) return Call(name);
    if (name.kind == Kind::kWord && std::ranges::find(kReserved, Lower(name.text)) != std::end(kReserved)) {
      return Fail(name, fmt::format("expected a test; an attribute of this name is written `{}`", name.text));
    }
    return Attribute(name);
  }

  SegmentTree Attribute(const SegmentToken& name) {
    Node node;
    if (TakeWord("is")) {
      const bool no = TakeWord("not");
      const bool known = IsWord("known");
      if (!known && !IsWord("unknown")) return Fail(now_, "expected known or unknown after is");
      Take();
      node.mutable_presence()->set_attribute(name.text);
      node.mutable_presence()->set_known(known != no);
      return SegmentLeaf(std::move(node), name.where);
    }
    auto& compare = *node.mutable_compare();
    compare.set_attribute(name.text);
    const bool no = TakeWord("not");
    if (TakeWord("in")) {
      compare.set_op(segments::v1::IN);
      Need("(", "after in");
      do {
        if (failed_) return {};
        if (static_cast<size_t>(compare.values_size()) >= kSegmentValuesMax) {
          return Fail(now_, fmt::format("in (…) takes at most {} values; make it a list, or several segments", kSegmentValuesMax));
        }
        *compare.add_values() = Value();
      } while (TakeSign(","));
      Need(")", "or , after a value of in");
    } else {
      compare.set_op(no ? segments::v1::OPERATOR_UNSPECIFIED : OperatorOf(now_));
      if (compare.op() == segments::v1::OPERATOR_UNSPECIFIED) {
        return Fail(now_,
                    no ? "expected in after not" : "expected =, !=, <, <=, >, >=, contains, starts_with, ends_with, in (…) or is known");
      }
      Take();
      *compare.add_values() = Value();
    }
    if (failed_) return {};
    SegmentTree leaf = SegmentLeaf(std::move(node), name.where);
    if (!no) return leaf;
    std::vector<SegmentTree> operand;
    operand.push_back(std::move(leaf));
    return SegmentJoin(segments::v1::NOT, std::move(operand), name.where);
  }

  Literal Value() {
    Literal literal;
    if (failed_) return literal;
    const bool minus = TakeSign("-");
    if (IsWord("today") && !minus) {
      *literal.mutable_day() = Day();
      return literal;
    }
    const SegmentToken token = Take();
    if (token.kind == Kind::kInteger) {
      literal.set_integer(minus ? -token.integer : token.integer);
    } else if (token.kind == Kind::kNumber) {
      literal.set_number(minus ? -token.number : token.number);
    } else if (minus) {
      Fail(token, "expected a number after -");
    } else if (token.kind == Kind::kText) {
      literal.set_text(token.text);
    } else if (token.kind == Kind::kDay) {
      literal.mutable_day()->set_days(static_cast<int32_t>(token.integer));
    } else if (token.kind == Kind::kWord && (Lower(token.text) == "true" || Lower(token.text) == "false")) {
      literal.set_boolean(Lower(token.text) == "true");
    } else {
      Fail(token, "expected a value: \"text\", a number, true, false, a day like 2026-11-22, or today - 7d");
    }
    return literal;
  }

  // today, today - 7d, 2026-11-22.
  segments::v1::Day Day() {
    segments::v1::Day day;
    if (failed_) return day;
    if (!TakeWord("today")) {
      const SegmentToken token = Take();
      if (token.kind != Kind::kDay) {
        Fail(token, "expected a day: today, today - 7d, or one like 2026-11-22");
        return day;
      }
      day.set_days(static_cast<int32_t>(token.integer));
      return day;
    }
    day.set_relative(true);
    const bool minus = IsSign("-");
    if (!minus && !IsSign("+")) return day;
    Take();
    const SegmentToken token = Take();
    if (token.kind != Kind::kDuration || token.integer % 86'400 != 0 || token.integer / 86'400 > kDaysMax) {
      Fail(token, fmt::format("expected whole days, at most {}, like 7d or 2w", kDaysMax));
      return day;
    }
    const auto days = static_cast<int32_t>(token.integer / 86'400);
    day.set_days(minus ? -days : days);
    return day;
  }

  SegmentTree Call(const SegmentToken& name) {
    const std::string word = Lower(name.text);
    Take();  // (
    Node node;
    if (word == "in_list" || word == "in_segment") {
      auto& membership = *node.mutable_membership();
      membership.set_segment(word == "in_segment");
      const SegmentToken which = Take();
      if (which.kind == Kind::kText && !which.text.empty()) {
        membership.set_name(which.text);
      } else if (which.kind == Kind::kInteger && which.integer > 0) {
        membership.set_id(static_cast<uint64_t>(which.integer));
      } else {
        return Fail(which, fmt::format("expected a name in quotes or an id, like {}(\"vip\")", word));
      }
      Need(")", "after the name");
      return failed_ ? SegmentTree() : SegmentLeaf(std::move(node), name.where);
    }
    if (word == "subscribed" || word == "suppressed") {
      node.set_standing(word == "subscribed" ? segments::v1::SUBSCRIBED : segments::v1::SUPPRESSED);
      Need(")", fmt::format("at once: {}() takes nothing", word));
      return failed_ ? SegmentTree() : SegmentLeaf(std::move(node), name.where);
    }
    if (word == "tag") {
      const SegmentToken which = Take();
      if (which.kind != Kind::kText || which.text.empty()) return Fail(which, "expected a tag in quotes, like tag(\"vip\")");
      node.set_tag(which.text);
      Need(")", "after the tag");
      return failed_ ? SegmentTree() : SegmentLeaf(std::move(node), name.where);
    }
    for (int kind = segments::v1::OPENED; kind <= segments::v1::DELIVERED; ++kind) {
      if (word != SignalWord(static_cast<segments::v1::SignalKind>(kind))) continue;
      node.mutable_happened()->set_signal(static_cast<segments::v1::SignalKind>(kind));
      return Happened(std::move(node), name);
    }
    return Fail(name, "there are the functions opened, clicked, event, delivered, in_list, in_segment, tag, subscribed and suppressed");
  }

  SegmentTree Happened(Node node, const SegmentToken& name) {
    auto& happened = *node.mutable_happened();
    bool first = true;
    if (happened.signal() == segments::v1::EVENT) {
      const SegmentToken event = Take();
      if (event.kind != Kind::kText || event.text.empty()) return Fail(event, "expected the event's name, like event(\"purchase\")");
      happened.set_event(event.text);
      first = false;
    }
    while (!failed_ && !IsSign(")")) {
      if (!first) Need(",", "or ) after an argument");
      first = false;
      if (!failed_) Argument(happened);
    }
    Need(")", "at the end of the arguments");
    if (failed_) return {};
    // Without a number: at least once.
    happened.set_op(segments::v1::GREATER_OR_EQUAL);
    happened.set_count(1);
    if (const Operator op = OperatorOf(now_); op != segments::v1::OPERATOR_UNSPECIFIED) {
      if (op > segments::v1::GREATER_OR_EQUAL) return Fail(now_, "a count is compared with =, !=, <, <=, > or >=");
      Take();
      const SegmentToken count = Take();
      if (count.kind != Kind::kInteger || count.integer > kCountMax) {
        return Fail(count, fmt::format("expected a whole number from 0 to {}", kCountMax));
      }
      happened.set_op(op);
      happened.set_count(count.integer);
    }
    return SegmentLeaf(std::move(node), name.where);
  }

  void Argument(segments::v1::Happened& happened) {
    const SegmentToken key = Take();
    const std::string word = key.kind == Kind::kWord ? Lower(key.text) : std::string();
    const bool twice = (word == "last" && happened.last_s() != 0) || (word == "since" && happened.has_since()) ||
                       (word == "campaign" && happened.campaign_id() != 0);
    if (word.empty() || (word != "last" && word != "since" && word != "campaign")) {
      Fail(key, "expected last: 7d, since: today - 7d or campaign: 12");
      return;
    }
    if (twice) {
      Fail(key, fmt::format("{}: stands here twice", word));
      return;
    }
    Need(":", fmt::format("after {}", word));
    if (failed_) return;
    if (word == "since") {
      *happened.mutable_since() = Day();
      return;
    }
    const SegmentToken value = Take();
    if (word == "last") {
      if (value.kind != Kind::kDuration || value.integer == 0 || value.integer > kWindowMaxS) {
        Fail(value, fmt::format("expected a duration up to {}d, like 30m, 12h, 7d or 2w", kWindowMaxS / 86'400));
        return;
      }
      happened.set_last_s(value.integer);
    } else {
      if (value.kind != Kind::kInteger || value.integer == 0) {
        Fail(value, "expected the campaign's id");
        return;
      }
      happened.set_campaign_id(static_cast<uint64_t>(value.integer));
    }
  }

  SegmentLexer lexer_;
  SegmentToken now_;
  bool failed_ = false;
  SegmentProblem problem_;
};

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string NumberText(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  // 1e+20 is read as it is written; 1e20 has no point and is read, too.
  return text;
}

std::string DayExpression(const segments::v1::Day& day) {
  if (!day.relative()) return DayText(day.days());
  if (day.days() == 0) return "today";
  return fmt::format("today {} {}d", day.days() < 0 ? '-' : '+', day.days() < 0 ? -day.days() : day.days());
}

std::string LiteralText(const Literal& literal) {
  switch (literal.value_case()) {
    case Literal::kText:
      return Quoted(literal.text());
    case Literal::kInteger:
      return fmt::format("{}", literal.integer());
    case Literal::kNumber:
      return NumberText(literal.number());
    case Literal::kBoolean:
      return literal.boolean() ? "true" : "false";
    case Literal::kDay:
      return DayExpression(literal.day());
    case Literal::VALUE_NOT_SET:
      return "";
  }
  return "";
}

std::string NameText(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const bool plain =
      !name.empty() && letter(name.front()) && std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  if (plain && std::ranges::find(kReserved, Lower(name)) == std::end(kReserved)) return name;
  return "`" + name + "`";
}

std::string DurationText(int64_t seconds) {
  if (seconds % 86'400 == 0) return fmt::format("{}d", seconds / 86'400);
  if (seconds % 3'600 == 0) return fmt::format("{}h", seconds / 3'600);
  return fmt::format("{}m", seconds / 60);
}

std::string HappenedText(const segments::v1::Happened& happened) {
  std::vector<std::string> arguments;
  if (happened.signal() == segments::v1::EVENT) arguments.push_back(Quoted(happened.event()));
  if (happened.campaign_id() != 0) arguments.push_back(fmt::format("campaign: {}", happened.campaign_id()));
  if (happened.last_s() != 0) arguments.push_back("last: " + DurationText(happened.last_s()));
  if (happened.has_since()) arguments.push_back("since: " + DayExpression(happened.since()));
  std::string text = std::string(SignalWord(happened.signal())) + "(";
  for (size_t i = 0; i < arguments.size(); ++i) text += (i == 0 ? "" : ", ") + arguments[i];
  return text + fmt::format(") {} {}", OperatorSign(happened.op()), happened.count());
}

std::string LeafText(const Node& node) {
  switch (node.kind_case()) {
    case Node::kCompare: {
      const auto& compare = node.compare();
      std::string text = NameText(compare.attribute()) + " " + std::string(OperatorSign(compare.op())) + " ";
      if (compare.op() != segments::v1::IN) return text + (compare.values().empty() ? "" : LiteralText(compare.values(0)));
      text += "(";
      for (int i = 0; i < compare.values_size(); ++i) text += (i == 0 ? "" : ", ") + LiteralText(compare.values(i));
      return text + ")";
    }
    case Node::kPresence:
      return NameText(node.presence().attribute()) + (node.presence().known() ? " is known" : " is unknown");
    case Node::kHappened:
      return HappenedText(node.happened());
    case Node::kMembership: {
      const auto& membership = node.membership();
      return fmt::format("{}({})", membership.segment() ? "in_segment" : "in_list",
                         membership.name().empty() ? fmt::format("{}", membership.id()) : Quoted(membership.name()));
    }
    case Node::kStanding:
      return node.standing() == segments::v1::SUPPRESSED ? "suppressed()" : "subscribed()";
    case Node::kTag:
      return fmt::format("tag({})", Quoted(node.tag()));
    default:
      return "";
  }
}

// `binds`: how strongly what stands around it does: 0 nothing, 1 or, 2 and, 3 not.
std::string Print(const segments::v1::Expression& expression, int at, int binds) {
  const Node& node = expression.nodes(at);
  if (node.kind_case() != Node::kJunction) return LeafText(node);
  const int own = node.junction() == segments::v1::OR ? 1 : node.junction() == segments::v1::AND ? 2 : 3;
  const int end = at + static_cast<int>(node.size());
  std::string text;
  for (int child = at + 1; child < end; child += static_cast<int>(expression.nodes(child).size())) {
    if (own == 3) {
      text = "not " + Print(expression, child, 3);
    } else {
      if (!text.empty()) text += own == 1 ? " or " : " and ";
      text += Print(expression, child, own);
    }
  }
  return own < binds ? "(" + text + ")" : text;
}

}  // namespace

ParsedSegment ParseSegmentText(std::string_view text) {
  ParsedSegment parsed;
  if (text.size() > kSegmentBytesMax) {
    parsed.problems.push_back({"1:1", fmt::format("an expression has at most {} bytes; divide it with in_segment(…)", kSegmentBytesMax)});
    return parsed;
  }
  if (!IsUtf8(text)) {
    parsed.problems.push_back({"1:1", fmt::format("byte {} is no UTF-8", Utf8Prefix(text) + 1)});
    return parsed;
  }
  return Parser(text).Parse();
}

std::string SegmentText(const segments::v1::Expression& expression) {
  return expression.nodes().empty() ? std::string() : Print(expression, 0, 0);
}

std::string_view OperatorSign(Operator op) {
  static constexpr std::string_view kSigns[] = {"", "=", "!=", "<", "<=", ">", ">=", "contains", "starts_with", "ends_with", "in"};
  return static_cast<size_t>(op) < std::size(kSigns) ? kSigns[op] : "";
}

std::string_view SignalWord(segments::v1::SignalKind kind) {
  static constexpr std::string_view kWords[] = {"", "opened", "clicked", "event", "delivered"};
  return static_cast<size_t>(kind) < std::size(kWords) ? kWords[kind] : "";
}

}  // namespace maily::audience
