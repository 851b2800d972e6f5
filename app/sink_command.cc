// `maily sink`: the SMTP server of sink.h and a few pages to look at what came.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "api/http/problem.h"
#include "api/http/server.h"
#include "app/endpoint.h"
#include "app/read_file.h"
#include "app/signals.h"
#include "app/sink.h"
#include "app/subcommand.h"
#include "streams/adapters/asio/asio_env.h"
#include "streams/adapters/asio/asio_net.h"
#include "streams/base/html.h"
#include "streams/observe/logging.h"

namespace maily::app {
namespace {

using http::Method;
using http::Request;
using http::Respond;
using http::Response;

constexpr size_t kListMax = 1'000'000;  // of one CSV answer
constexpr size_t kPageMax = 200;        // of the HTML list

uint64_t QueryNumber(const Request& request, std::string_view name) {
  return std::strtoull(request.Query(name).value_or("0").c_str(), nullptr, 10);
}

Response ReceivedCsv(const Sink& sink, uint64_t after) {
  std::string out = "number,received_at_us,recipient,message_id,bytes\n";
  for (const ReceivedMail& mail : sink.List(after, kListMax)) {
    out += fmt::format("{},{},{},{},{}\n", mail.number, mail.received_at_us, mail.recipient, mail.message_id, mail.bytes);
  }
  Response response = Response::Text(200, std::move(out));
  return response;
}

Response ListPage(const Sink& sink) {
  const auto counts = sink.counts();
  std::string out =
      fmt::format("<!doctype html><title>maily sink</title><h1>{} mails, {} recipients</h1><ul>", counts.mails, counts.distinct_recipients);
  for (const ReceivedMail& mail : sink.List(counts.mails > kPageMax ? counts.mails - kPageMax : 0, kPageMax)) {
    out += fmt::format("<li><a href=\"/messages/{}\">{}: {}</a> {} ({} bytes)", mail.number, mail.number, Html(mail.recipient),
                       Html(mail.subject), mail.bytes);
  }
  return Response::Html(200, out + "</ul>");
}

http::Router MakeRouter(const Sink& sink) {
  http::Router router;
  router.Add({.method = Method::kGet, .pattern = "/", .handler = [&sink](const Request&, Respond respond) { respond(ListPage(sink)); }});
  router.Add({.method = Method::kGet, .pattern = "/counts", .handler = [&sink](const Request&, Respond respond) {
                const auto counts = sink.counts();
                respond(Response::Json(200, nlohmann::json({{"mails", counts.mails},
                                                            {"distinct_recipients", counts.distinct_recipients},
                                                            {"connections", counts.connections},
                                                            {"rejected", counts.rejected},
                                                            {"dropped", counts.dropped}})
                                                .dump()));
              }});
  router.Add({.method = Method::kGet, .pattern = "/received", .handler = [&sink](const Request& request, Respond respond) {
                respond(ReceivedCsv(sink, QueryNumber(request, "after")));
              }});
  router.Add({.method = Method::kGet, .pattern = "/messages/{number}", .handler = [&sink](const Request& request, Respond respond) {
                auto message = sink.Message(std::strtoull(std::string(request.Param("number")).c_str(), nullptr, 10));
                if (!message) return respond(Response::Text(404, message.error().message + "\n"));
                if (request.Query("format").value_or("") == "raw") return respond(Response::Text(200, std::move(*message)));
                respond(Response::Html(200, "<!doctype html><title>mail</title><pre>" + Html(*message) + "</pre>"));
              }});
  return router;
}

struct Flags {
  std::string listen = "127.0.0.1:2525";
  std::string http = "127.0.0.1:2580";
  SinkOptions options;
  std::vector<std::string> rules;
  std::string script;
  std::string certificate, key;
  int64_t delay_ms = 0;
};

Result<void> UseTls(Flags& flags) {
  if (flags.certificate.empty() && flags.key.empty()) {
    if (flags.options.require_tls) return Fail(Code::kInvalid, "--require-tls needs --tls-certificate and --tls-key");
    return Ok();
  }
  if (flags.certificate.empty() || flags.key.empty()) {
    return Fail(Code::kInvalid, "--tls-certificate and --tls-key go together: one is missing");
  }
  MAILY_TRY(const std::string chain, ReadFile(flags.certificate));
  MAILY_TRY(const std::string key, ReadFile(flags.key));
  MAILY_TRY(flags.options.tls, tls::Context::Server(chain, key));
  return Ok();
}

int Run(const Common& common, Flags flags) {
  BlockStopSignals();
  auto listen = ParseEndpoint(flags.listen);
  if (!listen) return PrintError(common, listen.error());
  auto pages = ParseEndpoint(flags.http);
  if (!pages) return PrintError(common, pages.error());
  for (const std::string& rule : flags.rules) {
    auto parsed = ParseSinkRule(rule);
    if (!parsed) return PrintError(common, parsed.error());
    flags.options.rules.push_back(std::move(*parsed));
  }
  if (!flags.script.empty()) {
    auto script = ReadSinkScript(flags.script);
    if (!script) return PrintError(common, script.error());
    flags.options.rules.insert(flags.options.rules.end(), std::make_move_iterator(script->begin()), std::make_move_iterator(script->end()));
  }
  if (auto secured = UseTls(flags); !secured) return PrintError(common, secured.error());
  flags.options.listen = *listen;
  flags.options.delay = Milliseconds(flags.delay_ms);
  asio_net::SystemClock clock;
  asio_net::Worker worker("sink");
  asio_net::AsioNet net(worker);
  auto sink = Sink::Start(net, worker, clock, flags.options);
  if (!sink) return PrintError(common, sink.error());
  http::ServerOptions options;
  options.listen = *pages;
  auto server = http::Server::Start(options, MakeRouter(**sink));
  if (!server) return PrintError(common, server.error());
  observe::Log(observe::Level::kInfo, "sink ready", {{"smtp", (*sink)->local().ToString()}, {"http", (*server)->local().ToString()}});
  WaitForStopSignal(-1);
  (*server)->Stop(Seconds(1));
  const auto counts = (*sink)->counts();
  worker.Stop();
  observe::Log(observe::Level::kInfo, "sink stopped", {{"mails", counts.mails}, {"distinct_recipients", counts.distinct_recipients}});
  return kExitOk;
}

}  // namespace

void AddSink(CLI::App& app, Chosen& chosen) {
  auto flags = std::make_shared<Flags>();
  app.footer("Example: maily sink --listen 127.0.0.1:2525 --keep mails --log received.csv");
  app.add_option("--listen", flags->listen, "address of the SMTP server")->capture_default_str();
  app.add_option("--http", flags->http, "address of its pages")->capture_default_str();
  app.add_option("--log", flags->options.log_path, "CSV file with a line for each mail, written before the mail is answered");
  app.add_option("--keep", flags->options.keep_path, "file that keeps whole mails");
  app.add_option(
      "--reply", flags->rules,
      "[rcpt:|dot:]PATTERN=REPLY: what RCPT or the final dot answers to recipients like PATTERN, e.g. '*@soft.test=451 4.2.0 busy'");
  app.add_option(
      "--script", flags->script,
      "YAML file of rules with replies, delays, drops, shares, times and first attempts (docs/howto/rehearse.md); after those of --reply");
  app.add_option("--tls-certificate", flags->certificate, "PEM file of its certificate chain: STARTTLS is offered");
  app.add_option("--tls-key", flags->key, "PEM file of its private key");
  app.add_flag("--require-tls", flags->options.require_tls, "take mail only after STARTTLS");
  app.add_option("--drop-after-dot", flags->options.drop_after_dot, "share of mails that are taken and not answered, 0 to 1");
  app.add_option("--delay-ms", flags->delay_ms, "wait before the answer to the final dot");
  app.add_option("--seed", flags->options.seed, "of that chance");
  app.callback([&chosen, flags] { chosen = [flags](const Common& common) { return Run(common, *flags); }; });
}

}  // namespace maily::app
