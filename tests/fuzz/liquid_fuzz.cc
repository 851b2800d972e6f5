// The engine of templates: compiled, and rendered twice in every form. The source and a partial are divided by a byte 0x01; names stand for
// values of every kind, texts among them the input itself.
#include "processors/personalization/liquid/template.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

using liquid::Form;
using liquid::Value;

constexpr int64_t kNow = 1'700'000'000'000'000;

struct World {
  explicit World(std::string_view input) {
    inner[0] = {"title", Value::String(input.substr(0, 64))};
    inner[1] = {"price", Value::Double(9.99)};
    items = {Value::Integer(3), Value::String("b"), Value::Hash(inner), Value(), Value::Bool(false), Value::Double(-1.5)};
    numbers = {Value::Integer(3), Value::Integer(1), Value::Integer(2)};
    members = {{"a", Value::Array(items)},
               {"b", Value::String(input)},
               {"h", Value::Hash(inner)},
               {"n", Value::Array(numbers)},
               {"x", Value::Integer(7)}};
  }
  liquid::Member inner[2];
  std::vector<Value> items, numbers;
  std::vector<liquid::Member> members;
};

// No value of the contact opens a tag in HTML, and none begins a line of a header.
void CheckForm(Form form, std::string_view value_only) {
  if (form == Form::kHtml) MAILY_CHECK(value_only.find_first_of("<>\"'") == std::string_view::npos, "not escaped");
  if (form == Form::kHeader) {
    for (const char c : value_only) MAILY_CHECK(static_cast<uint8_t>(c) >= 32 && c != 127, "a control character");
  }
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  using namespace maily::liquid;
  std::string_view rest = fuzz::View(data, size);
  const std::string_view source = fuzz::TakeUntil(rest, '\1');
  const Partial partials[] = {{"p", rest}};
  const fuzz::World world(source);
  for (const bool strict : {true, false}) {
    std::vector<Problem> problems;
    const auto compiled = Template::Compile(source, {.strict = strict, .partials = partials}, problems);
    MAILY_CHECK(compiled.has_value() == problems.empty(), "compiled, in spite of problems, or the other way round");
    MAILY_CHECK(problems.size() <= kProblemsMax + 100, "{} problems", problems.size());
    for (const Problem& problem : problems)
      MAILY_CHECK(problem.line > 0 && problem.column > 0 && !problem.message.empty(), "no place or words");
    if (!compiled) continue;
    static_cast<void>(compiled->References());
    Renderer renderer;
    std::vector<Value> values;
    for (const std::string_view name : compiled->names()) {
      const Value* const value = Find(world.members, name);
      values.push_back(value == nullptr ? Value() : *value);
    }
    for (const Form form : {Form::kPlain, Form::kHtml, Form::kText, Form::kHeader}) {
      const Renderer::Input input{.values = values,
                                  .others = world.members,
                                  .splices = {},
                                  .now_us = fuzz::kNow,
                                  .form = form,
                                  .limits = {.steps = 20'000, .output_bytes = 100'000, .memory_bytes = 1'000'000}};
      std::string first;
      std::string second;
      const auto problem = renderer.Render(*compiled, input, first);
      const auto again = renderer.Render(*compiled, input, second);
      MAILY_CHECK(problem.has_value() == again.has_value() && first == second, "two renderings differ");
      if (problem) MAILY_CHECK(problem->line > 0 && problem->column > 0 && !problem->message.empty(), "no place or words");
      if (!problem) MAILY_CHECK(first.size() <= 100'000, "{} bytes", first.size());
    }
  }
  // The input as a value, in the smallest template there is.
  std::vector<Problem> problems;
  static const auto smallest = Template::Compile("{{ b }}", {}, problems);
  Renderer renderer;
  for (const Form form : {Form::kHtml, Form::kHeader}) {
    std::string out;
    if (!renderer.Render(*smallest, world.members, fuzz::kNow, form, out)) fuzz::CheckForm(form, out);
  }
  return 0;
}
