// See people_pages.h.
#include "api/people_pages.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

#include "api/call.h"
#include "api/page_texts.h"
#include "api/read.h"
#include "maily/consents/v1/commands.pb.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/address.h"
#include "schemas/agent.h"
#include "schemas/keys.h"
#include "schemas/network.h"
#include "schemas/sealed.h"
#include "schemas/tracking_id.h"
#include "schemas/types.h"
#include "streams/base/html.h"

namespace maily::api {
namespace {

using gateway::Outcome;
using gateway::Verdict;
using http::Request;
using http::Respond;
using http::Response;
using schema::TrackingId;
using schema::TrackingKind;

constexpr Duration kChangeWait = Seconds(5);
constexpr size_t kBodyMax = 16 * 1024;
constexpr size_t kFieldsMax = 200;
constexpr int kMergesMax = 16;                 // in a row (contacts::kMergedAddressesMax)
constexpr std::string_view kTrap = "website";  // a field that no person sees, and programs fill in

// ---- HTML ----

Response Page(int status, const PageTexts& texts, std::string_view title, std::string_view body, std::string_view form_action = "'self'") {
  Response response = Response::Html(
      status, fmt::format("<!doctype html><html lang=\"{}\" dir=\"{}\"><head><meta charset=\"utf-8\">"
                          "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">"
                          "<title>{}</title><style>body{{font:18px/1.5 system-ui,sans-serif;margin:8vh auto;max-width:32em;padding:0 1em}}"
                          "button,input{{font:inherit;padding:.4em 1em}}li{{list-style:none;margin:.8em 0}}ul{{padding:0}}"
                          ".trap{{position:absolute;left:-9999px}}small{{display:block}}</style></head><body><main><h1>{}</h1>{}</main>"
                          "</body></html>",
                          texts.language, texts.direction, Html(title), Html(title), body));
  response.headers.Add("cache-control", "no-store, max-age=0");
  response.headers.Add("referrer-policy", "no-referrer");
  response.headers.Add(
      "content-security-policy",
      fmt::format("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action {}", form_action));
  return response;
}
std::string Paragraph(std::string_view text) { return fmt::format("<p role=\"status\">{}</p>", Html(text)); }
std::string Button(std::string_view action, std::string_view label) {
  return fmt::format("<p><button type=\"submit\" name=\"action\" value=\"{}\">{}</button></p>", action, Html(label));
}

Response NotFound(const Request& request) {
  return http::ToResponse({.status = 404, .code = "not_found", .message = "there is no such link"}, request.trace_id, "/");
}
Response Unavailable(const PageTexts& texts, std::string_view title) {
  Response response = Page(503, texts, title, Paragraph(texts.unavailable));
  response.headers.Add("retry-after", "5");
  return response;
}

// application/x-www-form-urlencoded, in its order. What is malformed is left out.
std::vector<std::pair<std::string, std::string>> FieldsOf(std::string_view body) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!body.empty() && fields.size() < kFieldsMax) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    auto name = http::PercentDecode(pair.substr(0, equals), true);
    auto value = http::PercentDecode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (name && value) fields.emplace_back(std::move(*name), std::move(*value));
  }
  return fields;
}
std::string FieldOf(const std::vector<std::pair<std::string, std::string>>& fields, std::string_view name) {
  const auto found = std::ranges::find_if(fields, [&](const auto& field) { return field.first == name; });
  return found == fields.end() ? std::string() : found->second;
}

// ---- Who it is ----

struct Pages;

// Of the page of one person. `known` false: the views do not show the contact, or cannot be asked.
struct Visitor {
  TrackingId id;
  bool known = false;
  const PageTexts* texts = &TextsFor({});
  std::string contact_key = {};
  bool opted_out = false;
  int64_t contact_id = 0;  // who it is now: whom that one was merged into
};

std::string LanguageIn(const Value& attributes) {
  const Json object = Json::parse(attributes.bytes, nullptr, false);
  if (!object.is_object()) return {};
  for (const char* name : {"language", "locale"}) {
    if (object.contains(name) && object[name].is_string()) return object[name].get<std::string>();
  }
  return {};
}

class FormClients {
 public:
  // False: it has filled in too many lately, or nobody can be told apart at present.
  bool Take(const std::string& peer, Duration now) {
    const std::lock_guard lock(mutex_);
    std::string who = peer.find(':') == std::string::npos ? peer : schema::NetworkOf(peer);
    if (who.empty()) who = peer;
    if (clients_.size() >= kFormClientsMax && !clients_.contains(who)) {
      std::erase_if(clients_, [now](const auto& one) { return now - one.second.since >= kFormWindow; });
      if (clients_.size() >= kFormClientsMax) return false;
    }
    Client& client = clients_.try_emplace(who, Client{now, 0}).first->second;
    if (now - client.since >= kFormWindow) client = {now, 0};
    return ++client.posts <= kFormPostsMax;
  }

 private:
  struct Client {
    Duration since;
    int posts = 0;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Client> clients_;
};

struct Pages : std::enable_shared_from_this<Pages> {
  std::shared_ptr<Shared> api;
  FormClients clients;

  std::optional<TrackingId> Decode(const Request& request, TrackingKind kind) const {
    const auto id = schema::DecodeTrackingId(request.Param("token"), api->parts.keyring);
    if (!id || id->kind != kind || id->partition.value() >= api->parts.log.partition_count) return std::nullopt;
    return *id;
  }
  Result<Rows> Ask(std::string_view query, TenantId tenant, std::vector<projections::Parameter> parameters = {}) const {
    parameters.push_back({"tenant", Value::Integer(tenant.value())});
    return api->parts.views.Query(query, parameters);
  }
  static projections::Parameter ContactOf(const TrackingId& id) {
    return {"contact_id", Number(schema::PackContactId({id.partition, id.ordinal}))};
  }
  // Blocking.
  Visitor Look(const TrackingId& id) const {
    Visitor visitor{.id = id};
    visitor.contact_id = ContactOf(id).value.integer;
    auto rows = Ask("contact", id.tenant, {ContactOf(id)});
    for (int merges = 0; rows && !rows->empty() && rows->at(0, "merged_into").type != sql::Type::kNull && merges < kMergesMax; ++merges) {
      visitor.contact_id = rows->at(0, "merged_into").integer;
      rows = Ask("contact", id.tenant, {{"contact_id", rows->at(0, "merged_into")}});
    }
    if (!rows || rows->empty()) return visitor;
    visitor.known = true;
    std::string language = LanguageIn(rows->at(0, "attributes"));
    if (language.empty()) language = LanguageIn(rows->at(0, "personal_attributes"));
    visitor.texts = &TextsFor(language);
    visitor.contact_key = rows->at(0, "contact_key").bytes;
    visitor.opted_out = rows->at(0, "unsubscribed_at_us").type != sql::Type::kNull;
    return visitor;
  }

  // Seals where it was done from under the contact's key; without a key it is left out. Then `command` goes to the contact's partition.
  template <class M>
  void Change(const Visitor& visitor, const Request& request, M command, gateway::Done done) {
    gateway::Asker asker{visitor.id.tenant, "person", request.trace_id};
    const auto submit = [self = shared_from_this(), asker, partition = visitor.id.partition](const M& sealed, gateway::Done then) {
      gateway::Order order = gateway::PlainOrder(sealed, {});
      order.partition = partition;
      self->api->gateway.Submit(asker, order, kChangeWait, std::move(then));
    };
    if (visitor.contact_key.empty()) return submit(command, std::move(done));
    command.set_ip(request.peer);
    command.set_user_agent(schema::BoundedAgent(request.headers["user-agent"]));
    std::vector<std::string> subjects = {visitor.contact_key};
    api->gateway.subject_keys().Get(visitor.id.tenant, std::move(subjects),
                                    [self = shared_from_this(), tenant = visitor.id.tenant, command = std::move(command), submit,
                                     done = std::move(done)](Result<std::vector<keyring::SubjectKey>> keys) mutable {
                                      if (keys) {
                                        schema::SealPersonal(command, tenant, (*keys)[0], self->api->parts.entropy);
                                      } else {
                                        schema::ClearPersonal(command);
                                      }
                                      submit(command, std::move(done));
                                    });
  }
  void Blocking(Job job) const { api->blocking().Post(std::move(job)); }
};

// Whether the change holds, as far as anybody knows: durable, and not refused.
bool Holds(const Verdict& verdict) {
  if (verdict.kind == Verdict::Kind::kPending) return true;
  return verdict.kind == Verdict::Kind::kDecided && (verdict.decided() == Outcome::kDone || verdict.decided() == Outcome::kUnchanged);
}
bool Refused(const Verdict& verdict, Outcome outcome) { return verdict.kind == Verdict::Kind::kDecided && verdict.decided() == outcome; }

// ---- Preferences ----

struct PublicList {
  uint64_t id = 0;
  std::string name;
  std::string description;
};

Result<std::vector<PublicList>> PublicLists(const Pages& pages, TenantId tenant) {
  MAILY_TRY(const Rows rows, pages.Ask("public_lists", tenant));
  std::vector<PublicList> lists;
  for (size_t row = 0; row < rows.size(); ++row) {
    lists.push_back(
        {static_cast<uint64_t>(rows.at(row, "list_id").integer), rows.at(row, "name").bytes, rows.at(row, "description").bytes});
  }
  return lists;
}

Response PreferencePage(int status, const Visitor& visitor, const std::vector<PublicList>& lists, const std::set<uint64_t>& ticked,
                        bool opted_out, std::string_view said) {
  const PageTexts& texts = *visitor.texts;
  std::string body;
  if (!said.empty()) body += Paragraph(said);
  if (opted_out && said.empty()) body += Paragraph(texts.opted_out);
  if (visitor.known && !lists.empty()) {
    body += fmt::format("<form method=\"post\"><fieldset><legend>{}</legend><ul>", Html(texts.preferences_intro));
    for (const PublicList& list : lists) {
      body += fmt::format("<li><label><input type=\"checkbox\" name=\"list\" value=\"{}\"{}> {}</label>", list.id,
                          ticked.contains(list.id) ? " checked" : "", Html(list.name));
      if (!list.description.empty()) body += fmt::format("<small>{}</small>", Html(list.description));
      body += "</li>";
    }
    body += "</ul></fieldset>" + Button("save", texts.save) + "</form>";
  } else if (visitor.known) {
    body += fmt::format("<p>{}</p>", Html(texts.no_lists));
  }
  body += fmt::format("<form method=\"post\"><p>{}</p>{}</form>", Html(texts.leave_all_hint), Button("leave_all", texts.leave_all));
  return Page(status, texts, texts.preferences_title, body);
}

void ShowPreferences(const std::shared_ptr<Pages>& pages, const Request& request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kPreferences);
  if (!id) return respond(NotFound(request));
  pages->Blocking([pages, id = *id, respond = std::move(respond)]() mutable {
    Visitor visitor = pages->Look(id);
    std::set<uint64_t> ticked;
    const auto lists = PublicLists(*pages, id.tenant);
    const auto mine = pages->Ask("lists_of_contact", id.tenant, {{"contact_id", Value::Integer(visitor.contact_id)}});
    if (!lists || !mine) visitor.known = false;
    for (size_t row = 0; mine && !visitor.opted_out && row < mine->size(); ++row)
      ticked.insert(static_cast<uint64_t>(mine->at(row, "list_id").integer));
    respond(PreferencePage(200, visitor, lists.has_value() ? *lists : std::vector<PublicList>(), ticked, visitor.opted_out, {}));
  });
}

void LeaveAll(const std::shared_ptr<Pages>& pages, const Visitor& visitor, const Request& request, Respond respond) {
  consents::v1::ChangePreferences command;
  command.set_ordinal(visitor.id.ordinal);
  command.set_campaign_id(visitor.id.campaign_id);
  command.set_leave_all(true);
  pages->Change(visitor, request, std::move(command),
                [visitor, trace = request.trace_id, respond = std::move(respond)](const Verdict& verdict) mutable {
                  const PageTexts& texts = *visitor.texts;
                  if (!Holds(verdict)) return respond(Unavailable(texts, texts.preferences_title));
                  respond(Page(200, texts, texts.preferences_title, Paragraph(texts.left)));
                });
}

void ChangePreferences(const std::shared_ptr<Pages>& pages, Request request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kPreferences);
  if (!id) return respond(NotFound(request));
  pages->Blocking([pages, id = *id, request = std::move(request), respond = std::move(respond)]() mutable {
    const Visitor visitor = pages->Look(id);
    const auto fields = FieldsOf(request.body);
    if (FieldOf(fields, "action") == "leave_all") return LeaveAll(pages, visitor, request, std::move(respond));
    const auto lists = PublicLists(*pages, id.tenant);
    if (!lists || !visitor.known) return respond(Unavailable(*visitor.texts, visitor.texts->preferences_title));
    std::set<std::string> given;
    for (const auto& [name, value] : fields) {
      if (name == "list") given.insert(value);
    }
    consents::v1::ChangePreferences command;
    command.set_ordinal(id.ordinal);
    command.set_campaign_id(id.campaign_id);
    std::set<uint64_t> ticked;
    for (const PublicList& list : *lists) {  // of any other list nobody learns or changes anything here
      const bool wanted = given.contains(std::to_string(list.id));
      if (wanted) ticked.insert(list.id);
      wanted ? command.add_wanted(list.id) : command.add_unwanted(list.id);
    }
    const bool opted_out = visitor.opted_out && ticked.empty();
    pages->Change(
        visitor, request, std::move(command),
        [visitor, lists = *lists, ticked = std::move(ticked), opted_out, respond = std::move(respond)](const Verdict& verdict) mutable {
          const PageTexts& texts = *visitor.texts;
          if (Refused(verdict, Outcome::kInvalid)) return respond(PreferencePage(422, visitor, lists, ticked, opted_out, texts.too_many));
          if (!Holds(verdict)) return respond(Unavailable(texts, texts.preferences_title));
          respond(PreferencePage(200, visitor, lists, ticked, opted_out, texts.saved));
        });
  });
}

// ---- Confirmations ----

Response ExpiredPage(const PageTexts& texts, bool offers_mail) {
  const std::string more = offers_mail ? fmt::format("<form method=\"post\">{}</form>", Button("again", texts.ask_again))
                                       : fmt::format("<p>{}</p>", Html(texts.expired_hint));
  return Page(410, texts, texts.confirm_title, Paragraph(texts.expired) + more);
}

// What was asked under the number of the link, as far as the views know.
struct Asked {
  std::set<int64_t> lists;
  int64_t expires_at_us = INT64_MAX;
  bool by_maily = false;  // the mail with the link is Maily's, which can send another one
};
Asked AskedUnder(const Pages& pages, const TrackingId& id) {
  Asked asked;
  const auto rows = pages.Ask("consents_of_contact", id.tenant, {Pages::ContactOf(id)});
  if (!rows) asked.by_maily = true;  // whoever decides knows
  for (size_t row = 0; rows && row < rows->size(); ++row) {
    if (rows->at(row, "number").integer != static_cast<int64_t>(id.campaign_id)) continue;
    asked.lists.insert(rows->at(row, "list_id").integer);
    asked.by_maily = asked.by_maily || rows->at(row, "mail").integer != 0;
    if (rows->at(row, "expires_at_us").type != sql::Type::kNull) asked.expires_at_us = rows->at(row, "expires_at_us").integer;
  }
  return asked;
}

void ShowConfirmation(const std::shared_ptr<Pages>& pages, const Request& request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kConfirm);
  if (!id) return respond(NotFound(request));
  pages->Blocking([pages, id = *id, respond = std::move(respond)]() mutable {
    const Visitor visitor = pages->Look(id);
    const PageTexts& texts = *visitor.texts;
    const Asked asked = AskedUnder(*pages, id);
    if (pages->api->parts.clock.Now().us >= asked.expires_at_us) {
      Response response = ExpiredPage(texts, asked.by_maily);
      response.status = 200;  // looking is no mistake
      return respond(std::move(response));
    }
    std::string names;
    for (const int64_t list_id : asked.lists) {
      const auto list = pages->Ask("list", id.tenant, {{"list_id", Value::Integer(list_id)}});
      if (list && !list->empty()) names += fmt::format("<li>{}</li>", Html(list->at(0, "name").bytes));
    }
    std::string body;
    if (!names.empty()) body += fmt::format("<p>{}</p><ul>{}</ul>", Html(texts.confirm_intro), names);
    body += fmt::format("<form method=\"post\">{}</form>", Button("confirm", texts.confirm_button));
    respond(Page(200, texts, texts.confirm_title, body));
  });
}

void AskAgain(const std::shared_ptr<Pages>& pages, const Visitor& visitor, const Request& request, Respond respond) {
  consents::v1::AskAgain command;
  command.set_ordinal(visitor.id.ordinal);
  command.set_number(visitor.id.campaign_id);
  gateway::Order order = gateway::PlainOrder(command, {});
  order.partition = visitor.id.partition;
  pages->api->gateway.Submit({visitor.id.tenant, "person", request.trace_id}, order, kChangeWait,
                             [texts = visitor.texts, respond = std::move(respond)](const Verdict& verdict) mutable {
                               if (Refused(verdict, Outcome::kConflict))
                                 return respond(Page(409, *texts, texts->confirm_title, Paragraph(texts->asked_recently)));
                               if (Refused(verdict, Outcome::kNotFound)) return respond(ExpiredPage(*texts, false));
                               if (!Holds(verdict)) return respond(Unavailable(*texts, texts->confirm_title));
                               respond(Page(200, *texts, texts->confirm_title, Paragraph(texts->asked_again)));
                             });
}

void Confirm(const std::shared_ptr<Pages>& pages, Request request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kConfirm);
  if (!id) return respond(NotFound(request));
  pages->Blocking([pages, id = *id, request = std::move(request), respond = std::move(respond)]() mutable {
    const Visitor visitor = pages->Look(id);
    if (FieldOf(FieldsOf(request.body), "action") == "again") return AskAgain(pages, visitor, request, std::move(respond));
    consents::v1::ConfirmConsent command;
    command.set_ordinal(id.ordinal);
    command.set_number(id.campaign_id);
    pages->Change(visitor, request, std::move(command),
                  [texts = visitor.texts, offers_mail = AskedUnder(*pages, id).by_maily,
                   respond = std::move(respond)](const Verdict& verdict) mutable {
                    if (Refused(verdict, Outcome::kGone)) return respond(ExpiredPage(*texts, offers_mail));
                    if (Refused(verdict, Outcome::kNotFound)) return respond(ExpiredPage(*texts, false));
                    if (Refused(verdict, Outcome::kInvalid))
                      return respond(Page(422, *texts, texts->confirm_title, Paragraph(texts->too_many)));
                    if (!Holds(verdict)) return respond(Unavailable(*texts, texts->confirm_title));
                    respond(Page(200, *texts, texts->confirm_title, Paragraph(texts->confirmed)));
                  });
  });
}

// ---- Forms ----

struct PublicForm {
  TenantId tenant;
  uint64_t form_id = 0;
  uint64_t list_id = 0;
  std::string list_name;
  std::string description;
  std::string text;
  std::string text_hash;
  std::string redirect_url;
  bool double_opt_in = false;
  consents::v1::ConfirmationMail mail = {};
  const PageTexts* texts = nullptr;
};

// kNotFound: there is none, or it is archived. Blocking.
Result<PublicForm> FormOf(const Pages& pages, const TrackingId& id) {
  MAILY_TRY(const Rows rows, pages.Ask("form_page", id.tenant, {{"form_id", Number(id.campaign_id)}}));
  if (rows.empty() || rows.at(0, "archived_at_us").type != sql::Type::kNull) return Fail(Code::kNotFound, "there is no such form");
  const auto text = [&](const char* column) { return rows.at(0, column).bytes; };
  consents::v1::ConfirmationMail mail;
  mail.set_form_id(static_cast<uint64_t>(rows.at(0, "mail_form_id").integer));
  mail.set_template_id(static_cast<uint64_t>(rows.at(0, "mail_template_id").integer));
  mail.set_template_version(static_cast<uint32_t>(rows.at(0, "mail_template_version").integer));
  return PublicForm{.tenant = id.tenant,
                    .form_id = id.campaign_id,
                    .list_id = static_cast<uint64_t>(rows.at(0, "list_id").integer),
                    .list_name = text("list_name"),
                    .description = text("description"),
                    .text = text("text"),
                    .text_hash = text("text_hash"),
                    .redirect_url = text("redirect_url"),
                    .double_opt_in = rows.at(0, "double_opt_in").integer != 0,
                    .mail = std::move(mail),
                    .texts = &TextsFor(text("language"))};
}

Response FormPage(int status, const PublicForm& form, std::string_view said) {
  const PageTexts& texts = *form.texts;
  std::string body = said.empty() ? std::string() : Paragraph(said);
  if (!form.description.empty()) body += fmt::format("<p>{}</p>", Html(form.description));
  body += fmt::format(
      "<form method=\"post\"><p><label>{}<br><input type=\"email\" name=\"email\" autocomplete=\"email\" required></label></p>"
      "<p class=\"trap\" aria-hidden=\"true\"><label>{} <input name=\"{}\" tabindex=\"-1\" autocomplete=\"off\"></label></p>"
      "<p>{}</p>{}</form>",
      Html(texts.form_email), Html(texts.form_trap), kTrap, Html(form.text), Button("subscribe", texts.form_button));
  return Page(status, texts, form.list_name, body, form.redirect_url.empty() ? "'self'" : "'self' https:");
}

// The same whoever it was.
Response Thanks(const PublicForm& form) {
  if (form.redirect_url.empty()) return Page(200, *form.texts, form.list_name, Paragraph(form.texts->form_done));
  Response response = Response::Redirect(form.redirect_url, 303);
  response.headers.Add("cache-control", "no-store, max-age=0");
  return response;
}

// The contact first, then its consent: both go to the same partition, and whoever asked waits until both are durable.
void Subscribe(const std::shared_ptr<Pages>& pages, const PublicForm& form, const Request& request, contacts::v1::UpsertContact contact,
               Respond respond) {
  consents::v1::RecordConsent consent;
  consent.set_contact_key(contact.contact_key());
  consent.set_list_id(form.list_id);
  consent.set_granted(true);
  consent.set_source("form");
  consent.set_form_id(form.form_id);
  consent.set_text_hash(form.text_hash);
  consent.set_double_opt_in(form.double_opt_in);
  consent.set_by_public(true);
  consent.set_mail(form.double_opt_in);
  if (form.double_opt_in) *consent.mutable_mailing() = form.mail;
  consent.set_ip(request.peer);
  consent.set_user_agent(schema::BoundedAgent(request.headers["user-agent"]));
  std::vector<std::string> subjects = {contact.contact_key()};
  pages->api->gateway.subject_keys().Get(form.tenant, std::move(subjects),
                                         [pages, form, trace = request.trace_id, contact = std::move(contact), consent = std::move(consent),
                                          respond = std::move(respond)](Result<std::vector<keyring::SubjectKey>> keys) mutable {
                                           if (!keys) return respond(Unavailable(*form.texts, form.list_name));
                                           const gateway::Asker asker{form.tenant, fmt::format("form:{}", form.form_id), trace};
                                           gateway::Order first = gateway::PlainOrder(contact, contact.contact_key());
                                           schema::SealPersonal(contact, form.tenant, (*keys)[0], pages->api->parts.entropy);
                                           first.payload = contact.SerializeAsString();
                                           gateway::Order second = gateway::PlainOrder(consent, contact.contact_key());
                                           schema::SealPersonal(consent, form.tenant, (*keys)[0], pages->api->parts.entropy);
                                           second.payload = consent.SerializeAsString();
                                           pages->api->gateway.Append(asker, first, [](const Result<CommandAt>&) {});
                                           pages->api->gateway.Append(
                                               asker, second, [form, respond = std::move(respond)](Result<CommandAt> at) mutable {
                                                 respond(at ? Thanks(form) : Unavailable(*form.texts, form.list_name));
                                               });
                                         });
}

void ShowForm(const std::shared_ptr<Pages>& pages, const Request& request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kForm);
  if (!id) return respond(NotFound(request));
  pages->Blocking([pages, id = *id, request, respond = std::move(respond)]() mutable {
    const auto form = FormOf(*pages, id);
    if (form) return respond(FormPage(200, *form, {}));
    respond(form.error().code == Code::kNotFound ? NotFound(request) : Unavailable(TextsFor({}), "Maily"));
  });
}

void TakeForm(const std::shared_ptr<Pages>& pages, Request request, Respond respond) {
  const auto id = pages->Decode(request, TrackingKind::kForm);
  if (!id) return respond(NotFound(request));
  if (!pages->clients.Take(request.peer, pages->api->parts.clock.Steady())) {
    const PageTexts& texts = TextsFor({});
    Response response = Page(429, texts, "429", Paragraph(texts.too_often));
    response.headers.Add("retry-after", std::to_string(kFormWindow.us / 1'000'000));
    return respond(std::move(response));
  }
  pages->Blocking([pages, id = *id, request = std::move(request), respond = std::move(respond)]() mutable {
    const auto form = FormOf(*pages, id);
    if (!form) return respond(form.error().code == Code::kNotFound ? NotFound(request) : Unavailable(TextsFor({}), "Maily"));
    const auto fields = FieldsOf(request.body);
    if (!FieldOf(fields, kTrap).empty()) return respond(Thanks(*form));
    const auto address = schema::ParseAddress(FieldOf(fields, "email"));
    if (!address) return respond(FormPage(422, *form, form->texts->form_invalid));
    const auto keys = pages->api->parts.keyring.FindTenant(id.tenant);
    if (!keys) return respond(Unavailable(*form->texts, form->list_name));
    contacts::v1::UpsertContact contact;
    contact.set_source(fmt::format("form:{}", form->form_id));
    gateway::Identify(contact, gateway::Registry({}), *address, **keys);
    Subscribe(pages, *form, request, std::move(contact), std::move(respond));
  });
}

}  // namespace

std::string FormToken(TenantId tenant, uint64_t form_id, uint16_t partition_count, const keyring::TenantKeys& keys) {
  return schema::EncodeTrackingId(
      {.kind = TrackingKind::kForm, .tenant = tenant, .partition = schema::HomeOf(tenant, partition_count), .campaign_id = form_id}, keys);
}

std::vector<http::Route> PeopleRoutes(std::shared_ptr<Shared> api) {
  auto pages = std::make_shared<Pages>();
  pages->api = std::move(api);
  using http::Method;
  std::vector<http::Route> routes;
  const auto add = [&](Method method, const char* pattern, auto handler) {
    routes.push_back(
        {.method = method,
         .pattern = pattern,
         .handler = [pages, handler](Request request, Respond respond) { handler(pages, std::move(request), std::move(respond)); },
         .body_bytes_max = kBodyMax});
  };
  add(Method::kGet, "/p/{token}", ShowPreferences);
  add(Method::kPost, "/p/{token}", ChangePreferences);
  add(Method::kGet, "/y/{token}", ShowConfirmation);
  add(Method::kPost, "/y/{token}", Confirm);
  add(Method::kGet, "/f/{token}", ShowForm);
  add(Method::kPost, "/f/{token}", TakeForm);
  return routes;
}

}  // namespace maily::api
