// Refusals of old, judged by today's rules: a page at a time, so that a review of a long history is bounded at every step.
#include <map>
#include <tuple>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/sends/v1/commands.pb.h"
#include "schemas/keys.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Verdict;
using sends::v1::Classification;

constexpr Duration kReviewWait = Seconds(5);
constexpr size_t kTokenBytesMax = 1'000;

// A refusal that is judged otherwise now.
struct Changed {
  uint64_t campaign_id = 0;
  uint64_t contact_id = 0;
  Classification was;
  Classification now;
  Json facts;
};

struct Review {
  size_t reviewed = 0;
  size_t not_reviewed = 0;  // nobody has replied, or the oldest events do not say at which stage
  std::vector<Changed> changed;
};

Json JsonOf(const Classification& one) {
  return {{"class", one.recipient_invalid() ? "hard" : "soft"}, {"reason", one.reason()}, {"rule", one.rule()}};
}
auto KeyOf(const Classification& one) { return std::tuple(one.recipient_invalid(), one.reason(), one.rule()); }

Paging PagingOf(int64_t campaign_id, int64_t since_us) {
  return {.query = "bounces",
          .key = {"campaign_id", "contact_id"},
          .key_parameters = {"after_campaign_id", "after"},
          .first = {Value::Integer(0), Value::Integer(0)},
          .fixed = {{"campaign_id", Value::Integer(campaign_id)}, {"since_at", Value::Integer(since_us)}}};
}

Review ReviewPage(const Call& call, const RowPage& page) {
  Review review;
  for (size_t row = 0; row < page.count; ++row) {
    const auto text = [&](std::string_view column) { return page.rows.at(row, column).bytes; };
    const Value code = page.rows.at(row, "reply_code");
    const std::string stage = text("stage");
    if (code.type == sql::Type::kNull || stage.empty()) {
      ++review.not_reviewed;
      continue;
    }
    ++review.reviewed;
    const std::string enhanced = text("enhanced_code");
    const std::string said = text("reply_text");
    inbound::Judgement now =
        call.api->parts.judge({.code = static_cast<int>(code.integer), .enhanced = enhanced, .text = said, .stage = stage});
    Changed one;
    one.was.set_recipient_invalid(page.rows.at(row, "hard").integer != 0);
    one.was.set_reason(text("reason"));
    one.was.set_rule(text("rule"));
    one.now.set_recipient_invalid(now.hard);
    one.now.set_reason(std::move(now.reason));
    one.now.set_rule(std::move(now.rule));
    if (KeyOf(one.was) == KeyOf(one.now)) continue;
    one.campaign_id = static_cast<uint64_t>(page.rows.at(row, "campaign_id").integer);
    one.contact_id = static_cast<uint64_t>(page.rows.at(row, "contact_id").integer);
    one.facts = {{"campaign_id", one.campaign_id},
                 {"contact_id", std::to_string(one.contact_id)},
                 {"bounced_at", Rfc3339(page.rows.at(row, "at_us").integer)},
                 {"reply_code", code.integer},
                 {"enhanced_code", enhanced},
                 {"stage", stage},
                 {"reply_text", said},
                 {"was", JsonOf(one.was)},
                 {"now", JsonOf(one.now)}};
    review.changed.push_back(std::move(one));
  }
  return review;
}

// Counts by what it was and what it is, the most frequent first.
Json DiffOf(const std::vector<Changed>& changed) {
  std::map<std::tuple<bool, std::string, std::string, bool, std::string, std::string>, std::pair<uint64_t, const Changed*>> groups;
  for (const Changed& one : changed) {
    auto& [count, first] = groups[std::tuple_cat(KeyOf(one.was), KeyOf(one.now))];
    ++count;
    first = &one;
  }
  std::vector<std::pair<uint64_t, const Changed*>> sorted;
  for (const auto& [key, group] : groups) sorted.push_back(group);
  std::ranges::stable_sort(sorted, [](const auto& a, const auto& b) { return a.first > b.first; });
  Json diff = Json::array();
  for (const auto& [count, one] : sorted) diff.push_back({{"was", JsonOf(one->was)}, {"now", JsonOf(one->now)}, {"count", count}});
  return diff;
}

Json BodyOf(const Review& review, Json items) {
  return {{"reviewed", review.reviewed},
          {"not_reviewed", review.not_reviewed},
          {"changed", review.changed.size()},
          {"diff", DiffOf(review.changed)},
          {"items", std::move(items)}};
}
Json BodyOf(const Review& review) {
  Json items = Json::array();
  for (const Changed& one : review.changed) items.push_back(one.facts);
  return BodyOf(review, std::move(items));
}
Json WithToken(Json body, const std::string& next_page_token) {
  if (!next_page_token.empty()) body["next_page_token"] = next_page_token;
  return body;
}

// kInvalid: the token; anything else as it is.
void RefusePage(Call& call, const Error& error) {
  if (error.code == Code::kInvalid) return Refuse(call, BadParameter("page_token", error.message));
  Refuse(call, error);
}

Order OrderOf(const Changed& one, const std::string& why) {
  const schema::ContactId contact = schema::UnpackContactId(one.contact_id);
  sends::v1::ReclassifyBounce command;
  command.set_campaign_id(one.campaign_id);
  command.set_ordinal(contact.ordinal);
  *command.mutable_was() = one.was;
  *command.mutable_now() = one.now;
  command.set_why(why);
  Order order = gateway::PlainOrder(command, "");
  order.partition = contact.partition;
  return order;
}

void AnswerApplied(Call& call, const Review& review, const std::string& next, const std::vector<Verdict>& verdicts) {
  std::map<std::string, uint64_t> counts;
  Json items = Json::array();
  for (size_t i = 0; i < verdicts.size(); ++i) {
    Json item = review.changed[i].facts;
    const bool decided = verdicts[i].kind == Verdict::Kind::kDecided;
    const Json answer = decided ? Json(AnswerOf(verdicts[i])) : Json::object();
    item["result"] = IsDone(verdicts[i]) ? "corrected" : decided ? "refused" : "pending";
    if (!IsDone(verdicts[i])) item["reason"] = decided ? answer.value("message", "refused") : "not decided yet; ask again";
    ++counts[item["result"].get<std::string>()];
    if (const auto left = answer.find("suppression"); left != answer.end()) {
      item["suppression"] = *left;
      ++counts["suppression_" + left->get<std::string>()];
    }
    items.push_back(std::move(item));
  }
  Json body = BodyOf(review, std::move(items));
  for (const char* name : {"corrected", "refused", "pending"}) body[name] = counts[name];
  body["suppressions_lifted"] = counts["suppression_lifted"];
  body["suppressions_kept"] = counts["suppression_kept"];
  Answer(call, 200, WithToken(std::move(body), next), TokenOf(call, verdicts));
}

}  // namespace

void ReviewBounces(Call call) {
  const auto campaign_id = NumberParameter(call, "campaign_id", 0, 1, INT64_MAX);
  if (!campaign_id) return Refuse(call, BadParameter("campaign_id", "the id of a campaign", 422));
  int64_t since_us = 0;
  if (const auto since = call.request.Query("since")) {
    const auto parsed = ParseRfc3339(*since);
    if (!parsed) return Refuse(call, BadParameter("since", "a time like 2026-11-21T05:00:00Z", 422));
    since_us = *parsed;
  }
  Paging paging = PagingOf(*campaign_id, since_us);
  paging.body = [](Call& c, const RowPage& page) { return BodyOf(ReviewPage(c, page)); };
  List(std::move(call), std::move(paging));
}

void ApplyBounceReview(Call call) {
  Body body(call);
  const auto why = body.Text("why", kNameBytesMax, kRequired);
  const auto campaign_id = body.Integer("campaign_id", 1, INT64_MAX);
  const auto since = body.Text("since", kNameBytesMax);
  const auto size = body.Integer("page_size", 1, kPageSizeMax);
  const auto token = body.Text("page_token", kTokenBytesMax);
  const auto since_us = since ? ParseRfc3339(*since) : Result<int64_t>(0);
  if (!since_us) body.Violation("since", "invalid_time", since_us.error().message);
  if (!body.Accepted(call)) return;
  AfterOwnWrites(std::move(call), "bounces", kReviewWait,
                 [why = *why, size = size.value_or(kPageSizeDefault), token = token.value_or(""),
                  paging = PagingOf(campaign_id.value_or(0), *since_us)](Call c, bool) {
                   const auto page = ReadPage(c, paging, token, size);
                   if (!page) return RefusePage(c, page.error());
                   Review review = ReviewPage(c, *page);
                   std::vector<Order> orders;
                   for (const Changed& one : review.changed) orders.push_back(OrderOf(one, why));
                   if (c.dry_run()) return AnswerDry(c, orders, WithToken(BodyOf(review), page->next_page_token));
                   SubmitAll(std::move(c), orders, kDecisionTimeout,
                             [review = std::move(review), next = page->next_page_token](Call& settled, std::vector<Verdict>& verdicts) {
                               AnswerApplied(settled, review, next, verdicts);
                             });
                 });
}

}  // namespace maily::api
