// See operate.h.
#include "app/operate.h"

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "api/http/problem.h"
#include "app/cloud_event.h"
#include "app/read_models.h"
#include "app/site_status.h"
#include "schemas/json.h"
#include "streams/journal/rejected.h"
#include "streams/link/publisher.h"
#include "streams/observe/logging.h"

namespace maily::app {
namespace {

using http::Method;
using http::Request;
using http::Respond;
using http::Response;
using nlohmann::json;

constexpr size_t kJournalBytesMax = 1 << 20;  // of one answer
constexpr TenantId kOperator{1};              // the tenant `default`

Response Refuse(const Request& request, const Error& error) {
  return http::ToResponse(http::ProblemOf(error), request.trace_id, request.path());
}

// Runs `then` if the caller has an admin key of the operator's own tenant: what is asked here is of all tenants.
void AsOperator(const OperatorNeeds& needs, Request request, Respond respond, std::function<void(Request, Respond)> then) {
  const std::string authorization(request.headers["authorization"]);
  auto shared = std::make_shared<std::pair<Request, Respond>>(std::move(request), std::move(respond));
  needs.auth->Authenticate(authorization, [shared, then = std::move(then)](const Result<gateway::Caller>& caller) {
    auto& [asked, answer] = *shared;
    if (!caller) {
      http::Problem problem = http::ProblemOf(caller.error());
      if (caller.error().code == Code::kInvalid) {
        problem.status = 401;
        problem.code = "unauthorized";
        problem.headers.Add("www-authenticate", "Bearer");
      }
      return answer(http::ToResponse(problem, asked.trace_id, asked.path()));
    }
    if (!caller->May(gateway::Scope::kAdmin) || caller->tenant != kOperator) {
      return answer(http::ToResponse(
          {.status = 403, .code = "forbidden", .message = "this needs an admin key of the tenant `default`, the platform's operator"},
          asked.trace_id, asked.path()));
    }
    then(std::move(asked), std::move(answer));
  });
}

json InstanceJson(const OperatorNeeds& needs) {
  json partitions = json::array();
  uint16_t number = 0;
  for (const task::Task::Status& status : needs.host == nullptr ? std::vector<task::Task::Status>() : needs.host->status()) {
    partitions.push_back({{"partition", number++},
                          {"state", task::TaskStateName(status.state)},
                          {"epoch", status.epoch},
                          {"lsn", status.lsn},
                          {"decided", status.decided},
                          {"command_lag", status.command_lag},
                          {"commands_begin", status.commands_begin},
                          {"link_lag", status.link_lag},
                          {"clock_skew_seconds", static_cast<double>(status.clock_skew.us) / 1e6},
                          {"timers_held", status.timers_held},
                          {"state_bytes", status.state_bytes},
                          {"error", status.error}});
  }
  json settings = json::array();
  for (const kafka::Finding& finding : needs.settings->wrong()) {
    settings.push_back({{"topic", finding.where},
                        {"setting", finding.setting},
                        {"level", finding.level == kafka::Finding::Level::kFail ? "fail" : "warn"},
                        {"found", finding.found},
                        {"wanted", finding.wanted},
                        {"run", finding.fix}});
  }
  return {{"mode", needs.mode},
          {"wrong_settings", std::move(settings)},
          {"held_reason", needs.held_reason},
          {"build", needs.build},
          {"trouble", needs.trouble()},
          {"partitions", partitions}};
}

json ProjectionJson(const projections::Keeper& keeper) {
  const projections::ProjectionStatus status = keeper.Status();
  json item = {{"name", status.group},
               {"folded_by", keeper.holder()},
               {"folded_here", keeper.folding() != nullptr},
               {"live", status.live},
               {"previous", status.previous},
               {"lag_records", status.lag_records},
               {"lag_seconds", static_cast<double>(status.lag.us) / 1e6},
               {"stopped", status.stopped}};
  if (status.rebuild) {
    item["rebuild"] = {{"database", status.rebuild->database},
                       {"phase", std::string(projections::RebuildPhaseName(status.rebuild->phase))},
                       {"records_done", status.rebuild->records_done},
                       {"records_total", status.rebuild->records_total},
                       {"seconds", static_cast<double>(status.rebuild->elapsed.us) / 1e6},
                       {"remaining_seconds", static_cast<double>(status.rebuild->remaining.us) / 1e6},
                       {"digests_equal", status.rebuild->compared},
                       {"error", status.rebuild->error}};
  }
  return item;
}

// kNotFound: no such group. kConflict: another process folds it.
Result<std::shared_ptr<projections::Projection>> Find(const OperatorNeeds& needs, std::string_view group) {
  for (const projections::Keeper* keeper : needs.projections) {
    if (keeper->group() != group) continue;
    if (auto projection = keeper->folding()) return projection;
    return Fail(Code::kConflict, "another process folds '{}': ask {}", group, keeper->holder().empty() ? "it" : keeper->holder());
  }
  return Fail(Code::kNotFound, "no projection group '{}'", group);
}

// Every group's digest; answers once all have come.
void Digests(const OperatorNeeds& needs, const Request& request, Respond respond) {
  struct Gather {
    std::mutex mutex;
    size_t left;
    json groups = json::array();
    std::string error;
    Respond respond;
    Request request;
  };
  std::vector<std::shared_ptr<projections::Projection>> all;
  for (const projections::Keeper* keeper : needs.projections) {
    auto projection = Find(needs, keeper->group());
    if (!projection) return respond(Refuse(request, projection.error()));
    all.push_back(std::move(*projection));
  }
  auto gather = std::make_shared<Gather>();
  gather->left = needs.projections.size();
  gather->respond = std::move(respond);
  gather->request = request;
  for (const auto& projection : all) {
    const std::string group = projection->Status().group;
    projection->Digest([gather, group](const Result<projections::VerifiedDigest>& digest) {
      const std::lock_guard lock(gather->mutex);
      if (digest) {
        gather->groups.push_back({{"name", group}, {"digest", digest->digest.ToHex()}, {"tables", TablesJson(digest->digest)}});
      } else {
        gather->error = digest.error().ToString();
      }
      if (--gather->left > 0) return;
      if (!gather->error.empty()) return gather->respond(Refuse(gather->request, Fail(Code::kRetry, "{}", gather->error)));
      gather->respond(Response::Json(200, json({{"groups", gather->groups}}).dump()));
    });
  }
}

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::strtol(std::string(hex.substr(i, 2)).c_str(), nullptr, 16)));
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return hex;
}

// One line an event, as a CloudEvent in JSON; sealed fields stay sealed.
std::string EventLine(PartitionId partition, const journal::AcceptedFrame& frame, const link::EventPlace& place,
                      const journal::Decision& decision, const journal::Event& event) {
  const CloudEvent made = MakeCloudEvent(partition, frame, decision, event);
  json line = {{"specversion", "1.0"},
               {"id", link::FormatEventId(partition, place)},
               {"source", made.source},
               {"type", made.type},
               {"time", made.time},
               {"tenant", decision.tenant.value()},
               {"traceid", made.trace_id},
               {"causationid", made.causation_id},
               {"actor", std::string(decision.actor)},
               {"datacontenttype", "application/json"},
               {"key", made.key}};
  if (made.message) {
    line["data"] = json::parse(schema::ToJson(*made.message, schema::PersonalAs::kSealed), nullptr, false);
  } else if (event.type == TypeNumberOf<journal::CommandRejected>()) {
    journal::CommandRejected rejected;
    if (rejected.ParseFromArray(event.payload.data(), static_cast<int>(event.payload.size()))) {
      line["data"] = {{"code", rejected.code}, {"reason", rejected.reason}, {"command_type", rejected.type}, {"build", rejected.build}};
    }
  }
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

// Events of one partition after a place, and the place to go on from (header Maily-Next).
Response Journal(const OperatorNeeds& needs, const Request& request) {
  const auto partition = std::strtoul(request.Query("partition").value_or("0").c_str(), nullptr, 10);
  if (partition >= needs.tails->partition_count()) return Refuse(request, Fail(Code::kNotFound, "no partition {}", partition));
  const PartitionId id(static_cast<uint16_t>(partition));
  const std::string from = request.Query("from").value_or("");
  journal::Position position;
  if (from.empty()) {
    for (const projections::Keeper* keeper : needs.projections) {
      for (const journal::Position& at : keeper->Status().positions) {
        if (at.partition == id) position = at;
      }
    }
  } else if (from != "beginning") {
    auto decoded = journal::DecodePosition(FromHex(from));
    if (!decoded) return Refuse(request, Fail(Code::kInvalid, "from: not a place; leave it out for new events, or give 'beginning'"));
    position = *decoded;
  }
  auto reader = needs.tails->at(id).Open(position);
  if (!reader) return Refuse(request, reader.error());
  Response response;
  while (response.body.size() < kJournalBytesMax) {
    auto frame = (*reader)->Next();
    if (!frame) return Refuse(request, frame.error());
    if (*frame == nullptr) break;
    uint64_t lsn = (*frame)->first_lsn.value();
    for (const journal::Decision& decision : (*frame)->decisions) {
      uint32_t index = 0;
      for (const journal::Event& event : decision.events) response.body += EventLine(id, **frame, {Lsn(lsn), index++}, decision, event);
      ++lsn;
    }
  }
  response.headers.Add("content-type", "application/x-ndjson");
  response.headers.Add("maily-next", ToHex(journal::EncodePosition((*reader)->position())));
  return response;
}

}  // namespace

void AddOperatorRoutes(http::Router& router, const OperatorNeeds& needs) {
  const auto add = [&](Method method, std::string pattern, std::function<void(Request, Respond)> handler) {
    router.Add({.method = method, .pattern = std::move(pattern), .handler = [&needs, handler](Request request, Respond respond) {
                  AsOperator(needs, std::move(request), std::move(respond), handler);
                }});
  };
  add(Method::kGet, "/v1/instance",
      [&needs](const Request&, Respond respond) { respond(Response::Json(200, InstanceJson(needs).dump())); });
  add(Method::kGet, "/v1/projections", [&needs](const Request&, Respond respond) {
    json items = json::array();
    for (const projections::Keeper* keeper : needs.projections) items.push_back(ProjectionJson(*keeper));
    respond(Response::Json(200, json({{"items", items}}).dump()));
  });
  add(Method::kGet, "/v1/projections/digests",
      [&needs](const Request& request, Respond respond) { Digests(needs, request, std::move(respond)); });
  add(Method::kPost, "/v1/projections/{group}:rebuild", [&needs](const Request& request, Respond respond) {
    const auto found = Find(needs, request.Param("group"));
    if (!found) return respond(Refuse(request, found.error()));
    const auto& projection = *found;
    if (const auto status = projection->Status(); status.rebuild && status.rebuild->phase < projections::RebuildPhase::kDone) {
      return respond(Refuse(request, Fail(Code::kConflict, "a rebuild of '{}' is running", status.group)));
    }
    projection->Rebuild(projections::Projection::Then::kSwitch, [](const Result<projections::RebuildStatus>&) {});
    Response response = Response::Json(202, json({{"status", "building"}, {"progress", "/v1/projections"}}).dump());
    response.headers.Add("location", "/v1/projections");
    respond(std::move(response));
  });
  add(Method::kPost, "/v1/projections/{group}:rollback", [&needs](Request request, Respond respond) {
    const auto found = Find(needs, request.Param("group"));
    if (!found) return respond(Refuse(request, found.error()));
    (*found)->Rollback([request = std::move(request), respond = std::make_shared<Respond>(std::move(respond))](const Result<void>& done) {
      (*respond)(done ? Response::Json(200, R"({"status":"live"})") : Refuse(request, done.error()));
    });
  });
  add(Method::kGet, "/v1/sites", [&needs](const Request&, Respond respond) {
    json items = json::array();
    if (needs.sites == nullptr) return respond(Response::Json(200, json({{"items", items}, {"routing", "relay"}}).dump()));
    for (const auto& site : needs.sites->All()) items.push_back(SiteStatusJson(site->Look(needs.clock->Steady(), needs.clock->Now())));
    respond(Response::Json(200, json({{"items", items}, {"routing", "mx"}}).dump()));
  });
  add(Method::kGet, "/v1/journal", [&needs](Request request, Respond respond) {
    auto shared = std::make_shared<std::pair<Request, Respond>>(std::move(request), std::move(respond));
    needs.executor->Post([&needs, shared] { shared->second(Journal(needs, shared->first)); });
  });
}

}  // namespace maily::app
