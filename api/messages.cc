// Messages: mails to one person each, that no campaign sends; and what became of them.
//
// A message is two commands: the tenant's home makes or finds the form that it has with others, then the partition of the address accepts
// it. With create_contact there is a third between them.
#include "api/messages.h"

#include <nlohmann/json.hpp>

#include "api/assets.h"
#include "api/attachments.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/contacts/v1/commands.pb.h"
#include "maily/messages/v1/commands.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "schemas/keys.h"
#include "schemas/message_headers.h"
#include "schemas/message_id.h"
#include "schemas/sealed.h"

namespace maily::api {
namespace {

using gateway::Order;
using gateway::Verdict;
using messages::v1::MessageContent;
using messages::v1::PostMessage;
using messages::v1::PrepareMessages;

constexpr size_t kVariablesBytesMax = 40 * 1024;
constexpr size_t kPrefixBytesMax = 100;
constexpr int64_t kExpiresMaxS = 48 * 60 * 60;
constexpr size_t kTestsMax = 20;
constexpr int64_t kHistoryMax = 1000;
constexpr Duration kTemplateWait = Seconds(2);
constexpr int64_t kCountDaysMax = 366;
constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;

// What ?status= can be: those of SendStatus that a message has, as the read model names them.
constexpr std::string_view kStatuses[] = {"pending", "open", "waiting", "delivered", "bounced", "unknown", "skipped", "expired"};

bool IsMailbox(std::string_view text) {
  const size_t open = text.rfind('<');
  if (open != std::string_view::npos && text.ends_with('>')) text = text.substr(open + 1, text.size() - open - 2);
  return schema::ParseAddress(std::string(text)).has_value();
}

void ReadContent(Body& body, MessageContent& content) {
  if (const auto* variables = body.Object("variables")) {
    content.set_variables(variables->dump());
    if (content.variables().size() > kVariablesBytesMax)
      body.Violation("variables", "too_long", fmt::format("all variables together have at most {} bytes as JSON", kVariablesBytesMax));
  }
  if (const auto reply_to = body.Text("reply_to", kEmailBytesMax)) {
    if (!IsMailbox(*reply_to)) body.Violation("reply_to", "invalid_address", "a mailbox like Shop <help@example.com>");
    content.set_reply_to(*reply_to);
  }
  const auto* headers = body.Object("headers");
  if (headers == nullptr) return;
  if (headers->size() > schema::kMessageHeadersMax)
    body.Violation("headers", "too_many", fmt::format("at most {} headers", schema::kMessageHeadersMax));
  for (const auto& [name, value] : headers->items()) {
    if (!schema::IsMessageHeaderName(name)) {
      body.Violation("headers/" + name, "invalid_name",
                     "In-Reply-To, References, Auto-Submitted, Importance, or X-… that no provider reads");
    } else if (!value.is_string() || !schema::IsMessageHeaderValue(name, value.get_ref<const std::string&>())) {
      body.Violation("headers/" + name, "wrong_type",
                     fmt::format("a text of 1 to {} bytes without control characters", schema::kMessageHeaderBytesMax - name.size()));
    } else {
      auto& header = *content.add_headers();
      header.set_name(name);
      header.set_value(value.get<std::string>());
    }
  }
}

void ReadForm(Body& body, PrepareMessages& prepare) {
  if (const auto version = body.Integer("version", 1, INT32_MAX)) prepare.set_version(static_cast<uint32_t>(*version));
  if (const auto from = body.Text("from", kEmailBytesMax)) {
    if (!IsMailbox(*from)) body.Violation("from", "invalid_address", "a mailbox like Shop <receipts@example.com>");
    prepare.set_from(*from);
  }
}

// The answer's id as a number in our path, and what it stands for.
Json AcceptedJson(const Verdict& verdict) {
  const auto answer = AnswerOf(verdict);
  const std::string id = answer.value("message_id", "");
  Json body{{"id", id}, {"status", answer.value("status", "")}};
  if (answer.contains("reason")) body["reason"] = answer["reason"];
  body["status_url"] = "/v1/messages/" + id;
  return body;
}

// 202 while it goes on, 200 of one that is decided already.
void AnswerAccepted(Call& call, const std::vector<Verdict>& verdicts) {
  for (const Verdict& verdict : verdicts) {
    if (!IsDone(verdict)) return Conclude(call, verdict);
  }
  const Verdict& verdict = verdicts.back();
  http::Headers headers = TokenOf(call, verdicts);
  const Json body = AcceptedJson(verdict);
  headers.Add("location", body["status_url"].get<std::string>());
  Answer(call, body["status"] == "skipped" ? 200 : 202, body, std::move(headers));
}

}  // namespace

void PostMessages(Call call, Posting posting, AllDone done) {
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  std::vector<std::string> subjects;
  std::string whole = posting.prepare.SerializeAsString();
  for (Posting::One& one : posting.all) {
    one.message.set_contact_key(schema::ContactKey(**keys, one.address.normalised));
    one.message.set_domain_key(schema::DomainKey(**keys, one.address.domain));
    one.message.set_address(one.address.spelled);
    subjects.push_back(one.message.contact_key());
    whole += one.message.SerializeAsString();
    whole += one.create_contact ? '1' : '0';
  }
  Order first = gateway::PlainOrder(posting.prepare, schema::HomeKey(call.caller.tenant));
  // Settings of this process are no part of the request that Idempotency-Key stands for.
  posting.prepare.set_live(call.api->parts.live);
  posting.prepare.set_mail_bytes_max(call.api->parts.assets.mail_bytes_max);
  first.payload = posting.prepare.SerializeAsString();
  const TenantId tenant = call.caller.tenant;
  const keyring::TenantKeys* tenant_keys = *keys;
  Entropy& entropy = call.api->parts.entropy;
  const bool brings = std::ranges::any_of(posting.all, [](const Posting::One& one) { return !one.brought.empty(); });
  auto send = [posting = std::move(posting), first = std::move(first), whole = std::move(whole), done = std::move(done), tenant,
               tenant_keys, &entropy](Call c, std::vector<keyring::SubjectKey> seals) mutable {
    for (size_t i = 0; i < seals.size(); ++i) {
      for (const Posting::Brought& file : posting.all[i].brought) {
        if (const auto wrong = ScanFile(c, file.bytes)) return Refuse(c, *wrong);
      }
      if (const auto stored = StoreAttachments(c, posting.all[i], seals[i]); !stored) return Refuse(c, stored.error());
    }
    SubmitThen(
        std::move(c), std::move(whole), first,
        [posting = std::move(posting), seals = std::move(seals), tenant, tenant_keys, &entropy](const nlohmann::json& form) mutable {
          std::vector<Order> orders;
          for (size_t i = 0; i < posting.all.size(); ++i) {
            Posting::One& one = posting.all[i];
            if (one.create_contact) {
              const gateway::Registry none{{}};
              contacts::v1::UpsertContact contact;
              contact.set_source("message");
              gateway::Identify(contact, none, one.address, *tenant_keys);
              orders.push_back(gateway::PlainOrder(contact, one.message.contact_key()));
              if (!seals.empty()) gateway::Seal(contact, none, tenant, seals[i], entropy);
              orders.back().payload = contact.SerializeAsString();
            }
            PostMessage& message = one.message;
            message.set_form_id(form.value("form_id", uint64_t{0}));
            message.set_template_id(form.value("template_id", uint64_t{0}));
            message.set_template_version(form.value("template_version", uint32_t{0}));
            TakeAssets(form, message);
            // Where files were put, and when, is no part of the request that Idempotency-Key stands for.
            const int64_t uploaded_at_us = message.uploaded_at_us();
            message.clear_uploaded_at_us();
            orders.push_back(gateway::PlainOrder(message, message.contact_key()));
            message.set_uploaded_at_us(uploaded_at_us);
            NameBlobs(one);
            if (!seals.empty()) {
              message.set_address(schema::Seal(tenant, seals[i], "address", message.address(), entropy));
              if (!message.content().empty()) message.set_content(schema::Seal(tenant, seals[i], "message", message.content(), entropy));
            }
            orders.back().payload = message.SerializeAsString();
          }
          return orders;
        },
        std::move(done));
  };
  if (call.dry_run()) return send(std::move(call), {});  // a key would be durable
  gateway::SubjectKeys& keys_of_contacts = call.api->gateway.subject_keys();
  keys_of_contacts.Get(tenant, std::move(subjects),
                       [call = std::move(call), send = std::move(send), brings](Result<std::vector<keyring::SubjectKey>> made) mutable {
                         if (!made) return Refuse(call, made.error());
                         if (!brings) return send(std::move(call), std::move(*made));
                         // Others wait for their keys behind this one, and a scanner takes its time.
                         const AssetSettings& assets = call.api->parts.assets;
                         Executor& other = assets.scan ? *assets.scans_on : call.api->blocking();
                         other.Post([call = std::move(call), send = std::move(send), keys = std::move(*made)]() mutable {
                           send(std::move(call), std::move(keys));
                         });
                       });
}

namespace {

void PostFrom(Call call) {
  Body body(call);
  Posting posting;
  Posting::One one;
  const auto to = body.Email("to");
  if (to) one.address = *to;
  ReadForm(body, posting.prepare);
  if (const auto id = body.Integer("template_id", 1, INT64_MAX)) posting.prepare.set_template_id(static_cast<uint64_t>(*id));
  if (const auto name = body.Text("template", kNameBytesMax)) posting.prepare.set_template_(*name);
  if (body.Has("template") == body.Has("template_id")) body.Violation("template", "missing", "either template, its name, or template_id");
  MessageContent content;
  ReadContent(body, content);
  const auto refused = ReadAttachments(body, call, posting, one, content);
  if (const auto of = body.Text("message_class", kNameBytesMax); of && *of != "transactional")
    body.Violation("message_class", "out_of_range", "is transactional: marketing mail goes out with a campaign");
  one.create_contact = body.Boolean("create_contact").value_or(false);
  if (const auto seconds = body.Integer("expires_in_s", 60, kExpiresMaxS)) one.message.set_expires_after_s(static_cast<uint32_t>(*seconds));
  one.message.set_retry_unknown(body.Boolean("retry_unknown").value_or(false));
  if (!body.Accepted(call)) return;
  if (refused) return Refuse(call, *refused);
  one.message.set_content(content.SerializeAsString());
  one.message.set_source("api");
  posting.all.push_back(std::move(one));
  PostMessages(std::move(call), std::move(posting), [](Call& c, std::vector<Verdict>& verdicts) { AnswerAccepted(c, verdicts); });
}

}  // namespace

void PostOneMessage(Call call) {
  if (call.request.body.size() <= kQuickBodyBytesMax) return PostFrom(std::move(call));
  Executor& blocking = call.api->blocking();
  blocking.Post([call = std::move(call)]() mutable { PostFrom(std::move(call)); });
}

namespace {

// Of tests: in the order of their addresses.
void AnswerTests(Call& call, const std::vector<std::string>& to, const std::vector<Verdict>& verdicts) {
  Json all = Json::array();
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (!IsDone(verdicts[i])) return Conclude(call, verdicts[i]);
    Json one = AcceptedJson(verdicts[i]);
    one["to"] = to[i];
    all.push_back(std::move(one));
  }
  Answer(call, 202, {{"messages", std::move(all)}}, TokenOf(call, verdicts));
}

}  // namespace

void TestTemplate(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("template"));
  Body body(call);
  Posting posting;
  posting.prepare.set_template_id(*id);
  ReadForm(body, posting.prepare);
  MessageContent content;
  if (const auto* variables = body.Object("variables")) content.set_variables(variables->dump());
  if (content.variables().size() > kVariablesBytesMax)
    body.Violation("variables", "too_long", fmt::format("all variables together have at most {} bytes as JSON", kVariablesBytesMax));
  if (const auto prefix = body.Text("subject_prefix", kPrefixBytesMax)) content.set_subject_prefix(*prefix);
  const auto to = body.Texts("to", kTestsMax, kRequired);
  for (size_t i = 0; to && i < to->size(); ++i) {
    const auto address = schema::ParseAddress((*to)[i]);
    if (!address) {
      body.Violation(fmt::format("to/{}", i), "invalid_address", address.error().message);
      continue;
    }
    Posting::One one{.address = *address};
    one.message.set_content(content.SerializeAsString());
    one.message.set_test(true);
    one.message.set_source("test");
    posting.all.push_back(std::move(one));
  }
  if (to && to->empty()) body.Violation("to", "missing", fmt::format("1 to {} addresses", kTestsMax));
  if (!body.Accepted(call)) return;
  // That there is such a template is asked here: it is in the path, so that its absence is 404.
  AfterOwnWrites(std::move(call), "template", kTemplateWait, [id = *id, posting = std::move(posting), to = *to](Call c, bool) mutable {
    const auto rows = QueryOwn(c, "template", {{"template_id", Number(id)}});
    if (!rows) return Refuse(c, rows.error());
    if (rows->empty()) return Refuse(c, NoSuch("template"));
    PostMessages(std::move(c), std::move(posting),
                 [to = std::move(to)](Call& held, std::vector<Verdict>& verdicts) { AnswerTests(held, to, verdicts); });
  });
}

namespace {

// Ids are too large for numbers of JSON; 0 in an ordinal's place is no contact.
Json MessageJson(const Rows& rows, size_t row) {
  Json out = RowJson(rows, row, "message_id");
  out["id"] = std::to_string(rows.at(row, "message_id").integer);
  const auto contact = schema::UnpackContactId(static_cast<uint64_t>(rows.at(row, "contact_id").integer));
  if (contact.ordinal == 0) out["contact_id"] = nullptr;
  out["test"] = rows.at(row, "test").integer != 0;
  return out;
}

}  // namespace

void ListMessages(Call call) {
  const std::string status = call.request.Query("status").value_or("");
  if (!status.empty() && std::ranges::find(kStatuses, status) == std::end(kStatuses))
    return Refuse(call, BadParameter("status", fmt::format("is one of {}", fmt::join(kStatuses, ", ")), 422));
  const auto template_id = NumberParameter(call, "template_id", 0, 1, INT64_MAX);
  if (!template_id) return Refuse(call, BadParameter("template_id", "the id of a template", 422));
  Paging paging{.query = "messages",
                .key = {"accepted_at_us", "message_id"},
                .key_parameters = {"before", "before_id"},
                .first = {Value::Integer(INT64_MAX), Value::Integer(INT64_MAX)},
                .fixed = {{"status", Value::Text(status)}, {"template_id", Value::Integer(*template_id)}},
                .row = MessageJson};
  if (call.request.Query("to")) {
    const auto address = schema::ParseAddress(std::string(*call.request.Query("to")));
    if (!address) return Refuse(call, BadParameter("to", address.error().message, 422));
    const auto keys = KeysOf(call);
    if (!keys) return Refuse(call, keys.error());
    paging.query = "messages_to";
    paging.fixed.push_back({"contact_key", Value::Blob(schema::ContactKey(**keys, address->normalised))});
  }
  List(std::move(call), std::move(paging));
}

void ShowMessage(Call call) {
  const auto id = IdParam(call);
  if (!id || !schema::IsMessage(*id)) return Refuse(call, NoSuch("message"));
  Read(std::move(call), "message", [id = *id](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, "message", {{"message_id", Number(id)}}));
    if (rows.empty()) return Missing("message");
    MAILY_TRY(const Rows history,
              QueryOwn(c, "send_history",
                       {{"campaign_id", Number(id)}, {"contact_id", rows.at(0, "contact_id")}, {"limit", Value::Integer(kHistoryMax)}}));
    Json body = MessageJson(rows, 0);
    body["history"] = RowsJson(history);
    return body;
  });
}

void CountMessages(Call call) {
  const auto days = NumberParameter(call, "days", 30, 1, kCountDaysMax);
  if (!days) return Refuse(call, BadParameter("days", fmt::format("1 to {}", kCountDaysMax), 422));
  const int64_t today = call.api->parts.clock.Now().us / kDayUs;
  Read(std::move(call), "message_counts", [since = (today - *days + 1) * kDayUs, until = (today + 1) * kDayUs](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows,
              QueryOwn(c, "message_counts",
                       {{"since", Value::Integer(since)}, {"until", Value::Integer(until)}, {"limit", Value::Integer(kPageSizeMax * 10)}}));
    Json items = Json::array();
    for (size_t row = 0; row < rows.size(); ++row) {
      items.push_back({{"template_id", rows.at(row, "template_id").integer},
                       {"day", Rfc3339(rows.at(row, "day").integer * kDayUs).substr(0, 10)},
                       {"status", rows.at(row, "status").bytes},
                       {"messages", rows.at(row, "messages").integer}});
    }
    return Json{{"items", std::move(items)}};
  });
}

}  // namespace maily::api
