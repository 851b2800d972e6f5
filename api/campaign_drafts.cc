// Drafts of campaigns: changed, deleted, copied, resent, approved; and what their launch would do.
#include "api/campaign_drafts.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "api/audience.h"
#include "api/campaign_tests.h"
#include "api/campaign_timing.h"
#include "api/handlers.h"
#include "api/submit.h"
#include "maily/campaigns/v1/commands.pb.h"

namespace maily::api {
namespace {

constexpr size_t kArmsMax = 64;
constexpr size_t kWhereBytesMax = 1000;
constexpr size_t kSubjectBytesMax = 1000;

// Members of the JSON, and the fields of a spec that they are.
constexpr std::array<std::pair<const char*, const char*>, 18> kFields = {{{"name", "name"},
                                                                          {"template_id", "template_id"},
                                                                          {"from", "from"},
                                                                          {"from_name", "from_name"},
                                                                          {"reply_to", "reply_to"},
                                                                          {"list_id", "list_id"},
                                                                          {"tracking", "untracked"},
                                                                          {"arms", "arms"},
                                                                          {"list_ids", "list_ids"},
                                                                          {"segment_ids", "segment_ids"},
                                                                          {"exclude_list_ids", "exclude_list_ids"},
                                                                          {"exclude_segment_ids", "exclude_segment_ids"},
                                                                          {"throttle", "pace"},
                                                                          {"quiet_hours", "quiet_hours"},
                                                                          {"ttl_minutes", "ttl_minutes"},
                                                                          {"test", "test"},
                                                                          {"seed", "seed"},
                                                                          {"evergreen", "evergreen"}}};

void ReadArm(Members& members, campaigns::v1::Arm& arm) {
  if (const auto name = members.Text("name", kNameBytesMax, kRequired)) arm.set_name(*name);
  if (auto where = members.Nested("where")) {
    if (const auto attribute = where->Text("attribute", gateway::kAttributeNameBytesMax, kRequired)) arm.set_where_attribute(*attribute);
    const auto value = where->object().find("value");
    if (value == where->object().end()) {
      where->Violation("value", "missing", "this member is required");
    } else if (value->is_number() || value->is_boolean()) {
      arm.set_where_value(value->dump());
    } else if (const auto text = where->Text("value", kWhereBytesMax)) {
      arm.set_where_value(*text);
    }
  }
  if (const auto weight = members.Integer("weight", 1, 1'000'000)) arm.set_weight(static_cast<uint32_t>(*weight));
  if (arm.where_attribute().empty() == (arm.weight() == 0)) members.Violation("", "invalid_arm", "an arm has either where or weight");
  arm.set_holdout(members.Boolean("holdout").value_or(false));
  if (const auto subject = members.Text("subject", kSubjectBytesMax)) arm.set_subject(*subject);
  if (const auto name = members.Text("from_name", kEmailBytesMax)) arm.set_from_name(*name);
  if (const auto id = members.Integer("template_id", 1, INT64_MAX)) arm.set_template_id(static_cast<uint64_t>(*id));
}

// The revision in If-Match, 0 for "*"; none: the call was refused.
std::optional<uint32_t> IfMatch(Call& call) {
  const auto header = call.request.headers.Find("if-match");
  if (!header) {
    Refuse(call, {.status = 428,
                  .code = "precondition_required",
                  .message = "say by If-Match which revision you have seen: the ETag of GET /v1/campaigns/{id}"});
    return std::nullopt;
  }
  std::string_view text = *header;
  if (text == "*") return 0;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  uint32_t revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error == std::errc() && end == text.data() + text.size() && revision > 0) return revision;
  Refuse(call, {.status = 412, .code = "stale_revision", .message = "If-Match is no revision of this campaign"});
  return std::nullopt;
}

Result<Json> LaunchPreviewJson(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows found, QueryOwn(call, "launch_preview", {which}));
  if (found.empty()) return Missing("launch preview");
  const auto partitions = static_cast<int64_t>(call.api->parts.log.partition_count);
  const bool done = found.at(0, "partitions_done").integer == partitions;
  MAILY_TRY(const Rows arms, QueryOwn(call, "launch_preview_arms", {which}));
  MAILY_TRY(const Rows skips, QueryOwn(call, "launch_preview_skips", {which}));
  MAILY_TRY(const Rows waiting, QueryOwn(call, "launch_preview_rest", {which}));
  const int64_t rest = waiting.empty() ? 0 : waiting.at(0, "contacts").integer;
  MAILY_TRY(const Rows rules, QueryOwn(call, "launch_preview_rules", {which}));
  int64_t to_send = rest;
  int64_t holdout = 0;
  int64_t skipped = 0;
  for (size_t row = 0; row < arms.size(); ++row)
    (arms.at(row, "holdout").integer != 0 ? holdout : to_send) += arms.at(row, "recipients").integer;
  Json reasons = Json::array();
  for (size_t row = 0; row < skips.size(); ++row) {
    skipped += skips.at(row, "contacts").integer;
    reasons.push_back({{"reason", skips.at(row, "reason").bytes}, {"count", skips.at(row, "contacts").integer}});
  }
  bool passed = true;
  Json verdicts = Json::array();
  const auto verdict = [&](const std::string& rule, bool kept, const std::string& path, const std::string& hint) {
    passed = passed && kept;
    Json one{{"rule", rule}, {"passed", kept}};
    if (!kept) one.update({{"path", path}, {"hint", hint}});
    verdicts.push_back(std::move(one));
  };
  for (size_t row = 0; row < rules.size(); ++row) {
    const std::string& path = rules.at(row, "path").bytes;
    verdict(rules.at(row, "rule").bytes, path.empty(), path, rules.at(row, "sentence").bytes);
  }
  const int64_t audience = to_send + holdout + skipped;
  const bool grows = found.at(0, "evergreen").integer != 0;
  if (done) verdict("empty_audience", audience > 0 || grows, "/list_id", "the audience is empty, nobody would get this campaign");
  return Json{{"id", which.value.integer},
              {"campaign_id", found.at(0, "campaign_id").integer},
              {"dry_run", true},
              {"status", done ? "done" : "counting"},
              {"may_launch", done ? Json(passed) : Json()},
              {"counts", {{"audience", audience}, {"to_send", to_send}, {"skipped", skipped}, {"holdout", holdout}}},
              {"awaits_winner", rest},
              {"skips", std::move(reasons)},
              {"arms", RowsJson(arms)},
              {"rules", std::move(verdicts)},
              {"partitions_done", found.at(0, "partitions_done").integer},
              {"partitions", partitions},
              {"requested_at", CellJson("requested_at_us", found.at(0, "requested_at_us"))},
              {"counted_at", CellJson("counted_at_us", found.at(0, "counted_at_us"))}};
}

}  // namespace

void ReadSpec(Members& members, campaigns::v1::CampaignSpec& spec, bool required) {
  if (const auto name = members.Text("name", kNameBytesMax, required)) spec.set_name(*name);
  if (const auto id = members.Integer("template_id", 1, INT64_MAX, required)) spec.set_template_id(static_cast<uint64_t>(*id));
  if (const auto from = members.Text("from", kEmailBytesMax, required)) spec.set_from(*from);
  if (const auto name = members.Text("from_name", kEmailBytesMax)) spec.set_from_name(*name);
  if (const auto reply_to = members.Text("reply_to", kEmailBytesMax)) spec.set_reply_to(*reply_to);
  if (const auto id = members.Integer("list_id", 0, INT64_MAX)) spec.set_list_id(static_cast<uint64_t>(*id));
  if (const auto tracking = ReadTracking(members)) spec.set_untracked(!*tracking);
  ReadTiming(members, spec);
  members.Each("arms", kArmsMax, [&spec](Members& one) { ReadArm(one, *spec.add_arms()); });
  ReadAudience(members, spec);
  ReadTest(members, spec);
  if (const auto evergreen = members.Boolean("evergreen")) spec.set_evergreen(*evergreen);
}

Result<void> AddDraft(Call& call, const Parameter& campaign, Json& body) {
  MAILY_TRY(const Rows draft, QueryOwn(call, "campaign_draft", {campaign}));
  if (draft.empty()) return Ok();
  body["revision"] = draft.at(0, "revision").integer;
  body.update(Json::parse(draft.at(0, "audience").bytes, nullptr, false));
  for (const char* column : {"resend_of", "resend_to", "holdout_bp", "approved_by"}) body[column] = CellJson(column, draft.at(0, column));
  body["approved"] =
      draft.at(0, "approved_by").type != sql::Type::kNull && draft.at(0, "approved_revision").integer == draft.at(0, "revision").integer;
  return Ok();
}

void DryLaunch(Call call, uint64_t campaign_id) {
  call.request.target.resize(call.request.path().size());  // what it asks for is appended, and acts on nobody
  campaigns::v1::PreviewLaunch command;
  command.set_campaign_id(campaign_id);
  command.set_live(call.api->parts.live);
  command.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
  SubmitHome(
      std::move(call), command,
      {.status = 202, .id_member = "preview_id", .collection = "/v1/launch-previews", .more = {{"dry_run", true}, {"status", "counting"}}});
}

void ShowLaunchPreview(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("launch preview"));
  Read(std::move(call), "launch_preview", [which = Parameter{"preview_id", Number(*id)}](Call& c) { return LaunchPreviewJson(c, which); });
}

void EditCampaign(Call call) {
  Body body(call);
  campaigns::v1::EditCampaign command;
  ReadSpec(body, *command.mutable_spec(), !kRequired);
  for (const auto& [member, field] : kFields) {
    if (body.object().contains(member)) command.add_fields(field);
  }
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  const auto revision = IfMatch(call);
  if (!revision) return;
  command.set_campaign_id(*id);
  command.set_revision(*revision);
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

void DeleteCampaign(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  campaigns::v1::DeleteCampaign command;
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.status = 204, .also_done = "campaign_deleted"});
}

void CloneCampaign(Call call) {
  campaigns::v1::CloneCampaign command;
  if (!call.request.body.empty()) {
    Body body(call);
    if (const auto name = body.Text("name", kNameBytesMax)) command.set_name(*name);
    if (!body.Accepted(call)) return;
  }
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.status = 201, .id_member = "campaign_id", .collection = "/v1/campaigns"});
}

void ResendCampaign(Call call) {
  Body body(call);
  campaigns::v1::ResendCampaign command;
  if (const auto to = body.Text("to", kNameBytesMax, kRequired)) {
    if (*to == "failed") {
      command.set_as(campaigns::v1::FAILED);
    } else if (*to == "non_openers") {
      command.set_as(campaigns::v1::NON_OPENERS);
    } else {
      body.Violation("to", "unknown_recipients", "failed or non_openers");
    }
  }
  if (const auto name = body.Text("name", kNameBytesMax)) command.set_name(*name);
  if (const auto id = body.Integer("template_id", 1, INT64_MAX)) command.set_template_id(static_cast<uint64_t>(*id));
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command,
             {.status = 201, .id_member = "campaign_id", .collection = "/v1/campaigns", .more = {{"resend_of", *id}}});
}

void ApproveCampaign(Call call) {
  Body body(call);
  campaigns::v1::ApproveCampaign command;
  if (const auto revision = body.Integer("revision", 1, INT32_MAX, kRequired)) command.set_revision(static_cast<uint32_t>(*revision));
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("campaign"));
  command.set_campaign_id(*id);
  SubmitHome(std::move(call), command, {.id_member = "campaign_id"});
}

}  // namespace maily::api
