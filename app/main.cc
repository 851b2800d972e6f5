// `maily`: the one program. Its subcommands are the tables below and in remote.cc.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/config.h"
#include "app/export_command.h"
#include "app/remote.h"
#include "app/signals.h"
#include "app/subcommand.h"

#ifndef MAILY_BUILD
#define MAILY_BUILD "unknown"
#endif

// Read by jemalloc before main: memory that is not used any more goes back after a second instead of ten, so that an import, which is soon
// over, does not lie under the campaign that comes after it.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf = "dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace maily::app {
namespace {

constexpr Subcommand kSubcommands[] = {
    {"serve", "run everything in one process: log, tasks, effects, projections, API", AddServe},
    {"sink", "an SMTP server that accepts, counts and keeps mail; for trying Maily and for tests", AddSink},
    {"import", "import contacts from a file; look at imports, cancel and undo them", AddImport},
    {"export", "contacts as a file", AddExport},
    {"sends", "sends in doubt, and why someone did or did not get a mail", AddSends},
    {"bounces", "what today's rules say of refusals of old", AddBounces},
    {"query", "ask the API: any GET path", AddQuery},
    {"events", "follow what is journaled", AddEvents},
    {"config", "where each setting comes from", AddConfig},
    {"arm", "let an instance send to the world, or take that back", AddArm},
    {"topology", "who decides, evolves and reads what, and what links carry", AddTopology},
    {"schema", "the types of commands, events and state", AddSchema},
    {"store", "the state stores and read models of a stopped process", AddStore},
    {"log", "a log moves to another place", AddLog},
    {"snapshots", "snapshots of state: what there is, and one more of a stopped process", AddSnapshots},
    {"topics", "the topics of a log on Kafka", AddTopics},
    {"doctor", "look for what is wrong; changes nothing", AddDoctor},
};

constexpr const char* kExitCodes =
    "0 ok\n1 failed\n2 usage\n3 refused (state, unconfirmed, locked)\n4 difference or finding (verify, doctor, domain check, suppression "
    "check, segment check, bounces review)\n"
    "5 unreachable or time-out\n130 interrupted\n";

int PrintVersion(const Common& common) {
  if (common.json) {
    std::printf("%s\n", nlohmann::json({{"version", "0.1.0"}, {"build", MAILY_BUILD}}).dump().c_str());
  } else {
    std::printf("maily 0.1.0 (%s)\n", MAILY_BUILD);
  }
  return kExitOk;
}

int PrintExitCodes(const Common& common) {
  if (!common.json) {
    std::fputs(kExitCodes, stdout);
    return kExitOk;
  }
  nlohmann::json codes = nlohmann::json::object();
  std::istringstream lines(kExitCodes);
  for (std::string line; std::getline(lines, line);) codes[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  std::printf("%s\n", nlohmann::json({{"exit_codes", codes}}).dump().c_str());
  return kExitOk;
}

// Whether errors of the command line itself are to be JSON too: they come before flags have their values.
bool WantsJson(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--output=json" || (word == "--output" && i + 1 < argc && std::string_view(argv[i + 1]) == "json")) return true;
  }
  return false;
}

bool IsSubcommand(const CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&name](const CLI::App* sub) { return sub->get_name() == name; }).empty();
}

std::vector<std::string> SubcommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

int UsageError(const CLI::App& app, const std::string& what, bool json) {
  // Where parsing stopped, and what that is called.
  const CLI::App* at = &app;
  std::string path = "maily";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  // The nearest name for what was not understood: of the subcommands there, and of the flags there and above.
  std::vector<std::string> names = SubcommandsOf(*at);
  for (const CLI::App* level = at; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) names.push_back("--" + option->get_single_name());
  }
  std::vector<std::string> unknown = app.remaining(true);
  std::erase_if(unknown, [&app](const std::string& word) { return IsSubcommand(app, word); });
  std::string hint;
  for (const std::string& word : unknown) {
    if (const std::string nearest = NearestName(word.substr(0, word.find('=')), names); !nearest.empty()) {
      hint += fmt::format("did you mean {}? ", nearest);
    }
  }
  hint += fmt::format("see {} --help", path);
  if (json) {
    nlohmann::json details = nlohmann::json::array();
    for (const std::string& word : unknown) details.push_back({{"path", word}, {"code", "usage"}, {"hint", hint}});
    std::printf("%s\n", nlohmann::json({{"code", "usage"}, {"message", what}, {"hint", hint}, {"details", details}}).dump().c_str());
  }
  std::fprintf(stderr, "maily: %s\n%s\n", what.c_str(), hint.c_str());
  return kExitUsage;
}

// The first word, if it is neither a flag nor a subcommand: parsing would go on to a later word that is one.
std::string UnknownFirstWord(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--output") {
      ++i;
    } else if (!word.starts_with('-')) {
      return IsSubcommand(app, word) ? std::string() : word;
    }
  }
  return {};
}

}  // namespace

int PrintError(const Common& common, const Error& error) {
  if (common.json) {
    std::printf(
        "%s\n",
        nlohmann::json({{"code", CodeName(error.code)}, {"message", error.message}, {"details", nlohmann::json::array()}}).dump().c_str());
  }
  std::fprintf(stderr, "maily: %s\n", error.message.c_str());
  switch (error.code) {
    case Code::kRetry:
      return kExitUnreachable;
    case Code::kConflict:
      return kExitRefused;
    case Code::kInvalid:
      return kExitUsage;
    default:
      return kExitFailed;
  }
}

int Main(int argc, char** argv) {
  CLI::App app("Maily: every campaign, contact, send and engagement is an event.\nExample: maily serve --data ./maily-data");
  app.name("maily");
  app.require_subcommand(0, 1);
  app.fallthrough();
  Common common;
  common.program = argv[0];
  std::string output = "text";
  app.add_option("--output", output, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  app.add_flag("--yes", common.yes, "do not ask; needed where there is no terminal");
  Chosen chosen;
  for (const Subcommand& row : kSubcommands) {
    CLI::App* sub = app.add_subcommand(row.name, row.help);
    sub->fallthrough();
    row.add(*sub, chosen);
  }
  AddRemote(app, chosen);
  app.add_subcommand("version", "version and build")->callback([&] { chosen = PrintVersion; });
  std::string topic;
  CLI::App* help = app.add_subcommand("help", "maily help exit-codes");
  help->add_option("topic", topic, "exit-codes");
  help->callback([&] {
    chosen = [&](const Common& asked) -> int {
      if (topic == "exit-codes") return PrintExitCodes(asked);
      const CLI::App* about = topic.empty() ? &app : IsSubcommand(app, topic) ? app.get_subcommand(topic) : nullptr;
      if (about == nullptr) return UsageError(app, "there is no help on " + topic, asked.json);
      std::fputs(app.get_formatter()->make_help(about, "maily" + (topic.empty() ? "" : " " + topic), CLI::AppFormatMode::Normal).c_str(),
                 stdout);
      return static_cast<int>(kExitOk);
    };
  });
  if (const std::string word = UnknownFirstWord(app, argc, argv); !word.empty()) {
    const std::string nearest = NearestName(word, SubcommandsOf(app));
    return UsageError(app, fmt::format("there is no subcommand {}{}", word, nearest.empty() ? "" : "; did you mean " + nearest + "?"),
                      WantsJson(argc, argv));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& call) {
    return app.exit(call);
  } catch (const CLI::CallForAllHelp& call) {
    return app.exit(call);
  } catch (const CLI::ParseError& error) {
    return UsageError(app, error.what(), WantsJson(argc, argv));
  }
  common.json = output == "json";
  if (!chosen) {
    std::fputs(app.help().c_str(), stdout);
    return kExitOk;
  }
  ExitWhenInterrupted(common.json);
  return chosen(common);
}

}  // namespace maily::app

int main(int argc, char** argv) { return maily::app::Main(argc, argv); }
