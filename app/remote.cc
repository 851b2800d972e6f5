// See remote.h.
#include "app/remote.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/http/client.h"
#include "app/file_type.h"
#include "streams/base/base64.h"

namespace maily::app {
namespace {

using nlohmann::json;

// How a flag or argument gets into the request.
enum class As {
  kPath,
  kQuery,
  kText,
  kNumber,
  kSwitch,
  kTruth,  // true or false
  kFixed,  // no argument: the member is always `help`
  kList,
  kIds,      // kList of numbers
  kIfMatch,  // into the header
  kAttach,   // kList of attachments: assets
  kEnclose,  // likewise: files, whose bytes go along
  kPairs,    // kList of name=value; a value that is JSON is that, any other a string
  kNames,    // kList of names, each of which becomes null
  kFileText,
  kFileJson,
  kWhole,
  kWho,      // kText; @example.com becomes the member "domain"
  kWhoQuery  // kQuery likewise
};

struct Field {
  const char* name;    // of the argument (no dashes) or flag (--name), and of {name} in the path
  const char* member;  // of the JSON body or the query
  As as;
  bool required;
  const char* help;
};

struct Row {
  const char* group;
  const char* name;
  const char* help;  // with an example
  const char* method;
  const char* path;
  std::vector<Field> fields;
  int (*print)(const Common& common, const HttpAnswer& answer) = PrintAnswer;  // gives the exit code
  const char* confirm = nullptr;                                               // what is asked before; null = nothing
};

// A line a rule; whether all of them hold is the exit code.
int PrintCheck(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !parsed.is_object() || !parsed.contains("lines")) return PrintAnswer(common, answer);
  if (common.json) {
    std::printf("%s\n", answer.body.c_str());
  } else {
    for (const json& line : parsed["lines"]) {
      const std::string fix = line.value("fix", "");
      std::printf("%-4s %s: %s%s%s\n", line.value("ok", false) ? "ok" : "FAIL", line.value("rule", "").c_str(),
                  line.value("found", "").c_str(), fix.empty() ? "" : "; ", fix.c_str());
    }
  }
  return parsed.value("passed", false) ? kExitOk : kExitDifference;
}

// The body as it came, for a file.
int PrintBody(const Common& common, const HttpAnswer& answer) {
  if (answer.status != 200) return PrintAnswer(common, answer);
  std::printf("%s\n", answer.body.c_str());
  return kExitOk;
}

// The entries as a table; whether there are any is the exit code.
int PrintSuppressionCheck(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  const int code = PrintAnswer(common, answer);
  return code == kExitOk && parsed.is_object() && parsed.value("suppressed", false) ? kExitDifference : code;
}

// A line a finding; whether it could be saved so is the exit code.
int PrintLint(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !parsed.is_object() || !parsed.contains("findings")) return PrintAnswer(common, answer);
  if (common.json) {
    std::printf("%s\n", answer.body.c_str());
  } else {
    for (const json& one : parsed["findings"]) {
      const std::string fix = one.value("fix", "");
      std::printf("%-7s %s %s: %s%s%s\n", one.value("level", "").c_str(), one.value("place", "").c_str(), one.value("rule", "").c_str(),
                  one.value("message", "").c_str(), fix.empty() ? "" : " ", fix.c_str());
    }
    std::printf("%d errors, %d warnings\n", parsed.value("errors", 0), parsed.value("warnings", 0));
  }
  return parsed.value("ok", false) ? kExitOk : kExitDifference;
}

// As any answer; whether the template failed for somebody is the exit code.
int PrintSample(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  const int code = PrintAnswer(common, answer);
  return code == kExitOk && parsed.is_object() && parsed.value("failed", 0) > 0 ? kExitDifference : code;
}

const std::vector<Row>& Rows() {
  static const Field kId{"id", "id", As::kPath, true, "its id"};
  static const Field kContact{"id", "id", As::kPath, true, "the contact's id"};
  static const Field kName{"name", "name", As::kPath, true, "its name"};
  static const Field kDomain{"name", "name", As::kPath, true, "its name"};
  static const Field kSite{"site", "site", As::kPath, true, "its name, as in maily site list"};
  static const Field kSize{"--page-size", "page_size", As::kQuery, false, "rows of a page"};
  static const Field kPage{"--page-token", "page_token", As::kQuery, false, "next_page_token of the page before"};
  static const std::vector<Row> rows = {
      {"tenant",
       "create",
       "maily tenant create acme",
       "POST",
       "/v1/tenants",
       {{"name", "name", As::kText, true, "lower-case letters, digits, dashes"}}},
      {"tenant", "list", "maily tenant list", "GET", "/v1/tenants", {kSize, kPage}},
      {"tenant", "settings", "maily tenant settings", "GET", "/v1/settings", {}},
      {"tenant",
       "configure",
       "maily tenant configure --sender news@example.com --company Shop --postal-address '1 Main St'",
       "PUT",
       "/v1/settings",
       {{"--sender", "senders", As::kList, false, "an address that may stand in From; repeat it for more"},
        {"--company", "company", As::kText, false, "who sends"},
        {"--postal-address", "postal_address", As::kText, false, "at the foot of marketing mail"},
        {"--tracking", "tracking", As::kText, false, "on or off: whether campaigns that are launched from now on track opens and clicks"},
        {"--holdout-bp", "holdout_bp", As::kNumber, false, "hundredths of a per cent of the contacts that get no campaign; 0 = none"},
        {"--approval-over", "approval_over", As::kNumber, false,
         "over so many contacts a second person approves a campaign before it is launched; 0 = none does"},
        {"--time-zone", "time_zone", As::kText, false, "IANA, like Europe/Berlin: of schedules, and of contacts without a zone"},
        {"--overdue-minutes", "overdue_minutes", As::kNumber, false, "a scheduled start that is later than this is held"}}},
      {"tenant", "attributes", "maily tenant attributes", "GET", "/v1/attributes", {kSize, kPage}},
      {"tenant",
       "register",
       "maily tenant register recency --type integer",
       "POST",
       "/v1/attributes",
       {{"name", "name", As::kText, true, "of the attribute"},
        {"--type", "type", As::kText, true, "text, integer, number or boolean"},
        {"--personal", "personal", As::kSwitch, false, "sealed at rest; cannot be used in conditions"}}},
      {"domain",
       "add",
       "maily domain add shop.example.com",
       "POST",
       "/v1/domains",
       {{"name", "name", As::kText, true, "the domain in From"},
        {"--return-path", "return_path", As::kText, false, "host of envelope senders; default bounces.<name>"},
        {"--algorithm", "algorithms", As::kList, false, "rsa-sha256 or ed25519-sha256; repeat it for both, which is the default"}}},
      {"domain", "list", "maily domain list", "GET", "/v1/domains", {kSize, kPage}},
      {"domain", "show", "maily domain show shop.example.com (with the DNS records to publish)", "GET", "/v1/domains/{name}", {kDomain}},
      {"domain", "rotate", "maily domain rotate shop.example.com", "POST", "/v1/domains/{name}:rotate", {kDomain}},
      {"domain", "activate", "maily domain activate shop.example.com", "POST", "/v1/domains/{name}:activate", {kDomain}},
      {"domain",
       "check",
       "maily domain check shop.example.com (a line a rule, with what to publish)",
       "POST",
       "/v1/domains/{name}:check",
       {kDomain},
       PrintCheck},
      {"domain", "remove", "maily domain remove shop.example.com", "DELETE", "/v1/domains/{name}", {kDomain}},
      {"key",
       "create",
       "maily key create --label shop --scope ingest",
       "POST",
       "/v1/keys",
       {{"--label", "label", As::kText, true, "what it is for"},
        {"--scope", "scopes", As::kList, true, "admin, read, write or ingest; repeat it for more"}}},
      {"key", "list", "maily key list", "GET", "/v1/keys", {kSize, kPage}},
      {"key", "revoke", "maily key revoke k1", "DELETE", "/v1/keys/{id}", {kId}},
      {"contact",
       "upsert",
       "maily contact upsert --file contact.json",
       "POST",
       "/v1/contacts",
       {{"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"contact", "show", "maily contact show 281474976710657", "GET", "/v1/contacts/{id}", {kId}},
      {"contact",
       "find",
       "maily contact find ann@example.com",
       "GET",
       "/v1/contacts",
       {{"email", "email", As::kQuery, true, "its address"}}},
      {"contact",
       "set",
       "maily contact set 281474976710657 plan=pro age=30 zip='\"007\"' --tag vip (a value that is JSON is that: quote a string of digits)",
       "PATCH",
       "/v1/contacts/{id}",
       {kId,
        {"attributes", "attributes", As::kPairs, false, "NAME=VALUE, of each attribute that changes; others stay"},
        {"--tag", "add_tags", As::kList, false, "a tag to add; repeat it for more"},
        {"--untag", "remove_tags", As::kList, false, "a tag to take off; repeat it for more"}}},
      {"contact",
       "unset",
       "maily contact unset 281474976710657 trial_ends",
       "PATCH",
       "/v1/contacts/{id}",
       {kId, {"attributes", "attributes", As::kNames, true, "names of attributes to remove"}}},
      {"contact",
       "address",
       "maily contact address 281474976710657 ann@new.example (another address for the same person: what they are, got and agreed to "
       "stays)",
       "POST",
       "/v1/contacts/{id}/address",
       {kId, {"email", "email", As::kText, true, "the new address"}}},
      {"contact",
       "merge",
       "maily contact merge 281474976710657 ann@example.com (two contacts become one: the second gets what it lacks, the most restrictive "
       "consent of both, and the address; with --dry-run what would come of it)",
       "POST",
       "/v1/contacts/{id}/merge",
       {kId, {"into", "into", As::kText, true, "the contact that stays: its id or its address"}}},
      {"contact",
       "erase",
       "maily contact erase 281474976710657 --yes (for good: the keys of all that is known of the person are destroyed)",
       "DELETE",
       "/v1/contacts/{id}",
       {kId},
       PrintAnswer,
       "This erases a person for good. Go on?"},
      {"contact",
       "erasure",
       "maily contact erasure 281474976710657 (the receipt: where it stands in the journal, and whether the keys are gone)",
       "GET",
       "/v1/contacts/{id}/erasure",
       {kId}},
      {"contact",
       "timeline",
       "maily contact timeline 281474976710657 (everything that happened to a person, newest first)",
       "GET",
       "/v1/contacts/{id}/timeline",
       {kId, kSize, kPage}},
      {"contact",
       "export",
       "maily contact export 281474976710657 --format html > ann.html (all that is known, to give to the person)",
       "GET",
       "/v1/contacts/{id}/export",
       {kId, {"--format", "format", As::kQuery, false, "json, the default, or html"}},
       PrintBody},
      {"contact", "list", "maily contact list --page-size 50", "GET", "/v1/contacts", {kSize, kPage}},
      {"list",
       "create",
       "maily list create customers --public --description 'One mail a week'",
       "POST",
       "/v1/lists",
       {{"name", "name", As::kText, true, "its name"},
        {"--public", "public", As::kSwitch, false, "people see it on their preference page"},
        {"--description", "description", As::kText, false, "there"}}},
      {"list",
       "change",
       "maily list change 1 --public true --description 'One mail a week'",
       "PUT",
       "/v1/lists/{id}",
       {kId,
        {"--name", "name", As::kText, false, "another name"},
        {"--public", "public", As::kTruth, false, "true or false: whether people see it on their preference page"},
        {"--description", "description", As::kText, false, "there"}}},
      {"list",
       "members",
       "maily list members 1 --as-of 2026-11-21T00:00:00Z",
       "GET",
       "/v1/lists/{id}/members",
       {kId, {"--as-of", "as_of", As::kQuery, false, "who were members at this time; default: now"}, kSize, kPage}},
      {"consent",
       "list",
       "maily consent list 281474976710657 --as-of 2026-11-21T00:00:00Z (of a contact: what holds, and how it came about)",
       "GET",
       "/v1/contacts/{id}/consents",
       {kContact, {"--as-of", "as_of", As::kQuery, false, "what was known at this time; default: now"}}},
      {"consent",
       "grant",
       "maily consent grant 281474976710657 --list 1 --proof 'call of 3 May' --text 9f86d081…",
       "POST",
       "/v1/contacts/{id}/consents",
       {kContact,
        {"state", "state", As::kFixed, false, "granted"},
        {"--list", "list_id", As::kNumber, false, "the list that it is for"},
        {"--purpose", "purpose", As::kText, false, "or a named purpose; marketing takes an opt-out back, and needs a proof"},
        {"--source", "source", As::kText, false, "where it came from; default api"},
        {"--text", "text", As::kText, false, "what was read: the id of a consent text"},
        {"--proof", "proof", As::kText, false, "where that can be seen"},
        {"--double-opt-in", "double_opt_in", As::kSwitch, false, "pending until the link in the answer was followed and confirmed"},
        {"--mail", "mail", As::kSwitch, false, "Maily mails that link, at most once an hour"},
        {"--template", "template", As::kText, false, "of that mail, by its name; default: the built-in text"},
        {"--from", "from", As::kText, false, "its sender; default: the tenant's first"}}},
      {"consent",
       "withdraw",
       "maily consent withdraw 281474976710657 --purpose marketing --proof 'mail of 4 May'",
       "POST",
       "/v1/contacts/{id}/consents",
       {kContact,
        {"state", "state", As::kFixed, false, "withdrawn"},
        {"--list", "list_id", As::kNumber, false, "the list that it was for"},
        {"--purpose", "purpose", As::kText, false, "or a named purpose; marketing: all of it"},
        {"--source", "source", As::kText, false, "where it came from; default api"},
        {"--proof", "proof", As::kText, false, "where that can be seen"}}},
      {"consent",
       "text",
       "maily consent text newsletter --text newsletter.txt --language en (registers what people read; prints its id)",
       "POST",
       "/v1/consent-texts",
       {{"name", "name", As::kText, true, "its name"},
        {"--text", "text", As::kFileText, true, "file with the text"},
        {"--language", "language", As::kText, false, "of the text: en, de, …"}}},
      {"consent", "texts", "maily consent texts", "GET", "/v1/consent-texts", {kSize, kPage}},
      {"form",
       "create",
       "maily form create footer --list 1 --text 9f86d081… (its address: maily form show)",
       "POST",
       "/v1/forms",
       {{"name", "name", As::kText, true, "its name"},
        {"--list", "list_id", As::kNumber, true, "the list that people join"},
        {"--text", "text", As::kText, true, "what they read: the id of a consent text"},
        {"--double-opt-in", "double_opt_in", As::kSwitch, false, "they confirm it by a mail that Maily sends"},
        {"--template", "template", As::kText, false, "of that mail, by its name; default: the built-in text"},
        {"--from", "from", As::kText, false, "its sender; default: the tenant's first"},
        {"--redirect", "redirect_url", As::kText, false, "where a browser goes then; default: a page says thank you"}}},
      {"form", "list", "maily form list", "GET", "/v1/forms", {kSize, kPage}},
      {"form", "show", "maily form show 1", "GET", "/v1/forms/{id}", {kId}},
      {"form", "archive", "maily form archive 1", "POST", "/v1/forms/{id}:archive", {kId}},
      {"list", "list", "maily list list", "GET", "/v1/lists", {kSize, kPage}},
      {"list", "show", "maily list show 1", "GET", "/v1/lists/{id}", {kId}},
      {"asset",
       "list",
       "maily asset list --archived true",
       "GET",
       "/v1/assets",
       {{"--archived", "archived", As::kQuery, false, "true: the archived ones, too"}, kSize, kPage}},
      {"asset",
       "show",
       "maily asset show 9f86d081884c7d65… (its address, and which template versions use it)",
       "GET",
       "/v1/assets/{id}",
       {kId}},
      {"asset",
       "archive",
       "maily asset archive 9f86d081884c7d65… (no new template version can use it)",
       "POST",
       "/v1/assets/{id}:archive",
       {kId}},
      {"asset", "restore", "maily asset restore 9f86d081884c7d65…", "POST", "/v1/assets/{id}:restore", {kId}},
      {"asset",
       "delete",
       "maily asset delete 9f86d081884c7d65… (one that no template version was saved with)",
       "DELETE",
       "/v1/assets/{id}",
       {kId}},
      {"segment",
       "create",
       "maily segment create 'active pros' 'plan = \"pro\" and clicked(last: 7d) >= 1'",
       "POST",
       "/v1/segments",
       {{"name", "name", As::kText, true, "its name"},
        {"where", "where", As::kText, true, "the expression, as text or JSON: docs/segments.md"}}},
      {"segment",
       "change",
       "maily segment change 1 'plan = \"pro\"' --based-on 1 (a new version; maily segment preview --segment 1 shows who enters and "
       "leaves)",
       "PUT",
       "/v1/segments/{id}",
       {kId,
        {"where", "where", As::kText, true, "the expression, as text or JSON"},
        {"--based-on", "based_on", As::kNumber, false, "only if this is its newest version"}}},
      {"segment", "list", "maily segment list", "GET", "/v1/segments", {kSize, kPage}},
      {"segment",
       "show",
       "maily segment show 1 --as-of 2026-11-21T00:00:00Z",
       "GET",
       "/v1/segments/{id}",
       {kId, {"--as-of", "as_of", As::kQuery, false, "also how many were members at this time"}}},
      {"segment",
       "members",
       "maily segment members 1 --as-of 2026-11-21T00:00:00Z",
       "GET",
       "/v1/segments/{id}/members",
       {kId, {"--as-of", "as_of", As::kQuery, false, "who were members at this time; default: now"}, kSize, kPage}},
      {"segment", "archive", "maily segment archive 1", "POST", "/v1/segments/{id}:archive", {kId}},
      {"journey",
       "create",
       "maily journey create --file welcome.json (with \"name\" in it: docs/journeys.md)",
       "POST",
       "/v1/journeys",
       {{"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"journey",
       "change",
       "maily journey change 1 --file welcome.json (a new version; \"move\" in it says where people go on)",
       "PUT",
       "/v1/journeys/{id}",
       {kId, {"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"journey",
       "preview",
       "maily journey preview 1 --file welcome.json (what it would have made of everybody who is in it; nothing is published)",
       "POST",
       "/v1/journeys/{id}:preview",
       {kId, {"--file", "", As::kWhole, true, "JSON body; - = standard input"}}},
      {"journey", "list", "maily journey list", "GET", "/v1/journeys", {kSize, kPage}},
      {"journey", "show", "maily journey show 1", "GET", "/v1/journeys/{id}", {kId}},
      {"journey", "pause", "maily journey pause 1", "POST", "/v1/journeys/{id}:pause", {kId}},
      {"journey", "resume", "maily journey resume 1", "POST", "/v1/journeys/{id}:resume", {kId}},
      {"journey", "archive", "maily journey archive 1", "POST", "/v1/journeys/{id}:archive", {kId}},
      {"journey", "contact", "maily journey contact 281474976710657 (where a contact is)", "GET", "/v1/contacts/{id}/journeys", {kId}},
      {"template",
       "save",
       "maily template save --name spring --subject Hi --html spring.html --attach 'list.pdf=Price list.pdf' (text made from the HTML)",
       "POST",
       "/v1/templates",
       {{"--name", "name", As::kText, true, "a new version if it exists"},
        {"--subject", "subject", As::kText, true, "may hold placeholders"},
        {"--preheader", "preheader", As::kText, false, "shown by lists of mails behind the subject"},
        {"--html", "html", As::kFileText, false, "file with the HTML part"},
        {"--mjml", "mjml", As::kFileText, false, "instead: file with MJML, which is compiled to HTML"},
        {"--text", "text", As::kFileText, false, "file with the text part; without one, it is made from the HTML"},
        {"--locale", "locale", As::kText, false, "its language, like de-AT; variants in others: POST /v1/templates"},
        {"--attach", "attachments", As::kAttach, false, "an asset, NAME or NAME=FILE NAME; once for each"}}},
      {"template",
       "test",
       "maily template test 1 --to ann@example.com --variables order.json --subject-prefix '[test] '",
       "POST",
       "/v1/templates/{id}:test",
       {kId,
        {"--to", "to", As::kList, true, "an address, 20 at most; repeat it for more"},
        {"--version", "version", As::kNumber, false, "default: the newest"},
        {"--from", "from", As::kText, false, "one of the senders; default: the first"},
        {"--variables", "variables", As::kFileJson, false, "file with a JSON object; - = standard input"},
        {"--subject-prefix", "subject_prefix", As::kText, false, "in front of the subject"}}},
      {"message",
       "send",
       "maily message send --to ann@example.com --template receipt --variables order.json",
       "POST",
       "/v1/messages",
       {{"--to", "to", As::kText, true, "the address; it need not be a contact's"},
        {"--template", "template", As::kText, false, "its name; or --template-id"},
        {"--template-id", "template_id", As::kNumber, false, "its id"},
        {"--version", "version", As::kNumber, false, "default: the newest"},
        {"--from", "from", As::kText, false, "one of the senders; default: the first"},
        {"--reply-to", "reply_to", As::kText, false, "where answers go"},
        {"--variables", "variables", As::kFileJson, false, "file with a JSON object; - = standard input"},
        {"--attach", "attachments", As::kAttach, false, "an asset, NAME or NAME=FILE NAME; once for each"},
        {"--enclose", "attachments", As::kEnclose, false, "a file, PATH or PATH=FILE NAME; once for each"},
        {"--create-contact", "create_contact", As::kSwitch, false, "make a contact of the address if there is none"},
        {"--expires-in", "expires_in_s", As::kNumber, false, "seconds until it is given up; default: 48 h"},
        {"--retry-unknown", "retry_unknown", As::kSwitch, false, "rather twice than never: send again if the reply was lost"}}},
      {"message",
       "list",
       "maily message list --to ann@example.com --status delivered",
       "GET",
       "/v1/messages",
       {{"--to", "to", As::kQuery, false, "to this address alone"},
        {"--status", "status", As::kQuery, false, "pending, open, waiting, delivered, bounced, unknown, skipped or expired"},
        {"--template-id", "template_id", As::kQuery, false, "of this template alone"},
        kSize,
        kPage}},
      {"message", "show", "maily message show 4611686018427387905", "GET", "/v1/messages/{id}", {kId}},
      {"message",
       "counts",
       "maily message counts --days 7",
       "GET",
       "/v1/messages:counts",
       {{"--days", "days", As::kQuery, false, "the last so many, 1 to 366; default: 30"}}},
      {"template",
       "lint",
       "maily template lint --subject 'Hello {{ contact.first_name }}' --html spring.html (a line a finding; exit 4 if it cannot be saved "
       "so)",
       "POST",
       "/v1/templates:lint",
       {{"--subject", "subject", As::kText, false, "as it is to be saved"},
        {"--preheader", "preheader", As::kText, false, "likewise"},
        {"--html", "html", As::kFileText, false, "file with the HTML part"},
        {"--mjml", "mjml", As::kFileText, false, "instead: file with MJML"},
        {"--text", "text", As::kFileText, false, "file with the text part"},
        {"--from-name", "from_name", As::kText, false, "the name in From of a campaign"}},
       PrintLint},
      {"template",
       "check",
       "maily template check 1 --sample 200 (who meets a fallback, a blank value, an error; exit 4 if it fails for somebody)",
       "POST",
       "/v1/templates/{id}/preview",
       {kId,
        {"--sample", "sample", As::kQuery, false, "how many contacts, 1 to 1,000; 100 if not said"},
        {"--version", "version", As::kQuery, false, "of the template; default: the newest"},
        {"--locale", "locale", As::kQuery, false, "all in this language, instead of each in the contact's"}},
       PrintSample},
      {"partial",
       "put",
       "maily partial put footer --html footer.html (templates take it in by {% render 'footer' %})",
       "PUT",
       "/v1/partials/{name}",
       {kName,
        {"--html", "html", As::kFileText, false, "file with what HTML parts take in"},
        {"--text", "text", As::kFileText, false, "file with what all other parts take in; without one, it is made from the HTML"}}},
      {"partial",
       "list",
       "maily partial list",
       "GET",
       "/v1/partials",
       {{"--archived", "archived", As::kQuery, false, "true: the archived ones, too"}, kSize, kPage}},
      {"partial", "show", "maily partial show footer", "GET", "/v1/partials/{name}", {kName}},
      {"partial",
       "archive",
       "maily partial archive footer (no new template version can take it in)",
       "POST",
       "/v1/partials/{name}:archive",
       {kName}},
      {"template",
       "list",
       "maily template list; maily template list --archived true",
       "GET",
       "/v1/templates",
       {{"--archived", "archived", As::kQuery, false, "true: the archived ones instead"}, kSize, kPage}},
      {"template", "show", "maily template show 1", "GET", "/v1/templates/{id}", {kId}},
      {"template",
       "archive",
       "maily template archive 1 (nothing new is made of it, and what runs goes on)",
       "POST",
       "/v1/templates/{id}:archive",
       {kId}},
      {"template", "restore", "maily template restore 1", "POST", "/v1/templates/{id}:restore", {kId}},
      {"template", "delete", "maily template delete 1 (one that nothing uses)", "DELETE", "/v1/templates/{id}", {kId}},
      {"campaign",
       "create",
       "maily campaign create --file campaign.json",
       "POST",
       "/v1/campaigns",
       {{"--file", "", As::kWhole, false, "JSON body; - = standard input; flags take the place of its members"},
        {"--name", "name", As::kText, false, "of the campaign"},
        {"--template", "template_id", As::kNumber, false, "by its id"},
        {"--from", "from", As::kText, false, "Shop <news@example.com>"},
        {"--list", "list_ids", As::kIds, false, "a list whose members are in the audience; repeat it for more"},
        {"--segment", "segment_ids", As::kIds, false, "a segment whose members are in it; repeat it for more"},
        {"--exclude-list", "exclude_list_ids", As::kIds, false, "a list whose members are not; repeat it for more"},
        {"--exclude-segment", "exclude_segment_ids", As::kIds, false, "a segment whose members are not; repeat it for more"},
        {"--evergreen", "evergreen", As::kSwitch, false, "whoever comes into the audience after the launch gets it too, once"}}},
      {"campaign", "list", "maily campaign list", "GET", "/v1/campaigns", {kSize, kPage}},
      {"campaign", "show", "maily campaign show 1", "GET", "/v1/campaigns/{id}", {kId}},
      {"campaign", "report", "maily campaign report 1", "GET", "/v1/campaigns/{id}/report", {kId}},
      {"campaign", "skips", "maily campaign skips 1", "GET", "/v1/campaigns/{id}/skips", {kId}},
      {"campaign",
       "preview",
       "maily campaign preview 1 --email ann@example.com --locale de --arm b",
       "GET",
       "/v1/campaigns/{id}/preview",
       {kId,
        {"--email", "email", As::kQuery, false, "whose mail, by address"},
        {"--contact", "contact_id", As::kQuery, false, "or by id"},
        {"--locale", "locale", As::kQuery, false, "in this language, instead of the contact's"},
        {"--arm", "arm", As::kQuery, false, "of this arm, by its name; default: the one that the contact was given, or the first"}}},
      {"campaign",
       "launch",
       "maily campaign launch 1 --dry-run (shows whom it would reach and which rules it keeps, and sends nothing)",
       "POST",
       "/v1/campaigns/{id}:launch",
       {kId}},
      {"campaign",
       "edit",
       "maily campaign edit 1 --file changes.json --revision 2",
       "PATCH",
       "/v1/campaigns/{id}",
       {kId,
        {"--file", "", As::kWhole, true, "JSON of the members that change; - = standard input"},
        {"--revision", "", As::kIfMatch, true, "that you have seen, as maily campaign show says; '*' = whatever it is"}}},
      {"campaign", "delete", "maily campaign delete 1 (a draft)", "DELETE", "/v1/campaigns/{id}", {kId}},
      {"campaign",
       "clone",
       "maily campaign clone 1 --name again",
       "POST",
       "/v1/campaigns/{id}:clone",
       {kId, {"--name", "name", As::kText, false, "of the new draft"}}},
      {"campaign",
       "resend",
       "maily campaign resend 1 --to non_openers",
       "POST",
       "/v1/campaigns/{id}:resend",
       {kId,
        {"--to", "to", As::kText, true, "failed or non_openers"},
        {"--name", "name", As::kText, false, "of the new draft"},
        {"--template", "template_id", As::kNumber, false, "another template"}}},
      {"campaign",
       "approve",
       "maily campaign approve 1 --revision 2",
       "POST",
       "/v1/campaigns/{id}:approve",
       {kId, {"--revision", "revision", As::kNumber, true, "that you have seen"}}},
      {"campaign",
       "audience",
       "maily campaign audience --list 1 --segment 2 --exclude-list 3",
       "POST",
       "/v1/audiences:preview",
       {{"--list", "list_ids", As::kIds, false, "a list whose members are in it; repeat it for more"},
        {"--segment", "segment_ids", As::kIds, false, "a segment whose members are in it; repeat it for more"},
        {"--exclude-list", "exclude_list_ids", As::kIds, false, "a list whose members are not; repeat it for more"},
        {"--exclude-segment", "exclude_segment_ids", As::kIds, false, "a segment whose members are not; repeat it for more"}}},
      {"campaign",
       "schedule",
       "maily campaign schedule 1 --local 2026-12-01T09:00 --zone Europe/Berlin; maily campaign schedule 1 --local 2026-12-01T09:00 "
       "--per-contact-zone; maily campaign schedule 1 --at 2026-12-01T08:00:00Z",
       "POST",
       "/v1/campaigns/{id}:schedule",
       {kId,
        {"--at", "at", As::kText, false, "the instant, with an offset"},
        {"--local", "local", As::kText, false, "the wall time, without one"},
        {"--zone", "zone", As::kText, false, "of --local, like Europe/Berlin; default: the tenant's"},
        {"--per-contact-zone", "per_contact_zone", As::kSwitch, false,
         "each contact when its own clock (attribute time_zone) shows --local"},
        {"--late", "late", As::kText, false, "with it, whoever is past that time at the start: send, the default, or skip"}}},
      {"campaign", "unschedule", "maily campaign unschedule 1", "POST", "/v1/campaigns/{id}:unschedule", {kId}},
      {"campaign",
       "release",
       "maily campaign release 1 (one that was held: its start was overdue, or refused)",
       "POST",
       "/v1/campaigns/{id}:release",
       {kId}},
      {"campaign",
       "throttle",
       "maily campaign throttle 1 --per-minute 600; maily campaign throttle 1 --over-minutes 240; without either: as fast as it can",
       "POST",
       "/v1/campaigns/{id}:throttle",
       {kId,
        {"--per-minute", "per_minute", As::kNumber, false, "mails a minute at most"},
        {"--over-minutes", "over_minutes", As::kNumber, false, "the audience evenly over so long"}}},
      {"campaign",
       "winner",
       "maily campaign winner 1 --arm b (of an A/B test, before it is decided by itself: maily campaign report 1)",
       "POST",
       "/v1/campaigns/{id}:winner",
       {kId, {"--arm", "arm", As::kText, true, "its name: whoever waits for the winner gets it"}}},
      {"campaign", "pause", "maily campaign pause 1", "POST", "/v1/campaigns/{id}:pause", {kId}},
      {"campaign",
       "resume",
       "maily campaign resume 1 (of one that a safety stop has paused: --override --why 'the list was cleaned')",
       "POST",
       "/v1/campaigns/{id}:resume",
       {kId,
        {"--override", "override", As::kSwitch, false, "go on though a safety stop has paused it"},
        {"--why", "why", As::kText, false, "the reason of the override"}}},
      {"campaign",
       "finish",
       "maily campaign finish 1 (an evergreen one: it takes nobody in any more)",
       "POST",
       "/v1/campaigns/{id}:finish",
       {kId}},
      {"campaign", "cancel", "maily campaign cancel 1", "POST", "/v1/campaigns/{id}:cancel", {kId}},
      {"suppression",
       "add",
       "maily suppression add ann@example.com --reason manual --note 'asked on the phone'; maily suppression add @example.org",
       "POST",
       "/v1/suppressions",
       {{"who", "email", As::kWho, true, "an address; or @ and a domain, for every address there"},
        {"--reason", "reason", As::kText, false,
         "manual, the default, hard_bounce, soft_bounces, complaint, unsubscribed, blocked, invalid, erased or other"},
        {"--stream", "stream", As::kText, false, "for which mails: all, the default, marketing or transactional"},
        {"--note", "note", As::kText, false, "in free words; of an address it is sealed"}}},
      {"suppression",
       "remove",
       "maily suppression remove ann@example.com --reason 'asked for mail again'",
       "DELETE",
       "/v1/suppressions",
       {{"who", "email", As::kWhoQuery, true, "the address; or @ and the domain"},
        {"--reason", "reason", As::kQuery, true, "why, in free words"}}},
      {"suppression",
       "list",
       "maily suppression list --reason complaint --since 2026-11-21T00:00:00Z",
       "GET",
       "/v1/suppressions",
       {{"--reason", "reason", As::kQuery, false, "only of this reason"},
        {"--domain", "domain", As::kQuery, false, "only of this domain: itself, and addresses there"},
        {"--since", "since", As::kQuery, false, "only what was added at this time or later"},
        kSize,
        kPage}},
      {"suppression",
       "check",
       "maily suppression check ann@example.com (whether mail to it is stopped, and by which entries; exit code 4 if it is)",
       "GET",
       "/v1/suppressions:check",
       {{"email", "email", As::kQuery, true, "the address"}},
       PrintSuppressionCheck},
      {"site", "list", "maily site list (where mail goes, how fast, and why not faster)", "GET", "/v1/sites", {}},
      {"site",
       "show",
       "maily site show google.com (suspended, drained, slowed and why; what waits there; how this process sees it)",
       "GET",
       "/v1/sites/{site}",
       {kSite}},
      {"site",
       "drain",
       "maily site drain google.com --reason \"its servers move tonight\" (no mail begins there until it is resumed; those under way end)",
       "POST",
       "/v1/sites/{site}:drain",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "flush",
       "maily site flush google.com --reason \"they have lifted the block\" (what waits for a retry there is due now; --dry-run counts it)",
       "POST",
       "/v1/sites/{site}:flush",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "suspend",
       "maily site suspend google.com --reason \"they asked us to wait\" (no mail goes there until it is resumed)",
       "POST",
       "/v1/sites/{site}:suspend",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "resume",
       "maily site resume google.com",
       "POST",
       "/v1/sites/{site}:resume",
       {kSite, {"--reason", "reason", As::kText, false, "why, for those who look later"}}},
      {"site",
       "changes",
       "maily site changes google.com (why it was slow: each decision with its cause, newest first)",
       "GET",
       "/v1/sites/{site}/changes",
       {kSite, kSize, kPage}},
      {"deadletter", "list", "maily deadletter list", "GET", "/v1/deadletters", {kSize, kPage}},
      {"projection", "list", "maily projection list", "GET", "/v1/projections", {}},
      {"projection", "verify", "maily projection verify (digests of the read models)", "GET", "/v1/projections/digests", {}},
      {"projection",
       "rebuild",
       "maily projection rebuild campaigns",
       "POST",
       "/v1/projections/{group}:rebuild",
       {{"group", "group", As::kPath, true, "see maily projection list"}}},
  };
  return rows;
}

Result<std::string> ReadFile(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, "{}: cannot be read", path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

struct Values {
  ServerFlags server;
  bool dry_run = false;
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> lists;
  std::vector<char> switches;
};

http::Method MethodOf(std::string_view name) {
  using enum http::Method;
  for (const http::Method method : {kGet, kHead, kPost, kPut, kPatch, kDelete}) {
    if (http::MethodName(method) == name) return method;
  }
  return kOther;
}

// "PATH" or "PATH=FILE NAME", as a message takes it.
Result<json> Enclosed(const std::string& said) {
  const size_t equals = said.find('=');
  const std::filesystem::path path(said.substr(0, equals));
  const std::string type = TypeOfEnding(path.extension().string());
  if (type.empty())
    return Fail(Code::kInvalid, "{}: the end of its name says no type; known are .pdf, .png, .jpg, .gif, .webp, .ics, .csv", path.string());
  MAILY_TRY(const std::string bytes, ReadFile(path.string()));
  return json{{"content", ToBase64(bytes)},
              {"content_type", type},
              {"file_name", equals == std::string::npos ? path.filename().string() : said.substr(equals + 1)}};
}

Result<HttpAnswer> AskWith(const Server& server, const std::string& method, const std::string& path, const std::string& body,
                           const std::string& content_type, http::Headers headers, std::function<std::string()> pieces) {
  MAILY_TRY(http::Client client, http::Client::FromUrl(server.url));
  http::Call call;
  call.method = MethodOf(method);
  call.target = path;
  call.headers = std::move(headers);
  if (!server.key.empty()) call.headers.Add("authorization", "Bearer " + server.key);
  if (!content_type.empty()) call.headers.Add("content-type", content_type);
  call.body = body;
  if (pieces) call.upload = [&pieces]() -> Result<std::string> { return pieces(); };
  MAILY_TRY(const http::Response response, client.Send(call));
  HttpAnswer answer;
  answer.status = response.status;
  answer.body = response.body;
  for (size_t i = 0; i < response.headers.size(); ++i) {
    const auto [name, value] = response.headers.at(i);
    answer.headers[std::string(name)] = value;
  }
  return answer;
}

constexpr std::string_view kLaunchPreviews = "/v1/launch-previews/";
constexpr auto kPollPause = std::chrono::milliseconds(20);
constexpr auto kCountMax = std::chrono::seconds(60);

// The dry run of a launch, once every partition has counted. kRetry: not within kCountMax.
Result<HttpAnswer> Counted(const Server& server, HttpAnswer asked) {
  // The projection may be behind what was just asked: it is waited for by the token.
  const std::string path = asked.headers["location"] + "?wait_ms=10000&min=" + PercentEncode(asked.headers["maily-consistency-token"]);
  const auto until = std::chrono::steady_clock::now() + kCountMax;
  for (;;) {
    MAILY_TRY(HttpAnswer shown, Ask(server, "GET", path, "", ""));
    const json preview = json::parse(shown.body, nullptr, false);
    if (shown.status != 200 || !preview.is_object() || preview.value("status", "") == "done") return shown;
    if (std::chrono::steady_clock::now() > until) {
      return Fail(Code::kRetry, "it is still being counted; look with GET {}", asked.headers["location"]);
    }
    std::this_thread::sleep_for(kPollPause);  // between polls of another process
  }
}

int Run(const Common& common, const Row& row, const Values& values) {
  auto server = values.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::string path = row.path;
  std::string query;
  std::string whole;
  http::Headers headers;
  json body = json::object();
  for (size_t i = 0; i < row.fields.size(); ++i) {
    const Field& field = row.fields[i];
    const std::string& text = values.texts[i];
    if (field.as == As::kSwitch) {
      body[field.member] = values.switches[i] != 0;
    } else if (field.as == As::kFixed) {
      body[field.member] = field.help;
    } else if (field.as == As::kTruth) {
      if (!text.empty()) body[field.member] = text == "true" ? json(true) : text == "false" ? json(false) : json(text);
    } else if (field.as == As::kList) {
      if (!values.lists[i].empty()) body[field.member] = values.lists[i];
    } else if (field.as == As::kIds) {
      for (const std::string& one : values.lists[i]) {
        const json number = json::parse(one, nullptr, false);
        body[field.member].push_back(number.is_number_integer() ? number : json(one));  // the server says what is wrong with it
      }
    } else if (field.as == As::kIfMatch) {
      if (!text.empty()) headers.Add("if-match", text);
    } else if (field.as == As::kAttach) {
      for (const std::string& one : values.lists[i]) {
        const size_t equals = one.find('=');
        json attachment{{"asset", one.substr(0, equals)}};
        if (equals != std::string::npos) attachment["file_name"] = one.substr(equals + 1);
        body[field.member].push_back(std::move(attachment));
      }
    } else if (field.as == As::kEnclose) {
      for (const std::string& one : values.lists[i]) {
        auto enclosed = Enclosed(one);
        if (!enclosed) return PrintError(common, enclosed.error());
        body[field.member].push_back(*std::move(enclosed));
      }
    } else if (field.as == As::kPairs) {
      for (const std::string& one : values.lists[i]) {
        const size_t equals = one.find('=');
        if (equals == std::string::npos || equals == 0) return PrintError(common, Fail(Code::kInvalid, "\"{}\" is not NAME=VALUE", one));
        const json value = json::parse(one.substr(equals + 1), nullptr, false);
        body[field.member][one.substr(0, equals)] = value.is_discarded() ? json(one.substr(equals + 1)) : value;
      }
    } else if (field.as == As::kNames) {
      for (const std::string& one : values.lists[i]) body[field.member][one] = nullptr;
    } else if (text.empty()) {
      continue;
    } else if (field.as == As::kPath) {
      const std::string placeholder = std::string("{") + field.name + "}";
      path.replace(path.find(placeholder), placeholder.size(), PercentEncode(text));
    } else if (field.as == As::kQuery || field.as == As::kWhoQuery) {
      const bool domain = field.as == As::kWhoQuery && text[0] == '@';
      query +=
          std::string(query.empty() ? "?" : "&") + (domain ? "domain" : field.member) + "=" + PercentEncode(domain ? text.substr(1) : text);
    } else if (field.as == As::kWho && text[0] == '@') {
      body["domain"] = text.substr(1);
    } else if (field.as == As::kFileJson) {
      auto content = ReadFile(text);
      if (!content) return PrintError(common, content.error());
      body[field.member] = json::parse(*content, nullptr, false);
      if (body[field.member].is_discarded()) return PrintError(common, Fail(Code::kInvalid, "{}: no JSON", text));
    } else if (field.as == As::kFileText || field.as == As::kWhole) {
      auto content = ReadFile(text);
      if (!content) return PrintError(common, content.error());
      if (field.as == As::kWhole) {
        whole = *content;
      } else {
        body[field.member] = *content;
      }
    } else if (field.as == As::kNumber) {
      const json number = json::parse(text, nullptr, false);
      body[field.member] = number.is_number_integer() ? number : json(text);  // the server says what is wrong with it
    } else {
      body[field.member] = text;
    }
  }
  if (values.dry_run) query += query.empty() ? "?dry_run=true" : "&dry_run=true";
  if (row.confirm != nullptr && !values.dry_run && !Confirm(common, row.confirm)) return kExitRefused;
  const bool has_body =
      std::string_view(row.method) == "POST" || std::string_view(row.method) == "PUT" || std::string_view(row.method) == "PATCH";
  if (!whole.empty() && !body.empty()) {  // flags beside a file
    json file = json::parse(whole, nullptr, false);
    if (file.is_object()) {
      file.update(body);
      whole = file.dump();
    }
  }
  auto answer = AskWith(*server, row.method, path + query, !whole.empty() ? whole : (has_body ? body.dump() : ""),
                        has_body ? "application/json" : "", headers, nullptr);
  if (!answer) return PrintError(common, answer.error());
  if (answer->status == 202 && answer->headers["location"].starts_with(kLaunchPreviews)) answer = Counted(*server, *answer);
  if (!answer) return PrintError(common, answer.error());
  return row.print(common, *answer);
}

std::string Cell(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  return value.dump();
}

// Rows of objects as a table; the columns are those of the first.
void PrintTable(const json& items) {
  if (items.empty()) {
    std::puts("(none)");
    return;
  }
  std::vector<std::string> columns;
  for (const auto& [name, value] : items[0].items()) columns.push_back(name);
  std::vector<size_t> widths;
  for (const std::string& column : columns) {
    size_t width = column.size();
    for (const json& item : items) width = std::max(width, std::min<size_t>(Cell(item.value(column, json())).size(), 60));
    widths.push_back(width);
  }
  for (size_t i = 0; i < columns.size(); ++i)
    std::printf("%-*s%s", static_cast<int>(widths[i]), columns[i].c_str(), i + 1 < columns.size() ? "  " : "\n");
  for (const json& item : items) {
    for (size_t i = 0; i < columns.size(); ++i) {
      std::printf("%-*s%s", static_cast<int>(widths[i]), Cell(item.value(columns[i], json())).c_str(),
                  i + 1 < columns.size() ? "  " : "\n");
    }
  }
}

}  // namespace

Result<HttpAnswer> Ask(const Server& server, const std::string& method, const std::string& path, const std::string& body,
                       const std::string& content_type, std::function<std::string()> pieces) {
  return AskWith(server, method, path, body, content_type, http::Headers(), std::move(pieces));
}

void ServerFlags::AddTo(CLI::App& app) {
  app.add_option("--server", server, "where Maily serves; default $MAILY_SERVER or http://127.0.0.1:8080");
  app.add_option("--key-file", key_file, "file with the API key; default $MAILY_KEY_FILE, or $MAILY_KEY itself, or maily-data/admin.key");
}

Result<Server> ServerFlags::Resolve() const {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  Server resolved;
  resolved.url = !server.empty() ? server : environment("MAILY_SERVER");
  if (resolved.url.empty()) resolved.url = "http://127.0.0.1:8080";
  std::string file = !key_file.empty() ? key_file : environment("MAILY_KEY_FILE");
  if (file.empty()) {
    resolved.key = environment("MAILY_KEY");
    if (!resolved.key.empty()) return resolved;
    const std::string data = environment("MAILY_DATA");
    file = (data.empty() ? "maily-data" : data) + "/admin.key";
  }
  MAILY_TRY(resolved.key, ReadFile(file));
  while (!resolved.key.empty() && (resolved.key.back() == '\n' || resolved.key.back() == '\r')) resolved.key.pop_back();
  return resolved;
}

int PrintAnswer(const Common& common, const HttpAnswer& answer) {
  const json parsed = json::parse(answer.body, nullptr, false);
  const bool ok = answer.status >= 200 && answer.status < 300;
  if (common.json || parsed.is_discarded()) {
    if (!answer.body.empty()) std::printf("%s\n", answer.body.c_str());
  } else if (ok) {
    if (parsed.is_object() && parsed.contains("items") && parsed["items"].is_array()) {
      PrintTable(parsed["items"]);
      if (const std::string next = parsed.value("next_page_token", ""); !next.empty()) std::printf("more: --page-token %s\n", next.c_str());
    } else if (parsed.is_object()) {
      for (const auto& [name, value] : parsed.items()) {
        if (value.is_array() && !value.empty() && value[0].is_object()) {
          std::printf("%s:\n", name.c_str());
          PrintTable(value);
        } else {
          std::printf("%s: %s\n", name.c_str(), Cell(value).c_str());
        }
      }
    }
  }
  if (ok) return kExitOk;
  if (parsed.is_object()) {
    std::fprintf(stderr, "maily: %s (%s, HTTP %d)\n", parsed.value("message", "").c_str(), parsed.value("code", "").c_str(), answer.status);
    if (!common.json && parsed.contains("details")) {
      for (const json& detail : parsed["details"]) {
        std::fprintf(stderr, "  %s: %s %s\n", detail.value("path", "").c_str(), detail.value("code", "").c_str(),
                     detail.value("hint", "").c_str());
      }
    }
  } else {
    std::fprintf(stderr, "maily: HTTP %d\n", answer.status);
  }
  return answer.status == 409 || answer.status == 412 || answer.status == 428 ? kExitRefused
                                                                              : (answer.status == 503 ? kExitUnreachable : kExitFailed);
}

bool Confirm(const Common& common, const std::string& question) {
  if (common.yes) return true;
  if (::isatty(STDIN_FILENO) == 0) {
    if (common.json) {
      std::printf("%s\n", json({{"code", "unconfirmed"}, {"message", question}, {"details", json::array()}}).dump().c_str());
    }
    std::fprintf(stderr, "maily: %s Give --yes to do it without a terminal.\n", question.c_str());
    return false;
  }
  std::fprintf(stderr, "%s [y/N] ", question.c_str());
  std::string line;
  std::getline(std::cin, line);
  return line == "y" || line == "Y" || line == "yes";
}

std::string PercentEncode(const std::string& text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += {'%', kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15]};
    }
  }
  return out;
}

void AddRemote(CLI::App& app, Chosen& chosen) {
  for (const Row& row : Rows()) {
    CLI::App* group = nullptr;
    for (CLI::App* known : app.get_subcommands([&row](const CLI::App* sub) { return sub->get_name() == row.group; })) group = known;
    if (group == nullptr) {
      const std::string_view noun = std::string_view(row.group) == "deadletter" ? "dead letter" : row.group;
      group = app.add_subcommand(row.group, fmt::format("{}s of a running server", noun));
      group->require_subcommand(1);
      group->fallthrough();
    }
    CLI::App* sub = group->add_subcommand(row.name, std::string("example: ") + row.help);
    sub->fallthrough();
    auto values = std::make_shared<Values>();
    values->texts.resize(row.fields.size());
    values->lists.resize(row.fields.size());
    values->switches.resize(row.fields.size());
    values->server.AddTo(*sub);
    // A rebuild appends nothing.
    if (std::string_view(row.method) != "GET" && std::string_view(row.group) != "projection")
      sub->add_flag("--dry-run", values->dry_run, "only check what is asked, and say what would be appended; nothing is");
    for (size_t i = 0; i < row.fields.size(); ++i) {
      const Field& field = row.fields[i];
      if (field.as == As::kFixed) continue;
      CLI::Option* option = nullptr;
      if (field.as == As::kSwitch) {
        option = sub->add_flag_callback(field.name, [values, i] { values->switches[i] = 1; }, field.help);
      } else if (field.as == As::kList || field.as == As::kIds || field.as == As::kAttach || field.as == As::kEnclose ||
                 field.as == As::kPairs || field.as == As::kNames) {
        option = sub->add_option(field.name, values->lists[i], field.help);
      } else {
        option = sub->add_option(field.name, values->texts[i], field.help);
      }
      if (field.required) option->required();
    }
    sub->callback([&chosen, &row, values] { chosen = [&row, values](const Common& common) { return Run(common, row, *values); }; });
  }
  AddAssetAdd(*app.get_subcommand("asset"), chosen);
  AddSuppressionFiles(*app.get_subcommand("suppression"), chosen);
  AddSegmentPreviews(*app.get_subcommand("segment"), chosen);
}

}  // namespace maily::app
