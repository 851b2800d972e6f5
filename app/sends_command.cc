// `maily sends`: what is in doubt, how it is settled, and the history of one send.
#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

using nlohmann::json;

constexpr size_t kIdsMax = 5'000'000;

struct Resolve {
  ServerFlags server;
  std::string received;
  std::string why;
  std::string campaign;
  bool dry_run = false;
};

// The fields of one CSV line; quotes are doubled inside quoted fields.
std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back().push_back(line[i++]);
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      fields.emplace_back();
    } else if (line[i] != '\r') {
      fields.back().push_back(line[i]);
    }
  }
  return fields;
}

Result<json> ReadMessageIds(const std::string& path) {
  std::ifstream in(path);
  if (!in) return Fail(Code::kInvalid, "{}: cannot be read", path);
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> header = SplitCsv(line);
  const auto column = std::find(header.begin(), header.end(), "message_id");
  if (column == header.end()) return Fail(Code::kInvalid, "{}:1: there is no column message_id", path);
  const auto at = static_cast<size_t>(column - header.begin());
  json ids = json::array();
  while (std::getline(in, line)) {
    const std::vector<std::string> fields = SplitCsv(line);
    if (at < fields.size() && !fields[at].empty()) ids.push_back(fields[at]);
    if (ids.size() > kIdsMax) return Fail(Code::kInvalid, "{}: more than {} rows", path, kIdsMax);
  }
  return ids;
}

int RunResolve(const Common& common, const Resolve& flags) {
  auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  auto received = ReadMessageIds(flags.received);
  if (!received) return PrintError(common, received.error());
  const std::string filter = flags.campaign.empty() ? "" : "&campaign_id=" + PercentEncode(flags.campaign);
  auto unknown = Ask(*server, "GET", "/v1/sends/unknown?page_size=1000" + filter, "", "");
  if (!unknown) return PrintError(common, unknown.error());
  if (unknown->status != 200) return PrintAnswer(common, *unknown);
  const json listed = json::parse(unknown->body, nullptr, false);
  // Only the ids that matter travel: those of sends in doubt. Without that field all of them do.
  json wanted = json::array();
  bool named = true;
  for (const json& item : listed.value("items", json::array())) named = named && item.contains("message_id");
  if (named) {
    std::set<std::string> in_doubt;
    for (const json& item : listed["items"]) in_doubt.insert(item["message_id"].get<std::string>());
    for (const json& id : *received) {
      if (in_doubt.contains(id.get<std::string>())) wanted.push_back(id);
    }
  } else {
    wanted = *received;
  }
  const size_t count = listed.value("items", json::array()).size();
  if (count > 0 && !flags.dry_run &&
      !Confirm(common, fmt::format("Settle {} sends in doubt: {} were received, {} will be sent once more.", count, wanted.size(),
                                   count - std::min(count, wanted.size())))) {
    return kExitRefused;
  }
  json body = {{"received_message_ids", wanted}, {"why", flags.why}};
  if (!flags.campaign.empty()) body["campaign_id"] = std::strtoull(flags.campaign.c_str(), nullptr, 10);
  const std::string path = flags.dry_run ? "/v1/sends/unknown:resolve?dry_run=true" : "/v1/sends/unknown:resolve";
  auto answer = Ask(*server, "POST", path, body.dump(), "application/json");
  return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
}

struct SentMail {
  ServerFlags server;
  std::string id;
  std::string contact;
  std::string out;
};

// Exit 4 if it is not what was sent.
int RunMail(const Common& common, const SentMail& flags) {
  const auto server = flags.server.Resolve();
  if (!server) return PrintError(common, server.error());
  const std::string path = flags.contact.empty()
                               ? "/v1/messages/" + PercentEncode(flags.id) + "/mail"
                               : "/v1/campaigns/" + PercentEncode(flags.id) + "/sends/" + PercentEncode(flags.contact) + "/mail";
  const auto answer = Ask(*server, "GET", path, "", "");
  if (!answer) return PrintError(common, answer.error());
  if (answer->status != 200) return PrintAnswer(common, *answer);
  json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object() || !body.contains("mail")) return PrintError(common, Fail(Code::kRetry, "{} answered no mail", server->url));
  const std::string mail = body.value("mail", "");
  const bool differs = body.contains("same") && body["same"] == false;
  if (!flags.out.empty()) {
    std::ofstream out(flags.out, std::ios::binary);
    out << mail;
    if (!out.flush()) return PrintError(common, Fail(Code::kInvalid, "{}: cannot be written", flags.out));
    body["mail"] = flags.out;
  }
  if (common.json) {
    std::printf("%s\n", body.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  } else if (flags.out.empty()) {
    std::fwrite(mail.data(), 1, mail.size(), stdout);
  }
  if (!common.json) {
    const std::string same = differs                  ? "it is not what was sent"
                             : body["same"].is_null() ? "it is not known whether it is what was sent"
                                                      : "it is what was sent, byte for byte";
    std::fprintf(stderr, "SHA-256 %s: %s%s\n", body.value("sha256", "").c_str(), same.c_str(),
                 body.contains("why") ? ("; " + body.value("why", "")).c_str() : "");
  }
  return differs ? kExitDifference : kExitOk;
}

// A GET whose path is made of the arguments.
void AddGet(CLI::App& parent, Chosen& chosen, const char* name, const char* help, const std::vector<const char*>& arguments,
            std::function<std::string(const std::vector<std::string>&)> path) {
  CLI::App* sub = parent.add_subcommand(name, help);
  sub->fallthrough();
  auto server = std::make_shared<ServerFlags>();
  auto values = std::make_shared<std::vector<std::string>>(arguments.size());
  server->AddTo(*sub);
  for (size_t i = 0; i < arguments.size(); ++i) {
    CLI::Option* option = sub->add_option(arguments[i], (*values)[i]);
    if (arguments[i][0] != '-') option->required();
  }
  sub->callback([&chosen, server, values, path] {
    chosen = [server, values, path](const Common& common) {
      auto resolved = server->Resolve();
      if (!resolved) return PrintError(common, resolved.error());
      auto answer = Ask(*resolved, "GET", path(*values), "", "");
      return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
    };
  });
}

}  // namespace

void AddSends(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  AddGet(app, chosen, "show", "what happened to one send; example: maily sends show 1 281474976710657", {"campaign", "contact"},
         [](const std::vector<std::string>& values) {
           return "/v1/campaigns/" + PercentEncode(values[0]) + "/sends/" + PercentEncode(values[1]);
         });
  CLI::App* mail =
      app.add_subcommand("mail",
                         "the mail of a send, made again from the journal, and whether it is byte for byte what was sent; its links "
                         "are live; sends nothing; exit code 4: it is not");
  mail->footer("Example: maily sends mail 1 281474976710657 --out sent.eml; of a message: maily sends mail 4611686018427387905");
  mail->fallthrough();
  auto sent = std::make_shared<SentMail>();
  sent->server.AddTo(*mail);
  mail->add_option("id", sent->id, "a campaign, or a message")->required();
  mail->add_option("contact", sent->contact, "whom the campaign sent it to");
  mail->add_option("--out", sent->out, "write it to this file");
  mail->callback([&chosen, sent] { chosen = [sent](const Common& common) { return RunMail(common, *sent); }; });
  CLI::App* unknown = app.add_subcommand("unknown", "sends whose reply was lost after the final dot");
  unknown->require_subcommand(1);
  unknown->fallthrough();
  AddGet(*unknown, chosen, "list", "example: maily sends unknown list --campaign 1", {"--campaign"},
         [](const std::vector<std::string>& values) {
           return "/v1/sends/unknown" + (values[0].empty() ? "" : "?campaign_id=" + PercentEncode(values[0]));
         });
  CLI::App* resolve = unknown->add_subcommand(
      "resolve",
      "settle them by what the receiver says it got; example: maily sends unknown resolve --received received.csv --why 'relay log' --yes");
  resolve->fallthrough();
  auto flags = std::make_shared<Resolve>();
  flags->server.AddTo(*resolve);
  resolve->add_option("--received", flags->received, "CSV with a column message_id: what was received")->required();
  resolve->add_option("--why", flags->why, "kept with the decision")->required();
  resolve->add_option("--campaign", flags->campaign, "only of this campaign");
  resolve->add_flag("--dry-run", flags->dry_run, "only say how many would be delivered and how many sent once more; nothing is appended");
  resolve->callback([&chosen, flags] { chosen = [flags](const Common& common) { return RunResolve(common, *flags); }; });
}

}  // namespace maily::app
