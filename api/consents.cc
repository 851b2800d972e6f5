// Consents: the ledger of a contact, the texts that people read, and the forms that they fill in.
#include <algorithm>
#include <map>

#include "api/body.h"
#include "api/confirmations.h"
#include "api/handlers.h"
#include "api/people_pages.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/consents/v1/commands.pb.h"
#include "schemas/agent.h"
#include "schemas/keys.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
#include "streams/keyring/cipher.h"

namespace maily::api {
namespace {

constexpr Duration kViewWait = Seconds(2);
constexpr size_t kHashBytes = 32;
constexpr size_t kTextBytesMax = 16 * 1024;
constexpr size_t kProofBytesMax = 500;
constexpr size_t kSourceBytesMax = 40;
constexpr size_t kIpBytesMax = 64;
constexpr size_t kHistoryMax = 1'000;  // the newest entries

// 64 hexadecimal digits as 32 bytes; none: they are not that.
std::optional<std::string> HashOf(std::string_view hex) {
  if (hex.size() != 2 * kHashBytes) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    int byte = 0;
    for (const char c : hex.substr(i, 2)) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) return std::nullopt;
      byte = byte * 16 + digit;
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

// The member "text": the id of a consent text; empty if there is none.
std::string ReadText(Body& body, bool required) {
  const auto hex = body.Text("text", kNameBytesMax, required);
  if (!hex) return {};
  auto hash = HashOf(*hex);
  if (!hash) body.Violation("text", "invalid", "is the id of a consent text: 64 hexadecimal digits in lower case");
  return hash.value_or("");
}

// ---- The ledger ----

struct Entry {
  int64_t at_us = 0;
  int64_t sequence = 0;
  std::string purpose;  // of a list "list/1"
  Json json;
};

Json EntryJson(uint64_t list_id, const std::string& purpose, std::string_view state, int64_t at_us, const std::string& source) {
  Json json;
  if (list_id != 0) json["list_id"] = list_id;
  if (list_id == 0) json["purpose"] = purpose;
  json["state"] = state;
  json["at"] = Rfc3339(at_us);
  json["source"] = source;
  return json;
}
std::string PurposeOf(int64_t list_id, const std::string& purpose) { return list_id == 0 ? purpose : fmt::format("list/{}", list_id); }

void AddConsents(const Rows& rows, std::vector<Entry>& entries) {
  for (size_t row = 0; row < rows.size(); ++row) {
    const int64_t list_id = rows.at(row, "list_id").integer;
    const std::string& purpose = rows.at(row, "purpose").bytes;
    const int64_t at_us = rows.at(row, "at_us").integer;
    Json json = EntryJson(static_cast<uint64_t>(list_id), purpose, rows.at(row, "state").bytes, at_us, rows.at(row, "source").bytes);
    for (const char* column : {"text_hash", "proof", "form_id", "campaign_id", "expires_at_us", "ip", "user_agent"}) {
      const Value& value = rows.at(row, column);
      const bool empty = value.type == sql::Type::kNull || (value.type == sql::Type::kInteger && value.integer == 0) ||
                         (value.type == sql::Type::kText && value.bytes.empty());
      if (!empty) json[std::string_view(column) == "text_hash" ? "text" : MemberOf(column)] = CellJson(column, value);
    }
    entries.push_back({at_us, rows.at(row, "sequence").integer, PurposeOf(list_id, purpose), std::move(json)});
  }
}

// Memberships that came about, or ended, without a consent: an import, a join by the API.
void AddMemberships(const Rows& rows, std::vector<Entry>& entries) {
  for (size_t row = 0; row < rows.size(); ++row) {
    const int64_t list_id = rows.at(row, "list_id").integer;
    const auto add = [&](const char* at, std::string_view state, const char* source, int64_t sequence) {
      const int64_t at_us = rows.at(row, at).integer;
      entries.push_back({at_us, sequence, PurposeOf(list_id, {}),
                         EntryJson(static_cast<uint64_t>(list_id), {}, state, at_us, rows.at(row, source).bytes)});
    };
    if (rows.at(row, "by_consent").integer == 0) add("joined_at_us", "granted", "source", 0);
    const bool left = rows.at(row, "left_at_us").type != sql::Type::kNull;
    if (left && rows.at(row, "left_by_consent").integer == 0)
      add("left_at_us", "withdrawn", "left_source", rows.at(row, "left_sequence").integer);
  }
}

Result<Json> LedgerJson(Call& call, const Parameter& which, int64_t at_us) {
  std::vector<Entry> entries;
  MAILY_TRY(const Rows consents, QueryOwn(call, "consents_of_contact", {which}));
  AddConsents(consents, entries);
  MAILY_TRY(const Rows memberships, QueryOwn(call, "memberships_of_contact", {which}));
  AddMemberships(memberships, entries);
  std::erase_if(entries, [at_us](const Entry& entry) { return entry.at_us > at_us; });
  std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.at_us, entry.sequence); });
  std::map<std::string, const Entry*> newest;
  for (const Entry& entry : entries) newest[entry.purpose] = &entry;
  Json out;
  out["contact_id"] = CellJson("contact_id", which.value);
  const auto marketing = newest.find("marketing");
  out["opted_out"] = marketing != newest.end() && marketing->second->json["state"] == "withdrawn";
  out["consents"] = Json::array();
  for (const auto& [purpose, entry] : newest) out["consents"].push_back(entry->json);
  out["history"] = Json::array();
  for (size_t i = entries.size() > kHistoryMax ? entries.size() - kHistoryMax : 0; i < entries.size(); ++i)
    out["history"].push_back(entries[i].json);
  return out;
}

// ---- Recording ----

// What a consent is of must be there: `then` with the contact's key, once the view shows what this process wrote before.
void WithContact(Call call, consents::v1::RecordConsent command,
                 std::move_only_function<void(Call call, consents::v1::RecordConsent command)> then) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  AfterOwnWrites(
      std::move(call), "contact", kViewWait, [id = *id, command = std::move(command), then = std::move(then)](Call c, bool) mutable {
        const auto contact = QueryOwn(c, "contact", {{"contact_id", Number(id)}});
        if (!contact) return Refuse(c, contact.error());
        if (contact->empty()) return Refuse(c, NoSuch("contact"));
        command.set_contact_key(contact->at(0, "contact_key").bytes);
        std::vector<http::ProblemDetail> missing;
        if (command.list_id() != 0) {
          const auto list = QueryOwn(c, "list", {{"list_id", Number(command.list_id())}});
          if (!list) return Refuse(c, list.error());
          if (list->empty()) missing.push_back({.path = "/list_id", .code = "list_not_found", .hint = "there is no such list"});
        }
        if (!command.text_hash().empty()) {
          const auto text = QueryOwn(c, "consent_text", {{"text_hash", Value::Blob(command.text_hash())}});
          if (!text) return Refuse(c, text.error());
          if (text->empty())
            missing.push_back({.path = "/text", .code = "consent_text_not_found", .hint = "register it with POST /v1/consent-texts"});
        }
        if (!missing.empty()) return Refuse(c, Violations(std::move(missing)));
        then(std::move(c), std::move(command));
      });
}

// What personal fields are sealed with: the contact's key, which is durable then; empty if there is nothing to seal.
using Seals = std::vector<keyring::SubjectKey>;
void WithSeals(Call call, const consents::v1::RecordConsent& command, std::move_only_function<void(Call call, Seals seals)> then) {
  if ((command.ip().empty() && command.user_agent().empty()) || call.dry_run()) return then(std::move(call), {});
  gateway::SubjectKeys& keys = call.api->gateway.subject_keys();
  const TenantId tenant = call.caller.tenant;
  std::vector<std::string> subjects = {command.contact_key()};
  keys.Get(tenant, std::move(subjects), [call = std::move(call), then = std::move(then)](Result<Seals> made) mutable {
    if (!made) return Refuse(call, made.error());
    then(std::move(call), std::move(*made));
  });
}
gateway::Order OrderOf(consents::v1::RecordConsent command, const Seals& seals, TenantId tenant, Entropy& entropy) {
  gateway::Order order = gateway::PlainOrder(command, command.contact_key());
  if (seals.empty()) return order;
  schema::SealPersonal(command, tenant, seals[0], entropy);
  order.payload = command.SerializeAsString();
  return order;
}

// With the link that confirms, for whoever asked to mail it.
void AnswerPending(Call& call, const gateway::Verdict& verdict, uint64_t contact_id) {
  if (verdict.kind == gateway::Verdict::Kind::kUnavailable) {
    return Refuse(call,
                  http::Problem{.status = 503, .code = "unavailable", .message = "it is not known whether this was taken; send it again"});
  }
  Json body = BodyOf(verdict);
  if (verdict.kind == gateway::Verdict::Kind::kPending) return Answer(call, 202, {{"status", "pending"}}, TokenOf(call, {&verdict, 1}));
  if (!IsDone(verdict)) {
    return Refuse(call,
                  http::Problem{.status = body.value("status", 422), .code = body.value("code", ""), .message = body.value("message", "")});
  }
  if (body.contains("number")) {
    const auto keys = KeysOf(call);
    if (!keys) return Refuse(call, keys.error());
    const schema::ContactId id = schema::UnpackContactId(contact_id);
    const uint64_t number = body["number"].get<uint64_t>();
    body["confirm_url"] = fmt::format("{}/y/{}", call.api->parts.tracking_base_url,
                                      schema::EncodeTrackingId({.kind = schema::TrackingKind::kConfirm,
                                                                .tenant = call.caller.tenant,
                                                                .partition = id.partition,
                                                                .campaign_id = number,
                                                                .ordinal = id.ordinal},
                                                               **keys));
    body["expires_at"] = Rfc3339(body["expires_at_us"].get<int64_t>());
    body.erase("number");
    body.erase("expires_at_us");
    if (body.contains("mailed")) body["mailed"] = body["mailed"] != 0;
  }
  Answer(call, 200, body, TokenOf(call, {&verdict, 1}));
}

// The language of a consent text, or empty. Blocking.
std::string LanguageOf(Call& call, const std::string& text_hash) {
  const auto text = QueryOwn(call, "consent_text", {{"text_hash", Value::Blob(text_hash)}});
  return !text || text->empty() ? std::string() : text->at(0, "language").bytes;
}

// The mail of the confirmation is prepared first, then the consent is recorded with it.
void RecordMailed(Call call, consents::v1::RecordConsent command, messages::v1::PrepareMessages prepare, Seals seals, uint64_t contact_id) {
  gateway::Order first = ConfirmationOrder(call, prepare);
  std::string whole = prepare.SerializeAsString() + command.SerializeAsString();
  auto next = [command = std::move(command), seals = std::move(seals), tenant = call.caller.tenant,
               &entropy = call.api->parts.entropy](const nlohmann::json& prepared) mutable {
    *command.mutable_mailing() = ConfirmationMailIn(prepared);
    return std::vector<gateway::Order>{OrderOf(command, seals, tenant, entropy)};
  };
  SubmitThen(
      std::move(call), std::move(whole), std::move(first), std::move(next),
      [contact_id](Call& answered, std::vector<gateway::Verdict>& verdicts) { AnswerPending(answered, verdicts.back(), contact_id); });
}

// Its address, of a row of `forms`, and what its mails are made of.
Json FormJson(const Call& call, const keyring::TenantKeys& keys, const Rows& rows, size_t row) {
  Json out = RowJson(rows, row, "form_id");
  for (const char* member : {"mail_form_id", "mail_template_id", "mail_template_version"}) out.erase(member);
  if (const int64_t template_id = rows.at(row, "mail_template_id").integer; rows.at(row, "mail_form_id").integer != 0) {
    out["mail"] = template_id == 0 ? Json{{"template_id", nullptr}}
                                   : Json{{"template_id", template_id}, {"version", rows.at(row, "mail_template_version").integer}};
  }
  out["text"] = out["text_hash"];
  out.erase("text_hash");
  out["url"] = fmt::format(
      "{}/f/{}", call.api->parts.tracking_base_url,
      FormToken(call.caller.tenant, static_cast<uint64_t>(rows.at(row, "form_id").integer), call.api->parts.log.partition_count, keys));
  return out;
}

}  // namespace

void ShowConsents(Call call) {
  const auto at_us = AsOf(call);
  if (!at_us) return;
  const auto given = call.request.Query("as_of");
  Show(std::move(call), "contact", "contact_id", "consents_of_contact",
       [at_us = *at_us, given](Call& c, const Rows&, const Parameter& which) -> Result<Json> {
         MAILY_TRY(Json out, LedgerJson(c, which, at_us));
         if (given) out["as_of"] = Rfc3339(at_us);
         return out;
       });
}

void RecordConsent(Call call) {
  Body body(call);
  consents::v1::RecordConsent command;
  if (const auto list_id = body.Integer("list_id", 1, INT64_MAX)) command.set_list_id(static_cast<uint64_t>(*list_id));
  if (const auto purpose = body.Text("purpose", kNameBytesMax)) command.set_purpose(*purpose);
  if (body.Parsed(call) && command.list_id() == 0 && command.purpose().empty())
    body.Violation("list_id", "missing", "name a list by list_id, or a purpose by its name");
  const auto state = body.Text("state", kNameBytesMax, kRequired);
  if (state && *state != "granted" && *state != "withdrawn") body.Violation("state", "invalid", "is granted or withdrawn");
  command.set_granted(state == "granted");
  command.set_source(body.Text("source", kSourceBytesMax).value_or("api"));
  command.set_text_hash(ReadText(body, false));
  command.set_proof(body.Text("proof", kProofBytesMax).value_or(""));
  command.set_ip(body.Text("ip", kIpBytesMax).value_or(""));
  command.set_user_agent(schema::BoundedAgent(body.Text("user_agent", 4096).value_or("")));
  command.set_double_opt_in(body.Boolean("double_opt_in").value_or(false));
  command.set_mail(body.Boolean("mail").value_or(false));
  if (command.mail() && !command.double_opt_in()) body.Violation("mail", "invalid", "is of a double opt-in: say double_opt_in too");
  messages::v1::PrepareMessages prepare = ReadConfirmationMail(body, command.mail(), "mail");
  if (!body.Accepted(call)) return;
  WithContact(std::move(call), std::move(command), [prepare = std::move(prepare)](Call checked, consents::v1::RecordConsent full) mutable {
    const uint64_t contact_id = IdParam(checked).value_or(0);
    const bool asks = full.double_opt_in();
    if (full.mail() && !full.text_hash().empty()) prepare.set_language(LanguageOf(checked, full.text_hash()));
    WithSeals(std::move(checked), full, [contact_id, asks, prepare = std::move(prepare), full](Call c, Seals seals) mutable {
      if (full.mail()) return RecordMailed(std::move(c), std::move(full), std::move(prepare), std::move(seals), contact_id);
      gateway::Order order = OrderOf(std::move(full), seals, c.caller.tenant, c.api->parts.entropy);
      if (!asks) return Submit(std::move(c), std::move(order), {.more = {{"contact_id", std::to_string(contact_id)}}});
      std::vector<gateway::Order> one;
      one.push_back(std::move(order));
      SubmitBatch(std::move(c), std::move(one), kDecisionTimeout, [contact_id](Call& answered, std::vector<gateway::Verdict>& verdicts) {
        AnswerPending(answered, verdicts[0], contact_id);
      });
    });
  });
}

void DefineConsentText(Call call) {
  Body body(call);
  consents::v1::DefineConsentText command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  command.set_language(body.Text("language", 35).value_or(""));
  if (const auto text = body.Text("text", kTextBytesMax, kRequired)) command.set_text(*text);
  if (!body.Accepted(call)) return;
  command.set_hash(std::string(keyring::View(keyring::Sha256(command.text()))));
  Json more{{"id", CellJson("text_hash", Value::Blob(command.hash()))}};
  SubmitHome(std::move(call), command, {.status = 201, .more = std::move(more)});
}

void ListConsentTexts(Call call) {
  List(std::move(call), {.query = "consent_texts", .key = {"text_hash"}, .first = {Value::Blob("")}, .id_column = "text_hash"});
}

void DefineForm(Call call) {
  Body body(call);
  consents::v1::DefineForm command;
  consents::v1::FormSpec& spec = *command.mutable_spec();
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) spec.set_name(*name);
  if (const auto list_id = body.Integer("list_id", 1, INT64_MAX, kRequired)) spec.set_list_id(static_cast<uint64_t>(*list_id));
  spec.set_text_hash(ReadText(body, kRequired));
  spec.set_double_opt_in(body.Boolean("double_opt_in").value_or(false));
  spec.set_redirect_url(body.Text("redirect_url", 1000).value_or(""));
  messages::v1::PrepareMessages prepare = ReadConfirmationMail(body, spec.double_opt_in(), "double_opt_in");
  if (!body.Accepted(call)) return;
  Shape shape{.status = 201, .id_member = "form_id", .collection = "/v1/forms", .more = {{"name", spec.name()}}};
  if (!spec.double_opt_in()) return SubmitHome(std::move(call), command, std::move(shape));
  AfterOwnWrites(
      std::move(call), "consent_text", kViewWait,
      [command = std::move(command), prepare = std::move(prepare), shape = std::move(shape)](Call c, bool) mutable {
        prepare.set_language(LanguageOf(c, command.spec().text_hash()));
        gateway::Order first = ConfirmationOrder(c, prepare);
        std::string whole = prepare.SerializeAsString() + command.SerializeAsString();
        auto next = [command = std::move(command), home = schema::HomeKey(c.caller.tenant)](const nlohmann::json& prepared) mutable {
          *command.mutable_spec()->mutable_mail() = ConfirmationMailIn(prepared);
          return std::vector<gateway::Order>{gateway::PlainOrder(command, home)};
        };
        SubmitThen(
            std::move(c), std::move(whole), std::move(first), std::move(next),
            [shape = std::move(shape)](Call& held, std::vector<gateway::Verdict>& verdicts) { Conclude(held, verdicts.back(), shape); });
      });
}

void ListForms(Call call) {
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  Paging paging{.query = "forms", .key = {"form_id"}};
  paging.body = [](Call& c, const RowPage& page) {
    Json items = Json::array();
    const auto own = KeysOf(c);
    for (size_t row = 0; own && row < page.count; ++row) items.push_back(FormJson(c, **own, page.rows, row));
    return Json{{"items", std::move(items)}};
  };
  List(std::move(call), std::move(paging));
}

void ShowForm(Call call) {
  Show(std::move(call), "form", "form_id", "form", [](Call& c, const Rows& found, const Parameter&) -> Result<Json> {
    MAILY_TRY(const keyring::TenantKeys* keys, KeysOf(c));
    return FormJson(c, *keys, found, 0);
  });
}

void ArchiveForm(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("form"));
  consents::v1::ArchiveForm command;
  command.set_form_id(*id);
  SubmitHome(std::move(call), command, {.more = {{"id", *id}, {"status", "archived"}}});
}

}  // namespace maily::api
