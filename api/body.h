// JSON bodies of requests: read member by member, all that is wrong listed at once, each with its JSON Pointer.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/call.h"
#include "schemas/address.h"

namespace maily::api {

inline constexpr size_t kNameBytesMax = 200;
inline constexpr size_t kEmailBytesMax = 1000;  // as given
inline constexpr bool kRequired = true;

// The members of one JSON object. Each of the readers gives the member if it is there and not null; a member that does not fit, or is
// missing and required, is a violation and gives none.
class Members {
 public:
  // `path` = JSON Pointer of the object. Both references outlive this.
  Members(const nlohmann::json& object, std::string path, std::vector<http::ProblemDetail>& violations);

  std::optional<std::string> Text(const std::string& name, size_t bytes_max, bool required = false);
  std::optional<int64_t> Integer(const std::string& name, int64_t least, int64_t most, bool required = false);
  std::optional<bool> Boolean(const std::string& name);
  std::optional<std::vector<std::string>> Texts(const std::string& name, size_t count_max, bool required = false);
  // A required e-mail address.
  std::optional<schema::Address> Email(const std::string& name);
  const nlohmann::json* Object(const std::string& name, bool required = false);
  // The same, to be read member by member.
  std::optional<Members> Nested(const std::string& name, bool required = false);
  const nlohmann::json* Array(const std::string& name, size_t count_max, bool required = false);
  // Every element of an array of objects, with RefuseUnknown after `read`.
  void Each(const std::string& name, size_t count_max, const std::function<void(Members&)>& read, bool required = false);
  bool Has(const std::string& name) const;

  // A member that none of the above has asked for is a violation that names the nearest one.
  void RefuseUnknown();
  // Of a member, or of the whole object (""). Gives none, for readers.
  std::nullopt_t Violation(const std::string& member, std::string code, std::string hint);
  const nlohmann::json& object() const { return object_; }

 private:
  const nlohmann::json* Find(const std::string& name, bool required);

  const nlohmann::json& object_;
  std::string path_;
  std::vector<http::ProblemDetail>& violations_;
  std::vector<std::string> asked_;
};

// The member "tracking", "on" or "off".
std::optional<bool> ReadTracking(Members& members);

// The body of a request. To be read whether it parsed or not, then Accepted.
class Body : public Members {
 public:
  explicit Body(const Call& call);

  // False: it is no JSON object, and the call was refused (400, 415, 422).
  bool Parsed(Call& call) const;
  // False: the call was refused, because it did not parse or with all violations (422). Nothing is read after this.
  bool Accepted(Call& call);

 private:
  nlohmann::json parsed_ = nlohmann::json::object();
  std::vector<http::ProblemDetail> gathered_;
  std::optional<http::Problem> unreadable_;
};

// 422 with all violations.
http::Problem Violations(std::vector<http::ProblemDetail> violations);

}  // namespace maily::api
