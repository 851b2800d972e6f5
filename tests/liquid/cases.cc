// See cases.h.
#include "tests/liquid/cases.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace maily::liquid {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000;

GoldenCase CaseOf(const nlohmann::ordered_json& json) {
  GoldenCase test{json.at("name"), json.at("template")};
  if (json.contains("data") && json["data"].is_object()) test.data = json["data"];
  if (json.contains("templates")) {
    for (const auto& [name, source] : json["templates"].items()) test.partials.emplace_back(name, source);
  }
  if (json.contains("result")) test.results.push_back(json["result"]);
  if (json.contains("results")) test.results = json["results"].get<std::vector<std::string>>();
  return test;
}

}  // namespace

Result<std::vector<GoldenCase>> ReadCases(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Fail(Code::kNotFound, "there is no file {}", path);
  std::vector<GoldenCase> cases;
  try {
    const auto json = nlohmann::ordered_json::parse(file);
    for (const auto& test : json.at("tests")) cases.push_back(CaseOf(test));
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kInvalid, "{}: {}", path, error.what());
  }
  return cases;
}

std::string DevelopmentCases() {
  const char* const source = std::getenv("MAILY_SOURCE_DIR");
  return std::string(source != nullptr ? source : ".") + "/../shared/conformance/liquid-dev.json";
}

Value Data::Make(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return Value::Bool(json.get<bool>());
  if (json.is_number_unsigned()) return Value::Integer(json.get<uint64_t>());
  if (json.is_number_integer()) return Value::Integer(json.get<int64_t>());
  if (json.is_number_float()) return Value::Double(json.get<double>());
  if (json.is_string()) return Value::String(json.get_ref<const std::string&>());
  if (json.is_array()) {
    const std::span<Value> items = arena_.MakeArray<Value>(json.size());
    for (size_t i = 0; i < json.size(); ++i) items[i] = Make(json[i]);
    return Value::Array(items);
  }
  if (!json.is_object()) return {};
  const std::span<Member> members = arena_.MakeArray<Member>(json.size());
  size_t i = 0;
  for (const auto& [key, value] : json.items()) members[i++] = {arena_.Copy(key), Make(value)};
  return Value::Hash(members);
}

std::string Check(const GoldenCase& test) {
  std::vector<Partial> partials;
  for (const auto& [name, source] : test.partials) partials.push_back({name, source});
  std::vector<Problem> problems;
  const auto compiled = Template::Compile(test.source, {.strict = false, .partials = partials}, problems);
  const std::string expected = test.results.empty() ? "a refusal" : "\"" + test.results.front() + "\"";
  if (!compiled) return test.results.empty() ? "" : fmt::format("refused ({}) instead of {}", problems.front().ToString(), expected);
  const Data data(test.data);
  std::string out;
  Renderer renderer;
  const auto problem = renderer.Render(*compiled, data.members(), kNow, Form::kPlain, out);
  if (problem) return test.results.empty() ? "" : fmt::format("failed ({}) instead of {}", problem->ToString(), expected);
  if (std::ranges::find(test.results, out) != test.results.end()) return {};
  return fmt::format("\"{}\" instead of {}", out, expected);
}

}  // namespace maily::liquid
