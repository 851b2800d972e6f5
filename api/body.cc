// See body.h.
#include "api/body.h"

#include <algorithm>

#include "schemas/json.h"

namespace maily::api {
namespace {

using http::Problem;
using http::ProblemDetail;
using nlohmann::json;

// "$.arms[2].name" as "/arms/2/name".
std::string Pointer(std::string_view path) {
  std::string pointer;
  for (size_t i = path.starts_with('$') ? 1 : 0; i < path.size(); ++i) {
    if (path[i] == '.' || path[i] == '[') {
      pointer.push_back('/');
    } else if (path[i] != ']') {
      pointer.push_back(path[i]);
    }
  }
  return pointer;
}

// The body as a JSON object, or why it is none.
std::optional<Problem> Parse(const http::Request& request, json& object) {
  const std::string_view type = request.headers["content-type"];
  const std::string_view media = type.substr(0, type.find(';'));
  if (!media.empty() && !media.starts_with("application/json") && !media.ends_with("+json"))
    return Problem{.status = 415, .code = "unsupported_media_type", .message = "send application/json"};
  if (const auto coding = request.headers.Find("content-encoding"); coding && *coding != "identity")
    return Problem{.status = 415, .code = "unsupported_media_type", .message = "send the body as it is, without Content-Encoding"};
  schema::JsonProblem wrong;
  auto parsed = schema::ParseJson(request.body, &wrong);
  if (!parsed) {
    const char* code = wrong.fault == schema::JsonFault::kSyntax  ? "malformed_json"
                       : wrong.fault == schema::JsonFault::kDepth ? "json_too_deep"
                                                                  : "duplicate_key";
    Problem problem{.status = 400, .code = code, .message = "the body is no acceptable JSON: " + wrong.message};
    problem.details.push_back({.path = Pointer(wrong.path), .code = code, .hint = wrong.message});
    return problem;
  }
  if (!parsed->is_object()) return Violations({{.path = "", .code = "wrong_type", .hint = "the body must be a JSON object"}});
  object = std::move(*parsed);
  return std::nullopt;
}

}  // namespace

Members::Members(const json& object, std::string path, std::vector<ProblemDetail>& violations)
    : object_(object), path_(std::move(path)), violations_(violations) {}

std::nullopt_t Members::Violation(const std::string& member, std::string code, std::string hint) {
  violations_.push_back({.path = member.empty() ? path_ : path_ + "/" + member, .code = std::move(code), .hint = std::move(hint)});
  return std::nullopt;
}

bool Members::Has(const std::string& name) const {
  const auto found = object_.find(name);
  return found != object_.end() && !found->is_null();
}

const json* Members::Find(const std::string& name, bool required) {
  asked_.push_back(name);
  if (Has(name)) return &object_[name];
  if (required) Violation(name, "missing", "this member is required");
  return nullptr;
}

std::optional<std::string> Members::Text(const std::string& name, size_t bytes_max, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return Violation(name, "wrong_type", "must be a string");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > bytes_max)
    return Violation(name, "too_long", fmt::format("has {} bytes, at most {} are taken", text.size(), bytes_max));
  if (text.find('\0') != std::string::npos) return Violation(name, "nul", "holds a NUL");
  if (required && text.empty()) return Violation(name, "missing", "must not be empty");
  return text;
}

std::optional<int64_t> Members::Integer(const std::string& name, int64_t least, int64_t most, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) return Violation(name, "wrong_type", "must be a whole number");
  if ((value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) || value->get<int64_t>() < least ||
      value->get<int64_t>() > most)
    return Violation(name, "out_of_range", fmt::format("must be between {} and {}", least, most));
  return value->get<int64_t>();
}

std::optional<bool> Members::Boolean(const std::string& name) {
  const json* value = Find(name, false);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return Violation(name, "wrong_type", "must be true or false");
  return value->get<bool>();
}

std::optional<std::vector<std::string>> Members::Texts(const std::string& name, size_t count_max, bool required) {
  const json* array = Array(name, count_max, required);
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (size_t i = 0; i < array->size(); ++i) {
    if (!(*array)[i].is_string()) {
      Violation(name + "/" + std::to_string(i), "wrong_type", "must be a string");
    } else {
      texts.push_back((*array)[i].get<std::string>());
    }
  }
  return texts;
}

std::optional<schema::Address> Members::Email(const std::string& name) {
  const auto text = Text(name, kEmailBytesMax, kRequired);
  if (!text) return std::nullopt;
  auto address = schema::ParseAddress(*text);
  if (address) return std::move(*address);
  return Violation(name, std::string(schema::kInvalidAddress), address.error().message);
}

const json* Members::Object(const std::string& name, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr || value->is_object()) return value;
  Violation(name, "wrong_type", "must be an object");
  return nullptr;
}

std::optional<Members> Members::Nested(const std::string& name, bool required) {
  const json* object = Object(name, required);
  if (object == nullptr) return std::nullopt;
  return Members(*object, path_ + "/" + name, violations_);
}

const json* Members::Array(const std::string& name, size_t count_max, bool required) {
  const json* value = Find(name, required);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) {
    Violation(name, "wrong_type", "must be an array");
    return nullptr;
  }
  if (value->size() > count_max) {
    Violation(name, "too_many", fmt::format("has {} elements, at most {} are taken", value->size(), count_max));
    return nullptr;
  }
  return value;
}

void Members::Each(const std::string& name, size_t count_max, const std::function<void(Members&)>& read, bool required) {
  const json* array = Array(name, count_max, required);
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    Members one((*array)[i], fmt::format("{}/{}/{}", path_, name, i), violations_);
    if (!(*array)[i].is_object()) {
      one.Violation("", "wrong_type", "must be an object");
      continue;
    }
    read(one);
    one.RefuseUnknown();
  }
}

void Members::RefuseUnknown() {
  for (const auto& [name, value] : object_.items()) {
    if (std::ranges::find(asked_, name) != asked_.end()) continue;
    const std::string near = Nearest(name, asked_);
    Violation(name, "unknown_field", near.empty() ? "there is no such member" : "there is no such member; did you mean " + near + "?");
  }
}

Problem Violations(std::vector<ProblemDetail> violations) {
  std::string message =
      violations.size() == 1 ? "the request is invalid: " : fmt::format("the request has {} errors, the first: ", violations.size());
  message +=
      violations.empty() ? std::string() : fmt::format("{}: {}", violations[0].path.empty() ? "/" : violations[0].path, violations[0].hint);
  return {.status = 422, .code = "invalid_request", .message = std::move(message), .details = std::move(violations)};
}

std::optional<bool> ReadTracking(Members& members) {
  const auto tracking = members.Text("tracking", kNameBytesMax);
  if (!tracking) return std::nullopt;
  if (*tracking != "on" && *tracking != "off") members.Violation("tracking", "invalid_tracking", "on or off");
  return *tracking == "on";
}

Body::Body(const Call& call) : Members(parsed_, "", gathered_), unreadable_(Parse(call.request, parsed_)) {}

bool Body::Parsed(Call& call) const {
  if (unreadable_) Refuse(call, *unreadable_);
  return !unreadable_;
}

bool Body::Accepted(Call& call) {
  if (!Parsed(call)) return false;
  RefuseUnknown();
  if (gathered_.empty()) return true;
  Refuse(call, Violations(std::move(gathered_)));
  return false;
}

}  // namespace maily::api
