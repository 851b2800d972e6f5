// What became of something that is asked of a contact and decided with another partition: a change of address, a merge.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/read.h"
#include "api/submit.h"

namespace maily::api {

inline constexpr Duration kOutcomeWait = Seconds(2);

// The body of a 200, or why not.
using ContactOutcome = std::variant<Json, http::Problem>;

struct ContactQuestion {
  uint64_t contact_id = 0;
  std::string query;  // of its newest, by contact_id
  std::string url;    // that tells later
  // None: it is not over. Gets the query's rows, which may be none.
  std::function<std::optional<ContactOutcome>(const Rows&)> outcome;
};

// After it was asked: looks for kOutcomeWait, then answers 202 with the URL. Refusals and "unchanged" are answered at once.
void AnswerOutcome(Call& call, std::vector<gateway::Verdict>& verdicts, ContactQuestion question);

}  // namespace maily::api
