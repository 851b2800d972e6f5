// Segments: definitions, members at any time, previews.
#include <fmt/format.h>

#include "api/body.h"
#include "api/handlers.h"
#include "api/read.h"
#include "api/segment_members.h"
#include "api/submit.h"
#include "maily/segments/v1/commands.pb.h"

namespace maily::api {
namespace {

constexpr size_t kWhereBytesMax = 8 * 1024;

// "where": the text form, or the JSON form as a JSON value or as text.
template <class Command>
void ReadWhere(Body& body, Command& command, bool required) {
  if (body.Has("where") && body.object()["where"].is_object()) {
    const std::string json = body.Object("where")->dump();
    if (json.size() > kWhereBytesMax) body.Violation("where", "too_long", "has at most 8 KiB");
    command.set_json(json);
    return;
  }
  const auto text = body.Text("where", kWhereBytesMax, required);
  if (!text) return;
  const size_t begin = text->find_first_not_of(" \t\r\n");
  if (begin != std::string::npos && (*text)[begin] == '{') {
    command.set_json(*text);
  } else {
    command.set_text(*text);
  }
}

int64_t PartitionsOf(const Call& call) { return static_cast<int64_t>(call.api->parts.log.partition_count); }

// A row of a segment, with its expression in both forms and how far its version has come.
Json SegmentJson(int64_t partitions, const Rows& rows, size_t row) {
  Json all = RowJson(rows, row, "segment_id");
  const bool archived = rows.at(row, "archived_at_us").type != sql::Type::kNull;
  const int64_t done = rows.at(row, "partitions_done").integer;
  Json out{{"id", all["id"]}, {"name", all["name"]}, {"status", archived ? "archived" : done == partitions ? "active" : "applying"}};
  out["version"] = all["version"];
  out["where"] = all["text"];
  out["where_json"] = Json::parse(rows.at(row, "json").bytes, nullptr, false);
  for (const char* member : {"members", "undecided", "created_at", "defined_at", "archived_at"}) out[member] = all[member];
  out["partitions_done"] = done;
  out["partitions"] = partitions;
  return out;
}


// Nobody is a member of a segment from its archiving on.
bool IsOver(const Rows& segment, int64_t at_us) {
  const Value& archived = segment.at(0, "archived_at_us");
  return archived.type != sql::Type::kNull && archived.integer <= at_us;
}

Json Samples(const Rows& rows) {
  Json ids = Json::array();
  for (size_t row = 0; row < rows.size(); ++row) ids.push_back(CellJson("contact_id", rows.at(row, "contact_id")));
  return ids;
}

Result<Json> PreviewJson(Call& call, const Parameter& which) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "segment_preview", {which}));
  if (rows.empty()) return Missing("segment preview");
  const int64_t partitions = PartitionsOf(call);
  const int64_t done = rows.at(0, "partitions_done").integer;
  const auto number = [&](const char* column) { return rows.at(0, column).integer; };
  Json out{{"id", which.value.integer}, {"status", done == partitions ? "done" : "counting"}};
  out["where"] = rows.at(0, "text").bytes;
  out["where_json"] = Json::parse(rows.at(0, "json").bytes, nullptr, false);
  for (const char* column : {"contacts", "matching", "undecided"}) out[column] = number(column);
  MAILY_TRY(const Rows missing, QueryOwn(call, "segment_preview_missing", {which}));
  out["missing"] = Json::object();
  for (size_t row = 0; row < missing.size(); ++row)
    out["missing"][missing.at(row, "attribute").bytes] = missing.at(row, "contacts").integer;
  MAILY_TRY(const Rows samples, QueryOwn(call, "segment_preview_samples", {which, {"kind", Value::Text("match")}}));
  out["samples"] = Samples(samples);
  if (number("segment_id") != 0) {
    Json against{{"segment_id", number("segment_id")}};
    for (const char* column : {"members", "enter", "leave", "pending"}) against[column] = number(column);
    for (const char* kind : {"enter", "leave"}) {
      MAILY_TRY(const Rows some, QueryOwn(call, "segment_preview_samples", {which, {"kind", Value::Text(kind)}}));
      against[std::string(kind) + "_samples"] = Samples(some);
    }
    against["kept_digest"] = fmt::format("{:016x}", static_cast<uint64_t>(number("kept_hash")));
    against["decided_digest"] = fmt::format("{:016x}", static_cast<uint64_t>(number("decided_hash")));
    out["against"] = std::move(against);
  }
  out["partitions_done"] = done;
  out["partitions"] = partitions;
  for (const char* column : {"requested_at_us", "counted_at_us"}) out[MemberOf(column)] = CellJson(column, rows.at(0, column));
  return out;
}

}  // namespace

void CreateSegment(Call call) {
  Body body(call);
  segments::v1::DefineSegment command;
  if (const auto name = body.Text("name", kNameBytesMax, kRequired)) command.set_name(*name);
  ReadWhere(body, command, kRequired);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command,
             {.status = 201, .id_member = "segment_id", .collection = "/v1/segments", .more = {{"name", command.name()}}});
}

void ChangeSegment(Call call) {
  Body body(call);
  segments::v1::DefineSegment command;
  ReadWhere(body, command, kRequired);
  if (const auto based_on = body.Integer("based_on", 1, INT32_MAX)) command.set_based_on(static_cast<uint32_t>(*based_on));
  if (!body.Accepted(call)) return;
  const auto id = IdParam(call);
  if (!id || *id == 0) return Refuse(call, NoSuch("segment"));
  command.set_segment_id(*id);
  SubmitHome(std::move(call), command, {.id_member = "segment_id"});
}

void ArchiveSegment(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("segment"));
  segments::v1::ArchiveSegment command;
  command.set_segment_id(*id);
  SubmitHome(std::move(call), command, {.more = {{"id", *id}, {"status", "archived"}}});
}

void ListSegments(Call call) {
  const int64_t partitions = PartitionsOf(call);
  List(std::move(call),
       {.query = "segments", .key = {"segment_id"}, .id_column = "segment_id", .row = [partitions](const Rows& rows, size_t row) {
          return SegmentJson(partitions, rows, row);
        }});
}

void ShowSegment(Call call) {
  const auto at_us = AsOf(call);
  if (!at_us) return;
  Show(std::move(call), "segment", "segment_id", "segment",
       [at_us = *at_us](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
         Json out = SegmentJson(PartitionsOf(c), found, 0);
         MAILY_TRY(const Rows versions, QueryOwn(c, "segment_versions", {which}));
         out["versions"] = Json::array();
         for (size_t row = 0; row < versions.size(); ++row) {
           out["versions"].push_back({{"version", versions.at(row, "version").integer},
                                      {"where", versions.at(row, "text").bytes},
                                      {"defined_at", Rfc3339(versions.at(row, "defined_at_us").integer)}});
         }
         if (at_us == INT64_MAX - 1) return out;
         int64_t members = 0;
         if (!IsOver(found, at_us)) {
           MAILY_TRY_VOID(MembersAt(c, which, at_us).Each(0, [&](int64_t) { return ++members > 0; }));
         }
         out["as_of"] = Rfc3339(at_us);
         out["members_as_of"] = members;
         return out;
       });
}

void ListSegmentMembers(Call call) {
  const auto at_us = AsOf(call);
  if (!at_us) return;
  const auto limit = NumberParameter(call, "page_size", kPageSizeDefault, 1, kPageSizeMax);
  if (!limit) return Refuse(call, BadParameter("page_size", fmt::format("a number from 1 to {}", kPageSizeMax), 422));
  const auto after = NumberParameter(call, "page_token", 0, 0, INT64_MAX);
  if (!after) return Refuse(call, BadParameter("page_token", "next_page_token of the page before", 422));
  Show(std::move(call), "segment", "segment_id", "segment",
       [at_us = *at_us, limit = *limit, after = *after](Call& c, const Rows& found, const Parameter& which) -> Result<Json> {
         Json items = Json::array();
         int64_t last = 0;
         bool more = false;
         const auto take = [&](int64_t contact_id) {
           if (static_cast<int64_t>(items.size()) == limit) {
             more = true;
             return false;
           }
           last = contact_id;
           items.push_back({{"contact_id", CellJson("contact_id", Value::Integer(contact_id))}});
           return true;
         };
         if (!IsOver(found, at_us)) MAILY_TRY_VOID(MembersAt(c, which, at_us).Each(after, take));
         Json out{{"items", std::move(items)}};
         if (more) out["next_page_token"] = std::to_string(last);
         return out;
       });
}

void PreviewSegment(Call call) {
  Body body(call);
  segments::v1::PreviewSegment command;
  const auto segment_id = body.Integer("segment_id", 1, INT64_MAX);
  if (segment_id) command.set_segment_id(static_cast<uint64_t>(*segment_id));
  ReadWhere(body, command, !segment_id);
  if (!body.Accepted(call)) return;
  SubmitHome(std::move(call), command, {.status = 201, .id_member = "preview_id", .collection = "/v1/segment-previews"});
}

void ShowSegmentPreview(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("segment preview"));
  Read(std::move(call), "segment_preview", [which = Parameter{"preview_id", Number(*id)}](Call& c) { return PreviewJson(c, which); });
}

}  // namespace maily::api
