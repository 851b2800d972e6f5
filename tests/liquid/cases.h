// Cases of templates with what they must write, as golden-liquid has them: {"tests": [{name, template, data?, templates?, tags?, and one of
// result, results (any of them will do) and invalid (must be refused, when it is compiled or rendered)}]}.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "processors/personalization/liquid/template.h"
#include "streams/base/result.h"

namespace maily::liquid {

struct GoldenCase {
  std::string name;
  std::string source;
  nlohmann::ordered_json data = nlohmann::ordered_json::object();
  std::vector<std::pair<std::string, std::string>> partials = {};
  std::vector<std::string> results = {};  // empty: it must be refused
};

// kNotFound: there is no such file. kInvalid: it is no such JSON.
Result<std::vector<GoldenCase>> ReadCases(const std::string& path);

// The file that lies beside the repository.
std::string DevelopmentCases();

// JSON as values of templates; keeps what they view.
class Data {
 public:
  explicit Data(const nlohmann::ordered_json& json) : json_(json) { root_ = Make(json_); }
  std::span<const Member> members() const { return root_.is_hash() ? root_.hash() : std::span<const Member>(); }

 private:
  Value Make(const nlohmann::ordered_json& json);
  const nlohmann::ordered_json json_;
  Arena arena_;
  Value root_;
};

// Empty: it passes. Otherwise what came instead.
std::string Check(const GoldenCase& test);

}  // namespace maily::liquid
