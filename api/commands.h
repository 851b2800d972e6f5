// Handlers that change something: a JSON body becomes a command, its decision the answer.
//
// 200 (201 with Location for something new), 204 for DELETE, 404, 409, 410, 422 as decided; 202 with a status URL if it was not decided
// within kDecisionTimeout but is durable; 503 if nobody knows. Every answer to a write carries Maily-Consistency-Token. All violations of a
// body are listed at once, each with its JSON Pointer. Idempotency-Key: the same key and body get the first answer, for 24 h (after a 404
// it is tried anew).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/call.h"

namespace maily::api {

void CreateTenant(Call call);
void ChangeSettings(Call call);
void RegisterAttribute(Call call);
void CreateKey(Call call);
void RevokeKey(Call call);
void UpsertContact(Call call);
void CreateList(Call call);
void ChangeMembers(Call call);
void AddSuppression(Call call);
void AddSuppressions(Call call);
void RemoveSuppression(Call call);
void SaveTemplate(Call call);
void CreateCampaign(Call call);
void LaunchCampaign(Call call);
void PauseCampaign(Call call);
void ResumeCampaign(Call call);
void CancelCampaign(Call call);
void ResolveUnknown(Call call);

// For events.cc, queries.cc and their like.

// The body as a JSON object; none: the call was refused (400, 415, 422).
std::optional<nlohmann::json> ParseBody(Call& call);

// Reads the members of a JSON object one by one, and gathers what is wrong.
class Body {
 public:
  // `path` = JSON Pointer of the object.
  Body(const nlohmann::json& object, std::string path, std::vector<http::ProblemDetail>& details);

  // The member, if it is there and not null; a wrong type is a violation and gives none.
  std::optional<std::string> Text(const std::string& name, size_t bytes_max, bool required = false);
  std::optional<int64_t> Integer(const std::string& name, int64_t least, int64_t most, bool required = false);
  std::optional<bool> Boolean(const std::string& name);
  std::optional<std::vector<std::string>> Texts(const std::string& name, size_t count_max, bool required = false);
  const nlohmann::json* Object(const std::string& name, bool required = false);
  const nlohmann::json* Array(const std::string& name, size_t count_max, bool required = false);
  bool Has(const std::string& name);
  // A member that none of the above has asked for is a violation that names the nearest one.
  void RefuseUnknown();
  void Violation(const std::string& member, std::string code, std::string hint);
  const std::string& path() const { return path_; }

 private:
  const nlohmann::json* Find(const std::string& name, bool required);
  const nlohmann::json& object_;
  std::string path_;
  std::vector<http::ProblemDetail>& details_;
  std::vector<std::string> asked_;
};
// 422 with all violations.
http::Problem Violations(std::vector<http::ProblemDetail> details);

// The natural key of the Idempotency-Key header, quoted or not; empty = none given. None: malformed, the call was refused.
std::optional<std::string> IdempotencyKey(Call& call);

// What a decided refusal means. `answer` is the decider's JSON.
http::Problem ProblemOfOutcome(gateway::Outcome outcome, const nlohmann::json& answer);
// True if the outcome means that the request holds: done, unchanged, or as the first copy said.
bool IsDone(gateway::Outcome outcome, const nlohmann::json& answer);

// "Maily-Consistency-Token" of these commands.
void AddToken(Call& call, http::Headers& headers, std::span<const CommandAt> at);

}  // namespace maily::api
