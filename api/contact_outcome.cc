// See contact_outcome.h.
#include "api/contact_outcome.h"

namespace maily::api {
namespace {

using gateway::Verdict;

constexpr Duration kLookAgain = Milliseconds(20);

Json ResultJson(const ContactQuestion& question, std::string_view result) {
  return Json{{"id", std::to_string(question.contact_id)}, {"result", result}};
}

// Looks until it is over, or `until`, on the blocking executor.
void Await(Call call, ContactQuestion question, Verdict verdict, Duration until) {
  const auto newest = QueryOwn(call, question.query, {{"contact_id", Value::Integer(static_cast<int64_t>(question.contact_id))}});
  if (!newest) return Refuse(call, newest.error());
  http::Headers headers = TokenOf(call, std::span(&verdict, 1));
  if (auto outcome = question.outcome(*newest)) {
    if (auto* body = std::get_if<Json>(&*outcome)) return Answer(call, 200, *body, std::move(headers));
    auto& problem = std::get<http::Problem>(*outcome);
    problem.headers = std::move(headers);
    return Refuse(call, problem);
  }
  if (call.api->parts.clock.Steady() < until) {
    Executor& blocking = call.api->blocking();
    blocking.After(kLookAgain, [call = std::move(call), question = std::move(question), verdict = std::move(verdict), until]() mutable {
      Await(std::move(call), std::move(question), std::move(verdict), until);
    });
    return;
  }
  headers.Add("location", question.url);
  Json body = ResultJson(question, "asked");
  body["status_url"] = question.url;
  Answer(call, 202, body, std::move(headers));
}

}  // namespace

void AnswerOutcome(Call& call, std::vector<Verdict>& verdicts, ContactQuestion question) {
  Verdict verdict = std::move(verdicts.front());
  if (verdict.kind != Verdict::Kind::kDecided || !IsDone(verdict)) return Conclude(call, verdict);
  if (AnswerOf(verdict).value("result", "") == "unchanged")
    return Answer(call, 200, ResultJson(question, "unchanged"), TokenOf(call, std::span(&verdict, 1)));
  std::vector<CommandAt> at;
  if (verdict.at) at.push_back(*verdict.at);
  const Duration until = call.api->parts.clock.Steady() + kOutcomeWait;
  projections::Views& views = call.api->parts.views;
  Executor& blocking = call.api->blocking();
  const auto group = views.GroupOf(question.query);
  views.freshness().Wait(group, std::move(at), kOutcomeWait, blocking,
                         [call = std::move(call), question = std::move(question), verdict = std::move(verdict), until](bool) mutable {
                           Await(std::move(call), std::move(question), std::move(verdict), until);
                         });
}

}  // namespace maily::api
