// See assets.h.
#include "api/assets.h"

#include <algorithm>
#include <charconv>

#include "api/handlers.h"
#include "api/read.h"
#include "api/submit.h"
#include "maily/assets/v1/commands.pb.h"
#include "schemas/keys.h"
#include "schemas/media.h"
#include "streams/observe/logging.h"

namespace maily::api {
namespace {

using http::Request;
using http::Respond;
using http::Response;

constexpr int64_t kUsesShown = 100;

std::string Address(const Call& call, const std::string& id) {
  return schema::HostedAddress(call.api->parts.tracking_base_url, call.caller.tenant, id);
}

// The id in the path; none: the call was refused.
std::optional<std::string> AssetParam(Call& call) {
  std::string id(call.request.Param("id"));
  if (schema::IsAssetId(id)) return id;
  Refuse(call, NoSuch("asset"));
  return std::nullopt;
}

http::Problem NotHere() {
  return {.status = 501, .code = "not_implemented", .message = "this process has no place for assets: see the setting assets"};
}

// What is sent as an asset. A problem: it is refused.
std::optional<http::Problem> CheckUpload(const Call& call, const std::string& name, std::string& type) {
  const AssetSettings& settings = call.api->parts.assets;
  if (!schema::IsAssetName(name)) {
    return BadParameter("name", "1 to 100 letters, digits, dots, hyphens and underscores, with a letter or digit in front, like logo.png",
                        422);
  }
  const std::string_view said = call.request.headers["content-type"];
  std::string_view bare = said.substr(0, said.find(';'));
  while (bare.ends_with(' ')) bare.remove_suffix(1);
  const auto parsed = schema::MediaType::Parse(bare);
  std::string known;
  for (const std::string& one : settings.types) known += (known.empty() ? "" : ", ") + one;
  const http::Problem refused{.status = 422,
                              .code = "asset_type_refused",
                              .message = "the type of this asset is not taken",
                              .details = {{"content-type", "asset_type_refused", "taken are: " + known}}};
  if (!parsed || std::ranges::find(settings.types, parsed->text()) == settings.types.end()) return refused;
  type = parsed->text();
  if (call.request.body.empty()) {
    return http::Problem{.status = 422, .code = "invalid_asset", .message = "the body is empty: send the bytes of the asset"};
  }
  if (call.request.body.size() > settings.bytes_max) {
    return http::Problem{.status = 413,
                         .code = "body_too_large",
                         .message = fmt::format("an asset has at most {} bytes here (asset_kb_max), and this one has {}",
                                                settings.bytes_max, call.request.body.size())};
  }
  if (!LooksLike(type, call.request.body)) {
    return http::Problem{
        .status = 422, .code = "asset_type_refused", .message = fmt::format("these bytes are no {}: they begin otherwise", type)};
  }
  return std::nullopt;
}

// Off the API's executor: the blob that nobody names is removed. What fails is left to the sweep.
void RemoveSoon(const std::shared_ptr<Shared>& api, std::string blob) {
  api->blocking().Post([api, blob = std::move(blob)] { api->parts.assets.store->Remove(blob).IgnoreError("the sweep finds it"); });
}

Json AssetJson(const Shared& api, TenantId tenant, const Rows& rows, size_t row) {
  Json body = RowJson(rows, row, "asset_id");
  body["archived"] = rows.at(row, "archived").integer != 0;
  body["url"] = schema::HostedAddress(api.parts.tracking_base_url, tenant, rows.at(row, "asset_id").bytes);
  return body;
}

void Archive(Call call, bool restore) {
  const auto id = AssetParam(call);
  if (!id) return;
  assets::v1::ArchiveAsset command;
  command.set_asset(schema::AssetDigest(*id));
  command.set_restore(restore);
  SubmitHome(std::move(call), command, {.id_member = "asset", .more = {{"archived", !restore}}});
}

}  // namespace

std::optional<http::Problem> ScanFile(const Call& call, std::string_view bytes) {
  if (!call.api->parts.assets.scan) return std::nullopt;
  const Result<AssetVerdict> verdict = call.api->parts.assets.scan(bytes);
  if (!verdict) return http::Problem{.status = 503, .code = "asset_not_scanned", .message = verdict.error().message};
  if (verdict->clean) return std::nullopt;
  return http::Problem{.status = 422,
                       .code = "asset_infected",
                       .message = "the scanner says that this file is not clean, so it was not taken",
                       .details = {{"body", "asset_infected", verdict->words}}};
}

bool LooksLike(std::string_view content_type, std::string_view bytes) {
  if (content_type == "image/png") return bytes.starts_with("\x89PNG\r\n\x1A\n");
  if (content_type == "image/jpeg") return bytes.starts_with("\xFF\xD8\xFF");
  if (content_type == "image/gif") return bytes.starts_with("GIF87a") || bytes.starts_with("GIF89a");
  if (content_type == "image/webp") return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP");
  if (content_type == "application/pdf") return bytes.starts_with("%PDF-");
  return true;
}

void AddAsset(Call call) {
  if (call.api->parts.assets.store == nullptr) return Refuse(call, NotHere());
  const std::string name = call.request.Query("name").value_or("");
  std::string type;
  if (const auto wrong = CheckUpload(call, name, type)) return Refuse(call, *wrong);
  // A scanner may take its time, and reads do not wait behind it.
  const AssetSettings& settings = call.api->parts.assets;
  Executor& executor = settings.scan ? *settings.scans_on : call.api->blocking();
  executor.Post([call = std::move(call), name, type]() mutable {
    const std::string bytes = std::move(call.request.body);
    if (const auto wrong = ScanFile(call, bytes)) return Refuse(call, *wrong);
    const std::string id = schema::AssetId(bytes);
    assets::v1::AddAsset command;
    command.set_asset(schema::AssetDigest(id));
    command.set_name(name);
    command.set_content_type(type);
    command.set_size(bytes.size());
    gateway::Order order = gateway::PlainOrder(command, schema::HomeKey(call.caller.tenant));
    // Where it was put is no part of the request that Idempotency-Key stands for.
    command.set_uploaded_at_us(call.api->parts.clock.Now().us);
    std::string put;
    if (call.dry_run()) {
      command.set_blob("dry_run");
    } else {
      const auto blob = call.api->parts.assets.store->Put(call.caller.tenant, type, bytes);
      if (!blob) return Refuse(call, blob.error());
      put = *blob;
      command.set_blob(put);
    }
    order.payload = command.SerializeAsString();
    Shape shape{.status = 201,
                .more = {{"id", id}, {"name", name}, {"content_type", type}, {"size", bytes.size()}, {"url", Address(call, id)}}};
    shape.decided = [api = call.api, put](const gateway::Verdict& verdict) {
      if (put.empty() || verdict.kind != gateway::Verdict::Kind::kDecided) return;
      if (AnswerOf(verdict).value("blob", "") != put) RemoveSoon(api, put);  // refused, or the bytes were there
    };
    shape.hidden = {"asset", "blob"};
    Submit(std::move(call), std::move(order), std::move(shape));
  });
}

void ListAssets(Call call) {
  const bool archived = call.request.Query("archived").value_or("false") == "true";
  const auto row = [api = call.api, tenant = call.caller.tenant](const Rows& rows, size_t at) { return AssetJson(*api, tenant, rows, at); };
  List(std::move(call), {.query = "assets",
                         .key = {"asset_id"},
                         .first = {Value::Text("")},
                         .fixed = {{"archived", Value::Integer(archived ? 1 : 0)}},
                         .row = row});
}

void ShowAsset(Call call) {
  const auto id = AssetParam(call);
  if (!id) return;
  Read(std::move(call), "asset", [which = Parameter{"asset_id", Value::Text(*id)}](Call& c) -> Result<Json> {
    MAILY_TRY(const Rows rows, QueryOwn(c, "asset", {which}));
    if (rows.empty()) return Missing("asset");
    MAILY_TRY(const Rows uses, QueryOwn(c, "asset_uses", {which, {"limit", Value::Integer(kUsesShown)}}));
    Json body = AssetJson(*c.api, c.caller.tenant, rows, 0);
    body["used_by"] = RowsJson(uses);
    return body;
  });
}

void ArchiveAsset(Call call) { Archive(std::move(call), false); }
void RestoreAsset(Call call) { Archive(std::move(call), true); }

void DeleteAsset(Call call) {
  if (call.api->parts.assets.store == nullptr) return Refuse(call, NotHere());
  const auto id = AssetParam(call);
  if (!id) return;
  assets::v1::DeleteAsset command;
  command.set_asset(schema::AssetDigest(*id));
  Shape shape{.status = 204};
  shape.decided = [api = call.api, tenant = call.caller.tenant, id = *id](const gateway::Verdict& verdict) {
    if (verdict.kind != gateway::Verdict::Kind::kDecided || !IsDone(verdict)) return;
    api->hosted.Forget(tenant, id);
    if (std::string blob = AnswerOf(verdict).value("blob", ""); !blob.empty()) RemoveSoon(api, std::move(blob));
  };
  SubmitHome(std::move(call), command, std::move(shape));
}

// ---- The public address ----

void HostedAssets::Drop(std::map<Key, std::list<Entry>::iterator>::iterator at) {
  bytes_ -= at->second->stored->bytes.size();
  entries_.erase(at->second);
  places_.erase(at);
}

HostedAssets::Stored HostedAssets::Find(TenantId tenant, const std::string& id, Duration now) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find({tenant, id});
  if (found == places_.end()) return nullptr;
  if (found->second->until < now) {
    Drop(found);
    return nullptr;
  }
  return found->second->stored;
}

void HostedAssets::Keep(TenantId tenant, const std::string& id, const Stored& stored, Duration now) {
  const std::lock_guard lock(mutex_);
  if (const auto found = places_.find({tenant, id}); found != places_.end()) Drop(found);
  entries_.push_front({{tenant, id}, stored, now + kHostedFresh});
  places_[entries_.front().key] = entries_.begin();
  bytes_ += stored->bytes.size();
  while (bytes_ > kHostedBytesMax && entries_.size() > 1) Drop(places_.find(entries_.back().key));
}

void HostedAssets::Forget(TenantId tenant, const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = places_.find({tenant, id}); found != places_.end()) Drop(found);
}

namespace {

Response Plain(int status, std::string text) {
  Response response = Response::Text(status, std::move(text));
  response.headers.Add("cache-control", "no-store");
  return response;
}

Response Hosted(const std::string& id, const HostedAssets::Stored& stored) {
  Response response;
  response.headers.Add("etag", "\"" + id + "\"");
  response.headers.Add("cache-control", "public, max-age=31536000, immutable");
  if (stored == nullptr) {
    response.status = 304;
    return response;
  }
  response.headers.Add("content-type", stored->content_type);
  response.headers.Add("x-content-type-options", "nosniff");
  response.headers.Add("content-security-policy", "default-src 'none'; sandbox");
  response.headers.Add("cross-origin-resource-policy", "cross-origin");
  if (!stored->content_type.starts_with("image/")) response.headers.Add("content-disposition", "attachment");
  response.body = stored->bytes;
  return response;
}

void Serve(const std::shared_ptr<Shared>& api, const Request& request, Respond respond) {
  const std::string id(request.Param("id"));
  uint32_t number = 0;
  const std::string_view tenant = request.Param("tenant");
  const auto [end, error] = std::from_chars(tenant.data(), tenant.data() + tenant.size(), number);
  if (error != std::errc() || end != tenant.data() + tenant.size() || !schema::IsAssetId(id) || api->parts.assets.store == nullptr)
    return respond(Plain(404, "there is no such file\n"));
  if (request.headers["if-none-match"].find("\"" + id + "\"") != std::string_view::npos) return respond(Hosted(id, nullptr));
  const TenantId of(number);
  if (const auto stored = api->hosted.Find(of, id, api->parts.clock.Steady())) return respond(Hosted(id, stored));
  api->blocking().Post([api, of, id, respond = std::move(respond)]() mutable {
    auto got = api->parts.assets.store->Get(of, id);
    if (got) {
      const auto stored = std::make_shared<const schema::AssetStore::Stored>(std::move(*got));
      api->hosted.Keep(of, id, stored, api->parts.clock.Steady());
      return respond(Hosted(id, stored));
    }
    if (got.error().code == Code::kNotFound) return respond(Plain(404, "there is no such file\n"));
    observe::Log(observe::Level::kWarn, "an asset cannot be served", {{"tenant", of}, {"asset", id}, {"error", got.error()}});
    respond(Plain(got.error().code == Code::kRetry ? 503 : 500, "this file cannot be read now\n"));
  });
}

}  // namespace

std::vector<http::Route> HostedRoutes(std::shared_ptr<Shared> api) {
  std::vector<http::Route> routes;
  routes.push_back({.method = http::Method::kGet, .pattern = "/a/{tenant}/{id}", .handler = [api](const Request& request, Respond respond) {
                      Serve(api, request, std::move(respond));
                    }});
  return routes;
}

}  // namespace maily::api
