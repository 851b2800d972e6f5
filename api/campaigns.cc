// Campaigns: made, launched, followed.
#include "api/audience.h"
#include "api/body.h"
#include "api/campaign_drafts.h"
#include "api/campaign_tests.h"
#include "api/campaign_timing.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/campaigns/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/proportions.h"

namespace maily::api {
namespace {

constexpr size_t kWhyBytesMax = 500;
constexpr Duration kAudienceWait = Seconds(2);

// The body is absent or {}. False: the call was refused.
bool TakesNoMembers(Call& call) { return call.request.body.empty() || Body(call).Accepted(call); }

template <class M>
void ChangeCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  if (!TakesNoMembers(call)) return;
  M command;
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

// One row, whose columns are the members.
Result<Json> CountsOf(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows counts, QueryOwn(call, "campaign_counts", {which}));
  Json body = RowJson(counts, 0);
  body["holdout"] = counts.at(0, "holdout").integer;  // a number here
  return body;
}

// How many more of the recipients converted than of the tenant's holdout; null: nobody was held out.
Result<Json> UpliftOf(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "campaign_uplift", {which}));
  const auto share = [&](const std::string& of) {
    return schema::Share{.did = rows.at(0, of + "_converted").integer, .of = rows.at(0, of).integer};
  };
  const schema::Share recipients = share("recipients");
  const schema::Share held_out = share("held_out");
  if (held_out.of == 0) return Json();
  const schema::Difference difference = schema::Compare(recipients, held_out);
  return Json{{"recipients", recipients.of},
              {"recipients_converted", recipients.did},
              {"held_out", held_out.of},
              {"held_out_converted", held_out.did},
              {"difference", difference.difference},
              {"low", difference.low},
              {"high", difference.high},
              {"evidence", difference.evidence},
              {"says", !difference.evidence        ? "no evidence of a difference"
                       : difference.difference > 0 ? "more recipients than held out converted"
                                                   : "fewer recipients than held out converted"}};
}

// By the language of what was read; null: the template says none.
Json LocalesJson(const Rows& rows) {
  Json all = WithRates(RowsJson(rows));
  for (Json& one : all) {
    if (one.value("locale", "").empty()) one["locale"] = nullptr;
  }
  return all;
}

// The safety stop that has paused it, or null.
Json StopOf(const Rows& campaign) {
  const Value& reason = campaign.at(0, "stop_reason");
  if (reason.type == sql::Type::kNull) return {};
  const int64_t count = campaign.at(0, "stop_count").integer;
  const int64_t of = campaign.at(0, "stop_of").integer;
  Json stop{{"reason", reason.bytes},
            {"count", count},
            {"of", of},
            {"rate_bp", of == 0 ? 0 : count * 10'000 / of},
            {"limit_bp", campaign.at(0, "stop_limit_bp").integer}};
  for (const char* name : {"site", "code"}) {
    const Value& value = campaign.at(0, std::string("stop_") + name);
    stop[name] = value.type == sql::Type::kNull ? Json() : Json(value.bytes);
  }
  return stop;
}

// Whoever is on the list of the campaign without a consent that is recorded: a launch names how many. Blocking.
Json ConsentWarnings(Call& call, uint64_t campaign_id) {
  Json warnings = Json::array();
  const auto campaign = QueryOwn(call, "campaign", {{"campaign_id", Number(campaign_id)}});
  if (!campaign || campaign->empty() || campaign->at(0, "list_id").integer == 0) return warnings;
  const auto list = QueryOwn(call, "list", {{"list_id", campaign->at(0, "list_id")}});
  if (!list || list->empty() || list->at(0, "members_without_consent").integer == 0) return warnings;
  warnings.push_back({{"code", "consent_not_recorded"},
                      {"message", fmt::format("of {} members of list {}, {} have no consent to it recorded", list->at(0, "members").integer,
                                              campaign->at(0, "list_id").integer, list->at(0, "members_without_consent").integer)}});
  return warnings;
}

}  // namespace

void CreateCampaign(Call call) {
  Body body(call);
  campaigns::v1::CreateCampaign command;
  campaigns::v1::CampaignSpec& spec = *command.mutable_spec();
  ReadSpec(body, spec, kRequired);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command,
             {.status = 201, .id_member = "campaign_id", .collection = "/v1/campaigns", .more = {{"name", spec.name()}}});
}

void ListCampaigns(Call call) { List(std::move(call), {.query = "campaigns", .key = {"campaign_id"}, .id_column = "campaign_id"}); }

void LaunchCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  if (!TakesNoMembers(call)) return;
  if (call.dry_run()) return DryLaunch(std::move(call), *id);
  AfterOwnWrites(std::move(call), "", kAudienceWait, [id = *id](Call c, bool fresh) {
    const Result<Seen> seen = fresh ? LookAtAudience(c, id) : Seen();
    if (!seen && seen.error().code != Code::kRetry) return Refuse(c, seen.error());
    campaigns::v1::LaunchCampaign command;
    command.set_campaign_id(id);
    gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(c.caller.tenant));
    // Seen here, not asked for: no part of the request that Idempotency-Key stands for.
    command.set_empty_audience(seen && seen->empty);
    command.set_audience(seen ? seen->contacts : 0);
    command.set_live(c.api->parts.live);
    command.set_mail_bytes_max(c.api->parts.assets.mail_bytes_max);
    order.payload = command.SerializeAsString();
    Shape shape{.id_member = "campaign_id"};
    // What is seen and not decided has no place in an answer that is given again as it was; the campaign shows it.
    if (!c.request.headers.Find("idempotency-key")) {
      if (Json warnings = ConsentWarnings(c, id); !warnings.empty()) shape.more["warnings"] = std::move(warnings);
    }
    Submit(std::move(c), std::move(order), std::move(shape));
  });
}

void PauseCampaign(Call call) { ChangeCampaign<campaigns::v1::PauseCampaign>(std::move(call)); }
void ResumeCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  campaigns::v1::ResumeCampaign command;
  command.set_campaign_id(*id);
  if (!call.request.body.empty()) {
    Body body(call);
    command.set_override(body.Boolean("override").value_or(false));
    if (const auto why = body.Text("why", kWhyBytesMax)) command.set_why(*why);
    if (!body.Accepted(call)) return;
  }
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}
void FinishCampaign(Call call) { ChangeCampaign<campaigns::v1::FinishCampaign>(std::move(call)); }
void CancelCampaign(Call call) { ChangeCampaign<campaigns::v1::CancelCampaign>(std::move(call)); }

void ShowCampaign(Call call) {
  Show(std::move(call), "campaign", "campaign_id", "campaign", [](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
    MAILY_TRY(const Rows arms, QueryOwn(c, "campaign_report", {which}));
    MAILY_TRY(Json counts, CountsOf(c, which));
    Json body = RowJson(found, 0, "campaign_id");
    body["stop"] = StopOf(found);
    body["tracking"] = found.at(0, "untracked").integer != 0 ? "off" : "on";
    body.erase("untracked");
    body["evergreen"] = found.at(0, "evergreen").integer != 0;
    for (const char* column : {"stop_reason", "stop_count", "stop_of", "stop_limit_bp", "stop_site", "stop_code"}) body.erase(column);
    const bool running = found.at(0, "status").bytes == "running" && c.api->parts.trouble;
    const std::string trouble = running ? c.api->parts.trouble() : std::string();
    body["trouble"] = trouble.empty() ? Json() : Json(trouble);
    body["counts"] = std::move(counts);
    body["arms"] = RowsJson(arms);
    MAILY_TRY_VOID(AddDraft(c, which, body));
    MAILY_TRY_VOID(ShowTiming(c, which, body));
    MAILY_TRY(Json test, TestJson(c, which));
    body["test"] = std::move(test);
    body["warnings"] = ConsentWarnings(c, body["id"].get<uint64_t>());
    return body;
  });
}

void ShowReport(Call call) {
  Show(std::move(call), "campaign", "campaign_id", "campaign_report",
       [](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
         MAILY_TRY(const Rows arms, QueryOwn(c, "campaign_report", {which}));
         MAILY_TRY(const Rows sums, QueryOwn(c, "campaign_sums", {which}));
         MAILY_TRY(const Rows locales, QueryOwn(c, "campaign_locales", {which}));
         MAILY_TRY(const Rows filter, c.api->parts.views.Query("signal_filter", {}));
         MAILY_TRY(Json counts, CountsOf(c, which));
         MAILY_TRY(Json uplift, UpliftOf(c, which));
         MAILY_TRY(Json test, TestJson(c, which));
         return Json{{"id", which.value.integer},
                     {"name", found.at(0, "name").bytes},
                     {"status", found.at(0, "status").bytes},
                     {"counts", std::move(counts)},
                     {"totals", RowJson(sums, 0)},
                     {"arms", WithRates(RowsJson(arms))},
                     {"locales", LocalesJson(locales)},
                     {"test", std::move(test)},
                     {"uplift", std::move(uplift)},
                     {"signal_filter", filter.at(0, "version").integer}};
       });
}

void ListSkips(Call call) {
  Show(std::move(call), "campaign", "campaign_id", "campaign_skips", [](Call& c, const Rows&, const Parameter& which) -> Result<Json> {
    MAILY_TRY(const Rows skips, QueryOwn(c, "campaign_skips", {which}));
    Json items = Json::array();
    for (size_t row = 0; row < skips.size(); ++row)
      items.push_back({{"reason", skips.at(row, "reason").bytes}, {"count", skips.at(row, "contacts").integer}});
    return Json{{"items", std::move(items)}};
  });
}

}  // namespace maily::api
