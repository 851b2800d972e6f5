// `maily`: the one program. Its subcommands are the tables below and in remote.cc.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/config.h"
#include "app/remote.h"
#include "app/subcommand.h"

#ifndef MAILY_BUILD
#define MAILY_BUILD "unknown"
#endif

namespace maily::app {
namespace {

constexpr Subcommand kSubcommands[] = {
    {"serve", "run everything in one process: log, tasks, effects, projections, API", AddServe},
    {"sink", "an SMTP server that accepts, counts and keeps mail; for trying Maily and for tests", AddSink},
    {"import", "import contacts from a CSV file", AddImport},
    {"sends", "sends in doubt, and why someone did or did not get a mail", AddSends},
    {"query", "ask the API: any GET path", AddQuery},
    {"events", "follow what is journaled", AddEvents},
    {"config", "where each setting comes from", AddConfig},
    {"arm", "let an instance send to the world, or take that back", AddArm},
    {"topology", "who decides, evolves and reads what, and what links carry", AddTopology},
    {"schema", "the types of commands, events and state", AddSchema},
    {"doctor", "look for what is wrong; changes nothing", AddDoctor},
};

constexpr const char* kExitCodes =
    "0 ok\n1 failed\n2 usage\n3 refused (state, unconfirmed, locked)\n4 difference or finding (verify, doctor)\n5 unreachable or time-out\n"
    "130 interrupted\n";

int PrintVersion(const Common& common) {
  if (common.json) {
    std::printf("%s\n", nlohmann::json({{"version", "0.1.0"}, {"build", MAILY_BUILD}}).dump().c_str());
  } else {
    std::printf("maily 0.1.0 (%s)\n", MAILY_BUILD);
  }
  return kExitOk;
}

int UsageError(const CLI::App& app, const CLI::ParseError& error) {
  std::fprintf(stderr, "maily: %s\n", error.what());
  // The nearest name for what was not understood: of the subcommands and flags at the place where parsing stopped.
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::App* sub : at->get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  for (const CLI::Option* option : at->get_options()) names.push_back("--" + option->get_single_name());
  for (const std::string& word : app.remaining(true)) {
    const std::string name = word.substr(0, word.find('='));
    if (const std::string nearest = NearestName(name, names); !nearest.empty()) std::fprintf(stderr, "did you mean %s?\n", nearest.c_str());
  }
  std::fprintf(stderr, "see %s --help\n", at->get_parent() == nullptr ? "maily" : ("maily " + at->get_name()).c_str());
  return kExitUsage;
}

}  // namespace

int PrintError(const Common& common, const Error& error) {
  if (common.json) {
    std::printf("%s\n", nlohmann::json({{"error", {{"code", CodeName(error.code)}, {"message", error.message}}}}).dump().c_str());
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
    chosen = [&](const Common&) {
      std::fputs(topic == "exit-codes" ? kExitCodes : app.help().c_str(), stdout);
      return static_cast<int>(kExitOk);
    };
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& call) {
    return app.exit(call);
  } catch (const CLI::CallForAllHelp& call) {
    return app.exit(call);
  } catch (const CLI::ParseError& error) {
    return UsageError(app, error);
  }
  common.json = output == "json";
  if (!chosen) {
    std::fputs(app.help().c_str(), stdout);
    return kExitOk;
  }
  return chosen(common);
}

}  // namespace maily::app

int main(int argc, char** argv) { return maily::app::Main(argc, argv); }
