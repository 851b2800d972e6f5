// Rendering: walks the program's nodes. See template.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "processors/personalization/liquid/filters.h"
#include "processors/personalization/liquid/parser.h"
#include "processors/personalization/liquid/program.h"
#include "processors/personalization/liquid/scan.h"
#include "processors/personalization/liquid/template.h"
#include "processors/personalization/liquid/text.h"
#include "processors/personalization/liquid/work.h"
#include "streams/base/html.h"

namespace maily::liquid {
namespace {

enum class Flow : uint8_t { kNext, kBreak, kContinue, kFailed };

constexpr std::string_view kAddressAttributes[] = {"href", "src", "action", "formaction", "background"};

// Whether what is written next begins the value of an attribute that is an address: out ends with href=, href=" or href='.
bool BeginsAddress(std::string_view out) {
  const auto skip = [&] {
    while (!out.empty() && IsSpace(out.back())) out.remove_suffix(1);
  };
  skip();
  if (out.empty()) return false;
  if (out.back() == '"' || out.back() == '\'') {
    out.remove_suffix(1);
    skip();
  }
  if (out.empty() || out.back() != '=') return false;
  out.remove_suffix(1);
  skip();
  for (const std::string_view name : kAddressAttributes) {
    if (out.size() <= name.size()) continue;
    const std::string_view tail = out.substr(out.size() - name.size());
    const bool same = std::equal(tail.begin(), tail.end(), name.begin(), [](char a, char b) { return (IsLetter(a) ? a | 0x20 : a) == b; });
    if (same && !IsNamePart(out[out.size() - name.size() - 1])) return true;
  }
  return false;
}

void PutWithoutNul(std::string_view text, std::string& out) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    out.append(text, at, end - at);
    at = end + 1;
  }
}

void PutHeader(std::string_view text, std::string& out) {
  size_t run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (static_cast<uint8_t>(text[i]) >= 32 && text[i] != 127) continue;
    out.append(text, run, i - run);
    if (!out.empty() && out.back() != ' ') out.push_back(' ');
    run = i + 1;
  }
  out.append(text, run, text.size() - run);
}

// A name as a scope has it. What a loop or include sets hides what was assigned, which hides a counter, which hides the data.
struct Slot {
  Value scoped;
  Value assigned;
  Int counter = 0;
  bool is_scoped = false;
  bool is_assigned = false;
  bool is_counted = false;
};

// Where names live: one of the template, and one of each {% render %} that is under way.
struct Frame {
  struct CycleState {
    bool by_group = false;
    Value key;
    size_t next = 0;
  };
  std::vector<Slot> slots;
  std::vector<Int> offsets;  // by loop name: where `offset: continue` goes on
  std::vector<CycleState> cycles;
  bool has_changed = false;
  std::string changed;
  const Loop* loop = nullptr;
  bool isolated = false;

  void Reset(const Program& program, bool is_isolated) {
    slots.assign(program.symbols.size(), Slot());
    offsets.assign(program.loop_names.size(), 0);
    cycles.clear();
    has_changed = false;
    loop = nullptr;
    isolated = is_isolated;
  }
};

// What a loop goes over: items `begin` to `end` of a thing.
struct Items {
  Value of;
  Int begin = 0;
  Int end = 0;
  Int size() const { return end - begin; }
};

}  // namespace

class Renderer::Run {
 public:
  std::optional<Problem> Go(const Program& program, const Input& input, std::string& out) {
    program_ = &program;
    input_ = &input;
    out_ = &out;
    form_ = input.form;
    begin_ = out.size();
    depth_ = 0;
    frames_used_ = 0;
    at_ = program.units.front().source.data();
    work_.Begin(input.limits, input.now_us, form_ == Form::kHtml);
    frame_ = NewFrame(false);
    RenderBody(program.units.front().body);
    if (!work_.failed()) return std::nullopt;
    Problem problem{{}, 1, 1, work_.message()};
    for (const Unit& unit : program.units) {
      if (at_ < unit.source.data() || at_ > unit.source.data() + unit.source.size()) continue;
      problem.partial = unit.name;
      PlaceCounter(unit.source).To(at_, problem.line, problem.column);
    }
    return problem;
  }

 private:
  Frame* NewFrame(bool isolated) {
    if (frames_used_ == frames_.size()) frames_.push_back(std::make_unique<Frame>());
    Frame* const frame = frames_[frames_used_++].get();
    frame->Reset(*program_, isolated);
    return frame;
  }

  // ---- values ----

  Value NameOf(Index symbol) const {
    const Slot& slot = frame_->slots[symbol];
    if (slot.is_scoped) return slot.scoped;
    if (slot.is_assigned) return slot.assigned;
    if (slot.is_counted) return Value::Integer(slot.counter);
    return symbol < input_->values.size() ? input_->values[symbol] : Value();
  }

  Value NameOf(std::string_view name) const {
    if (const auto found = program_->symbol_of.find(name); found != program_->symbol_of.end()) {
      const Value value = NameOf(found->second);
      if (!value.is_nil()) return value;
    }
    const Value* const other = Find(input_->others, name);
    return other == nullptr ? Value() : *other;
  }

  Value Evaluate(Index index) {
    const Expression& expression = program_->expressions[index];
    switch (expression.kind) {
      case Expression::Kind::kLiteral:
        return expression.literal;
      case Expression::Kind::kLookup:
        return Follow(NameOf(expression.root), expression.segments);
      case Expression::Kind::kLookupByExpression: {
        const Value name = Evaluate(expression.root);
        return name.is_string() ? Follow(NameOf(name.string()), expression.segments) : Value();
      }
      case Expression::Kind::kRange: {
        const auto first = Bound(Evaluate(expression.root));
        const auto last = Bound(Evaluate(expression.end));
        if (!first || !last) return {};
        return Value::OfRange(work_.arena().Make(Range{*first, *last}));
      }
    }
    return {};
  }

  // An end of a range: a text counts as the number in front of it, nil as 0.
  std::optional<Int> Bound(const Value& value) {
    if (value.is_nil()) return 0;
    if (value.is_string()) return LeadingInt(value.string());
    if (value.kind() == Value::Kind::kDouble && std::isfinite(value.real()) && std::fabs(value.real()) < 1e30)
      return static_cast<Int>(value.real());
    return IntegerOf(work_, value);
  }

  Value Follow(Value value, Span segments) {
    for (Index i = 0; i < segments.count && !value.is_nil(); ++i) {
      const Segment& segment = program_->segments[segments.first + i];
      value = segment.expression == kNone ? Step(value, segment) : StepBy(value, Evaluate(segment.expression));
    }
    return value;
  }

  Value Step(const Value& value, const Segment& segment) {
    switch (value.kind()) {
      case Value::Kind::kHash:
        if (const Value* const found = Find(value.hash(), segment.name)) return *found;
        break;
      case Value::Kind::kLoop:
        return OfLoop(value.loop(), segment.name);
      case Value::Kind::kTableLoop:
        return OfTableLoop(value.loop(), segment.name);
      default:
        break;
    }
    if (!segment.is_command || (segment.name == "last" && value.is_hash())) return {};
    const FilterSpec* const command = FindFilter(segment.name);
    const bool has_size = value.is_string() || value.is_array() || value.is_hash() || value.is_range() || value.is_int();
    return command == nullptr || !has_size ? Value() : command->apply({work_, value, {}, {}});
  }

  static Value StepBy(const Value& value, const Value& key) {
    if (value.is_array() && key.is_int()) {
      const auto size = static_cast<Int>(value.array().size());
      const Int at = key.integer() < 0 ? key.integer() + size : key.integer();
      return at >= 0 && at < size ? value.array()[static_cast<size_t>(at)] : Value();
    }
    if (!key.is_string()) return {};
    if (value.kind() == Value::Kind::kLoop) return OfLoop(value.loop(), key.string());
    if (value.kind() == Value::Kind::kTableLoop) return OfTableLoop(value.loop(), key.string());
    if (!value.is_hash()) return {};
    const Value* const found = Find(value.hash(), key.string());
    return found == nullptr ? Value() : *found;
  }

  static Value OfLoop(const Loop& loop, std::string_view name) {
    if (name == "index") return Value::Integer(loop.index0 + 1);
    if (name == "index0") return Value::Integer(loop.index0);
    if (name == "rindex") return Value::Integer(loop.length - loop.index0);
    if (name == "rindex0") return Value::Integer(loop.length - loop.index0 - 1);
    if (name == "first") return Value::Bool(loop.index0 == 0);
    if (name == "last") return Value::Bool(loop.index0 == loop.length - 1);
    if (name == "length") return Value::Integer(loop.length);
    if (name == "name") return Value::String(loop.name);
    if (name == "parentloop" && loop.parent != nullptr) return Value::OfLoop(loop.parent, false);
    return {};
  }

  static Value OfTableLoop(const Loop& loop, std::string_view name) {
    if (name == "col") return Value::Integer(loop.col);
    if (name == "col0") return Value::Integer(loop.col - 1);
    if (name == "row") return Value::Integer(loop.row);
    if (name == "col_first") return Value::Bool(loop.col == 1);
    if (name == "col_last") return Value::Bool(loop.col == loop.cols);
    if (name == "name" || name == "parentloop") return {};
    return OfLoop(loop, name);
  }

  Value OutputValue(Index index) {
    const Output& output = program_->outputs[index];
    if (output.expression == kNone) return {};
    Value value = Evaluate(output.expression);
    for (Index i = 0; i < output.filters.count && !work_.failed(); ++i) value = Apply(program_->filters[output.filters.first + i], value);
    return value;
  }

  Value Apply(const Filter& filter, const Value& input) {
    std::array<Value, 4> arguments;
    std::array<Member, 4> keywords;
    for (Index i = 0; i < filter.arguments.count; ++i) arguments[i] = Evaluate(program_->arguments[filter.arguments.first + i]);
    const Index keyword_count = std::min<Index>(filter.keywords.count, keywords.size());
    for (Index i = 0; i < keyword_count; ++i) {
      const Keyword& keyword = program_->keywords[filter.keywords.first + i];
      keywords[i] = {keyword.key, Evaluate(keyword.expression)};
    }
    if (work_.failed() || !work_.Charge(2)) return {};
    at_ = filter.at;
    return filter.spec->apply({work_, input, std::span(arguments).first(filter.arguments.count), std::span(keywords).first(keyword_count)});
  }

  // ---- conditions ----

  bool Holds(Index index) {
    while (true) {
      const Condition& condition = program_->conditions[index];
      const bool holds = work_.Charge(1) && Compared(condition);
      if (work_.failed() || condition.relation == Condition::Relation::kEnd) return holds;
      if (holds == (condition.relation == Condition::Relation::kOr)) return holds;
      ++index;
    }
  }

  bool Compared(const Condition& condition) {
    using Operator = Condition::Operator;
    const Value left = Evaluate(condition.left);
    if (condition.op == Operator::kTruth) return left.truthy();
    const Value right = Evaluate(condition.right);
    switch (condition.op) {
      case Operator::kEqual:
        return Same(left, right);
      case Operator::kUnequal:
        return !Same(left, right);
      case Operator::kContains:
        return Contains(left, right);
      default:
        break;
    }
    const bool ordered = (left.is_number() || left.is_string()) && (right.is_number() || right.is_string());
    if (!ordered) return false;
    if (left.is_string() != right.is_string()) {
      at_ = program_->expressions[condition.left].at;
      work_.Fail("a text and a number are compared");
      return false;
    }
    const int order = left.is_string() ? left.string().compare(right.string()) : Compare(ToNumber(left), ToNumber(right));
    switch (condition.op) {
      case Operator::kLess:
        return order < 0;
      case Operator::kGreater:
        return order > 0;
      case Operator::kLessOrEqual:
        return order <= 0;
      default:
        return order >= 0;
    }
  }

  bool Same(const Value& left, const Value& right) {
    if (left.is_array() || left.is_hash()) work_.Charge(left.is_array() ? left.array().size() : left.hash().size());
    return Equal(left, right);
  }

  bool Contains(const Value& left, const Value& right) {
    if (!left.truthy() || !right.truthy()) return false;
    switch (left.kind()) {
      case Value::Kind::kString:
        return work_.Charge(left.string().size() / 64) && left.string().find(work_.Text(right)) != std::string_view::npos;
      case Value::Kind::kArray:
        return work_.Charge(left.array().size()) &&
               std::ranges::any_of(left.array(), [&](const Value& item) { return Equal(item, right); });
      case Value::Kind::kHash:
        return right.is_string() && Find(left.hash(), right.string()) != nullptr;
      case Value::Kind::kRange:
        return right.is_int() && right.integer() >= left.range().first && right.integer() <= left.range().last;
      default:
        return false;
    }
  }

  // ---- writing ----

  void Write(const Value& value) {
    if (value.is_string()) {
      WriteText(value.string(), value.safe());
    } else if (value.is_number() || value.kind() == Value::Kind::kBool) {
      AppendText(value, *out_);
    } else if (!value.is_nil()) {
      std::string& text = work_.Scratch();
      AppendText(value, text);
      WriteText(text, false);
    }
  }

  // Of the caller, so that no address in it is looked at.
  void WriteSplice(const Value& value) {
    if (form_ == Form::kHtml && value.safe()) {
      *out_ += value.string();
    } else if (form_ == Form::kHtml && value.is_string()) {
      PutHtml(value.string(), *out_);
    } else {
      Write(value);
    }
  }

  void WriteText(std::string_view text, bool safe) {
    std::string& out = *out_;
    work_.Charge(text.size() / 64);
    switch (form_) {
      case Form::kPlain:
        out += text;
        return;
      case Form::kHtml:
        if (!out.empty() && (out.back() == '"' || out.back() == '\'' || out.back() == '=' || out.back() == ' ') && BeginsAddress(out) &&
            IsScriptAddress(text)) {
          out.push_back('#');
        } else if (safe) {
          PutWithoutNul(text, out);
        } else {
          PutHtml(text, out);
        }
        return;
      case Form::kText:
        PutWithoutNul(text, out);
        return;
      case Form::kHeader:
        PutHeader(text, out);
        return;
    }
  }

  // ---- nodes ----

  Flow RenderBody(Index index) {
    if (++depth_ > kDepthMax + 1) {
      work_.Fail("tags and partials are nested deeper than {}", kDepthMax);
      return Flow::kFailed;
    }
    Flow flow = Flow::kNext;
    for (const Node& node : program_->bodies[index].nodes) {
      if (node.kind == Node::Kind::kText) {
        if (!work_.Charge(1 + node.size / 256)) at_ = node.at;
        out_->append(node.at, node.size);
      } else {
        at_ = node.at;
        work_.Charge(1);
        flow = RenderNode(node);
      }
      if (out_->size() - begin_ > input_->limits.output_bytes) work_.Fail("the output has more than {} bytes", input_->limits.output_bytes);
      if (work_.failed()) flow = Flow::kFailed;
      if (flow != Flow::kNext) break;
    }
    --depth_;
    return flow;
  }

  Flow RenderNode(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kText:
      case Node::Kind::kNothing:
        return Flow::kNext;
      case Node::Kind::kSplice:
        if (node.index < input_->splices.size()) WriteSplice(input_->splices[node.index]);
        return Flow::kNext;
      case Node::Kind::kOutput: {
        const Value value = OutputValue(node.index);
        if (input_->blank != nullptr && !work_.failed()) Watch(node.index, value, true);
        if (!work_.failed()) Write(value);
        return Flow::kNext;
      }
      case Node::Kind::kAssign: {
        const Value value = OutputValue(node.index);
        if (input_->blank != nullptr && !work_.failed()) Watch(node.index, value, false);
        Assign(node.symbol, value);
        return Flow::kNext;
      }
      case Node::Kind::kCapture:
        return RenderCapture(node);
      case Node::Kind::kIf:
        return RenderIf(program_->ifs[node.index]);
      case Node::Kind::kCase:
        return RenderCase(program_->cases[node.index]);
      case Node::Kind::kFor:
        return RenderFor(program_->loops[node.index]);
      case Node::Kind::kTableRow:
        return RenderTableRow(program_->loops[node.index]);
      case Node::Kind::kCycle:
        RenderCycle(program_->cycles[node.index]);
        return Flow::kNext;
      case Node::Kind::kIncrement:
      case Node::Kind::kDecrement:
        RenderCounter(node);
        return Flow::kNext;
      case Node::Kind::kCall:
        return RenderCall(program_->calls[node.index]);
      case Node::Kind::kIfChanged:
        return RenderIfChanged(node);
      case Node::Kind::kBreak:
        return Flow::kBreak;
      case Node::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  static bool IsBlank(const Value& value) {
    return value.is_nil() || (value.is_string() && value.string().find_first_not_of(" \t\r\n") == std::string_view::npos);
  }

  // Tells of a name that is blank; `made`: what the filters made of it.
  void Watch(Index index, const Value& made, bool written) {
    const Output& output = program_->outputs[index];
    if (output.expression == kNone) return;
    const Expression& expression = program_->expressions[output.expression];
    if (expression.kind != Expression::Kind::kLookup) return;
    const Value value = Evaluate(output.expression);
    if (!IsBlank(value) && (value.truthy() || !made.truthy())) return;
    const bool fallback = !IsBlank(made);
    if (!fallback && !written) return;
    std::string name(program_->symbols[expression.root]);
    for (Index i = 0; i < expression.segments.count; ++i) {
      const Segment& segment = program_->segments[expression.segments.first + i];
      if (segment.expression == kNone) name.append(".").append(segment.name);
    }
    (*input_->blank)(name, fallback);
  }

  void Assign(Index symbol, const Value& value) {
    Slot& slot = frame_->slots[symbol];
    slot.assigned = value;
    slot.is_assigned = true;
  }

  Flow RenderCapture(const Node& node) {
    const size_t from = out_->size();
    const Flow flow = RenderBody(node.index);
    if (flow == Flow::kFailed) return flow;
    const Value text = work_.Keep(std::string_view(*out_).substr(from)).AsSafe(form_ == Form::kHtml);
    out_->resize(from);
    Assign(node.symbol, text);
    return flow;
  }

  Flow RenderIf(Span branches) {
    for (Index i = 0; i < branches.count; ++i) {
      const Branch& branch = program_->branches[branches.first + i];
      const bool taken = branch.kind == Branch::Kind::kElse || Holds(branch.condition) == (branch.kind == Branch::Kind::kIf);
      if (work_.failed()) return Flow::kFailed;
      if (taken) return RenderBody(branch.body);
    }
    return Flow::kNext;
  }

  Flow RenderCase(const Program::Case& chosen) {
    const Value subject = Evaluate(chosen.subject);
    bool matched = false;
    for (Index i = 0; i < chosen.whens.count; ++i) {
      const Branch& branch = program_->branches[chosen.whens.first + i];
      if (branch.kind == Branch::Kind::kElse ? matched : !Same(subject, Evaluate(branch.condition))) continue;
      if (work_.failed()) return Flow::kFailed;
      matched = matched || branch.kind != Branch::Kind::kElse;
      if (const Flow flow = RenderBody(branch.body); flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  // The items from `from` on, up to `to`.
  static Items Cut(const Value& value, Int from, std::optional<Int> to) {
    Int size = 0;
    if (value.is_string()) return {value, 0, value.string().empty() ? 0 : 1};
    if (value.is_array()) size = static_cast<Int>(value.array().size());
    if (value.is_hash()) size = static_cast<Int>(value.hash().size());
    if (value.is_range()) size = value.range().size();
    const Int begin = std::clamp<Int>(from, 0, size);
    return {value, begin, std::clamp<Int>(to.value_or(size), begin, size)};
  }

  Value ItemOf(const Value& of, Int i) {
    const auto at = static_cast<size_t>(i);
    if (of.is_array()) return of.array()[at];
    if (of.is_range()) return Value::Integer(of.range().first + i);
    if (!of.is_hash()) return of;
    work_.ChargeBytes(2 * sizeof(Value));
    const std::span<Value> pair = work_.arena().MakeArray<Value>(2);
    pair[0] = Value::String(of.hash()[at].key);
    pair[1] = of.hash()[at].value;
    return Value::Array(pair);
  }

  // Sets a name for a while; the destructor gives back what it was.
  class Scoped {
   public:
    Scoped(Frame& frame, Index symbol) : slot_(frame.slots[symbol]), value_(slot_.scoped), was_(slot_.is_scoped) {}
    ~Scoped() {
      slot_.scoped = value_;
      slot_.is_scoped = was_;
    }
    Scoped(const Scoped&) = delete;
    Scoped& operator=(const Scoped&) = delete;
    void Set(const Value& value) {
      slot_.scoped = value;
      slot_.is_scoped = true;
    }

   private:
    Slot& slot_;
    const Value value_;
    const bool was_;
  };

  Flow RenderFor(const ForLoop& loop) {
    Int from = loop.from_continue ? frame_->offsets[loop.name] : 0;
    if (loop.offset != kNone) {
      if (const Value value = Evaluate(loop.offset); !value.is_nil()) from = IntegerOf(work_, value).value_or(0);
    }
    const Value collection = Evaluate(loop.collection);
    std::optional<Int> to;
    if (loop.limit != kNone) {
      if (const Value value = Evaluate(loop.limit); !value.is_nil()) to = IntegerOf(work_, value).value_or(0) + from;
    }
    if (work_.failed()) return Flow::kFailed;
    const Items items = Cut(collection, from, to);
    frame_->offsets[loop.name] = from + items.size();
    if (items.size() == 0) return loop.otherwise == kNone ? Flow::kNext : RenderBody(loop.otherwise);

    Loop state{program_->loop_names[loop.name], items.size(), 0, frame_->loop, 0, 1, 1};
    Scoped forloop(*frame_, program_->forloop);
    Scoped variable(*frame_, loop.variable);
    forloop.Set(Value::OfLoop(&state, false));
    frame_->loop = &state;
    Flow flow = Flow::kNext;
    for (; state.index0 < state.length && flow != Flow::kBreak && flow != Flow::kFailed; ++state.index0) {
      variable.Set(ItemOf(items.of, loop.reversed ? items.end - 1 - state.index0 : items.begin + state.index0));
      flow = work_.Charge(1) ? RenderBody(loop.body) : Flow::kFailed;
    }
    frame_->loop = state.parent;
    Forget(state);
    return flow == Flow::kFailed ? flow : Flow::kNext;
  }

  // A loop that is over may be a value still: {% assign x = forloop %}.
  void Forget(const Loop& state) {
    for (Slot& slot : frame_->slots) {
      if (!slot.is_assigned || (slot.assigned.kind() != Value::Kind::kLoop && slot.assigned.kind() != Value::Kind::kTableLoop)) continue;
      if (&slot.assigned.loop() == &state)
        slot.assigned = Value::OfLoop(work_.arena().Make(state), slot.assigned.kind() == Value::Kind::kTableLoop);
    }
  }

  // As a tablerow reads its numbers: a text counts as the number in front of it.
  Int Whole(Index expression) {
    const Value value = Evaluate(expression);
    switch (value.kind()) {
      case Value::Kind::kInt:
        return value.integer();
      case Value::Kind::kNil:
        return 0;
      case Value::Kind::kString:
        return LeadingInt(value.string());
      case Value::Kind::kDouble:
        if (const auto whole = Floor(ToNumber(value))) return *whole;
        break;
      default:
        break;
    }
    work_.Fail("an integer is wanted where there is none");
    return 0;
  }

  Flow RenderTableRow(const ForLoop& loop) {
    const Value collection = Evaluate(loop.collection);
    if (!collection.truthy()) return Flow::kNext;
    const Int from = loop.offset == kNone ? 0 : Whole(loop.offset);
    std::optional<Int> to;
    if (loop.limit != kNone) to = from + Whole(loop.limit);
    const Items items = Cut(collection, from, to);
    Loop state{{}, items.size(), 0, nullptr, loop.cols == kNone ? items.size() : Whole(loop.cols), 1, 1};
    if (work_.failed()) return Flow::kFailed;
    Scoped table(*frame_, program_->tablerowloop);
    Scoped variable(*frame_, loop.variable);
    table.Set(Value::OfLoop(&state, true));
    *out_ += "<tr class=\"row1\">\n";
    Flow flow = Flow::kNext;
    for (; state.index0 < state.length; ++state.index0) {
      variable.Set(ItemOf(items.of, items.begin + state.index0));
      *out_ += "<td class=\"col";
      AppendInt(state.col, *out_);
      *out_ += "\">";
      flow = work_.Charge(1) ? RenderBody(loop.body) : Flow::kFailed;
      if (flow == Flow::kFailed) break;
      *out_ += "</td>";
      if (flow == Flow::kBreak) break;
      const bool row_ends = state.col == state.cols;
      if (row_ends && state.index0 + 1 < state.length) {
        *out_ += "</tr>\n<tr class=\"row";
        AppendInt(state.row + 1, *out_);
        *out_ += "\">";
      }
      state.col = row_ends ? 1 : state.col + 1;
      state.row += row_ends;
    }
    *out_ += "</tr>\n";
    Forget(state);
    return flow == Flow::kFailed ? flow : Flow::kNext;
  }

  void RenderCycle(const Cycle& cycle) {
    const bool by_group = cycle.name == kNone;
    const Value key = by_group ? Value::String(cycle.group) : Evaluate(cycle.name);
    auto state = std::ranges::find_if(frame_->cycles,
                                      [&](const Frame::CycleState& each) { return each.by_group == by_group && Equal(each.key, key); });
    if (!work_.Charge(frame_->cycles.size())) return;
    if (state == frame_->cycles.end()) state = frame_->cycles.insert(state, {by_group, key, 0});
    const size_t at = state->next;
    state->next = at + 1 >= cycle.values.count ? 0 : at + 1;
    if (at < cycle.values.count) Write(Evaluate(program_->arguments[cycle.values.first + at]));
  }

  void RenderCounter(const Node& node) {
    Slot& slot = frame_->slots[node.index];
    slot.is_counted = true;
    if (node.kind == Node::Kind::kDecrement) --slot.counter;
    AppendInt(slot.counter, *out_);
    if (node.kind == Node::Kind::kIncrement) ++slot.counter;
  }

  Flow RenderIfChanged(const Node& node) {
    const size_t from = out_->size();
    const Flow flow = RenderBody(node.index);
    if (flow == Flow::kFailed) return flow;
    const std::string_view written = std::string_view(*out_).substr(from);
    if (frame_->has_changed && frame_->changed == written) {
      out_->resize(from);
    } else {
      frame_->has_changed = true;
      frame_->changed = written;
    }
    return flow;
  }

  Flow RenderCall(const Call& call) {
    const Value name = Evaluate(call.name);
    if (!name.is_string()) {
      work_.Fail("the name of a partial is no text");
      return Flow::kFailed;
    }
    const auto unit =
        std::find_if(program_->units.begin() + 1, program_->units.end(), [&](const Unit& each) { return each.name == name.string(); });
    if (unit == program_->units.end()) {
      work_.Fail("there is no partial of that name");
      return Flow::kFailed;
    }
    Index symbol = call.alias_symbol;
    if (symbol == kNone) {
      const std::string_view last = name.string().substr(name.string().rfind('/') + 1);
      symbol = program_->symbol_of.at(last);  // bound when the call was compiled
    }
    return call.isolated ? RenderIsolated(call, *unit, symbol) : RenderIncluded(call, *unit, symbol);
  }

  Flow RenderIncluded(const Call& call, const Unit& unit, Index symbol) {
    if (frame_->isolated) {
      work_.Fail("an include inside of a render is not allowed");
      return Flow::kFailed;
    }
    const Value variable = call.variable == kNone ? NameOf(unit.name) : Evaluate(call.variable);
    std::vector<std::pair<Index, Slot>> before;
    const auto set = [&](Index name, const Value& value) {
      Slot& slot = frame_->slots[name];
      before.emplace_back(name, slot);
      slot.scoped = value;
      slot.is_scoped = true;
    };
    for (Index i = 0; i < call.keywords.count; ++i) {
      set(program_->call_symbols[call.keyword_symbols.first + i], Evaluate(program_->keywords[call.keywords.first + i].expression));
    }
    Flow flow = Flow::kNext;
    if (variable.is_array()) {
      for (const Value& item : variable.array()) {
        set(symbol, item);
        flow = RenderBody(unit.body);
        if (flow != Flow::kNext) break;
      }
    } else {
      set(symbol, variable);
      flow = RenderBody(unit.body);
    }
    for (; !before.empty(); before.pop_back()) {
      Slot& slot = frame_->slots[before.back().first];
      slot.scoped = before.back().second.scoped;
      slot.is_scoped = before.back().second.is_scoped;
    }
    return flow;
  }

  Flow RenderIsolated(const Call& call, const Unit& unit, Index symbol) {
    const Value variable = call.variable == kNone ? Value() : Evaluate(call.variable);
    const bool each = call.for_each && (variable.is_array() || variable.is_hash() || variable.is_range());
    const Items items = each ? Cut(variable, 0, std::nullopt) : Items{};
    Loop state{unit.name, items.size(), 0, nullptr, 0, 1, 1};
    const Int times = each ? items.size() : 1;
    for (; state.index0 < times; ++state.index0) {
      if (!work_.Charge(1 + program_->symbols.size() / 8)) return Flow::kFailed;
      Frame* const outer = frame_;
      Frame* const inner = NewFrame(true);
      std::vector<Value> values;
      for (Index i = 0; i < call.keywords.count; ++i) values.push_back(Evaluate(program_->keywords[call.keywords.first + i].expression));
      const Value item = each ? ItemOf(variable, state.index0) : variable;
      frame_ = inner;
      if (each) Assign(program_->forloop, Value::OfLoop(&state, false));
      for (Index i = 0; i < call.keywords.count; ++i) Assign(program_->call_symbols[call.keyword_symbols.first + i], values[i]);
      if (!item.is_nil()) Assign(symbol, item);
      const Flow flow = RenderBody(unit.body);
      frame_ = outer;
      --frames_used_;
      if (flow == Flow::kFailed) return flow;
    }
    return Flow::kNext;
  }

  Work work_;
  const Program* program_ = nullptr;
  const Input* input_ = nullptr;
  std::string* out_ = nullptr;
  Form form_ = Form::kPlain;
  size_t begin_ = 0;
  int depth_ = 0;
  const char* at_ = nullptr;  // the place that a failure is put to
  Frame* frame_ = nullptr;
  std::vector<std::unique_ptr<Frame>> frames_;
  size_t frames_used_ = 0;
};

Renderer::Renderer() : run_(std::make_unique<Run>()) {}
Renderer::~Renderer() = default;
Renderer::Renderer(Renderer&&) noexcept = default;
Renderer& Renderer::operator=(Renderer&&) noexcept = default;

std::optional<Problem> Renderer::Render(const Template& compiled, const Input& input, std::string& out) {
  return run_->Go(*compiled.program_, input, out);
}

std::optional<Problem> Renderer::Render(const Template& compiled, std::span<const Member> data, int64_t now_us, Form form,
                                        std::string& out) {
  values_.clear();
  for (const std::string_view name : compiled.names()) {
    const Value* const value = Find(data, name);
    values_.push_back(value == nullptr ? Value() : *value);
  }
  return Render(compiled,
                Input{.values = values_, .others = data, .splices = {}, .now_us = now_us, .form = form, .limits = {}, .blank = nullptr},
                out);
}

}  // namespace maily::liquid
