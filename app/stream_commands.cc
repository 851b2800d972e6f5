// `maily events` and `maily query`: what is journaled, and any GET of the API.
#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "app/remote.h"
#include "app/subcommand.h"

namespace maily::app {
namespace {

struct Tail {
  ServerFlags server;
  unsigned partition = 0;
  std::string from;
  bool follow = false;
};

int RunTail(const Common& common, const Tail& tail) {
  auto server = tail.server.Resolve();
  if (!server) return PrintError(common, server.error());
  std::string from = tail.from;
  for (;;) {
    auto answer = Ask(*server, "GET", fmt::format("/v1/journal?partition={}&from={}", tail.partition, from), "", "");
    if (!answer) return PrintError(common, answer.error());
    if (answer->status != 200) return PrintAnswer(common, *answer);
    std::fputs(answer->body.c_str(), stdout);
    std::fflush(stdout);
    const std::string next = answer->headers["maily-next"];
    if (answer->body.empty()) {
      if (!tail.follow) return kExitOk;
      std::this_thread::sleep_for(std::chrono::milliseconds(250));  // between polls for new events
    }
    from = next;
  }
}

}  // namespace

void AddEvents(CLI::App& app, Chosen& chosen) {
  app.require_subcommand(1);
  CLI::App* sub = app.add_subcommand(
      "tail", "events of a partition as CloudEvents, a line each; example: maily events tail --partition 3 --from beginning");
  sub->fallthrough();
  auto tail = std::make_shared<Tail>();
  tail->server.AddTo(*sub);
  sub->add_option("--partition", tail->partition, "which one")->capture_default_str();
  sub->add_option("--from", tail->from, "'beginning', or a place from an earlier answer; default: only new events");
  sub->add_flag("--follow", tail->follow, "wait for more until interrupted");
  sub->callback([&chosen, tail] { chosen = [tail](const Common& common) { return RunTail(common, *tail); }; });
}

void AddQuery(CLI::App& app, Chosen& chosen) {
  app.footer("Example: maily query '/v1/campaigns/1/sends?status=skipped' --output json");
  auto server = std::make_shared<ServerFlags>();
  auto path = std::make_shared<std::string>();
  server->AddTo(app);
  app.add_option("path", *path, "any GET path; see /api/docs")->required();
  app.callback([&chosen, server, path] {
    chosen = [server, path](const Common& common) {
      auto resolved = server->Resolve();
      if (!resolved) return PrintError(common, resolved.error());
      auto answer = Ask(*resolved, "GET", *path, "", "");
      return answer ? PrintAnswer(common, *answer) : PrintError(common, answer.error());
    };
  });
}

}  // namespace maily::app
