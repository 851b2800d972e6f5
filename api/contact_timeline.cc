// See contact_timeline.h.
#include "api/contact_timeline.h"

#include <algorithm>
#include <array>

#include "api/contact_gone.h"
#include "api/gateway/token.h"
#include "api/handlers.h"

namespace maily::api {
namespace {

constexpr std::string_view kLabel = "contact_timeline";

TimelinePlace PlaceOf(const Rows& rows, size_t row, int64_t contact_id) {
  return {rows.at(row, "at_us").integer, rows.at(row, "place").integer, rows.at(row, "id").integer, rows.at(row, "noun_id").integer,
          contact_id};
}

// Rows of one contact, the newest first, and how many of them are taken.
struct Source {
  int64_t contact_id = 0;
  Rows rows;
  size_t taken = 0;
  bool empty() const { return taken == rows.size(); }
  TimelinePlace place() const { return PlaceOf(rows, taken, contact_id); }
};

// {"at", "kind", "campaign_id": 3, "campaign": "spring", …}; what an entry has none of is left out.
Json EntryOf(const Rows& rows, size_t row, int64_t contact_id) {
  Json entry{{"at", CellJson("at_us", rows.at(row, "at_us"))}, {"kind", rows.at(row, "kind").bytes}};
  entry["contact_id"] = std::to_string(contact_id);
  const std::string noun = rows.at(row, "noun").bytes;
  if (!noun.empty()) {
    entry[noun + "_id"] = rows.at(row, "noun_id").integer;
    entry[noun] = rows.at(row, "name").bytes;
  }
  for (const std::string& column : rows.columns) {
    if (column == "at_us" || column == "place" || column == "id" || column == "noun_id" || column == "kind" || column == "noun" ||
        column == "name")
      continue;
    const Value& value = rows.at(row, column);
    if (value.type == sql::Type::kNull || (value.type == sql::Type::kText && value.bytes.empty())) continue;
    if (column == "attempt" && value.integer == 0) continue;
    entry[column] = CellJson(column, value);
  }
  return entry;
}

std::string LabelOf(const Value& contact_id) { return fmt::format("{}?{}", kLabel, contact_id.integer); }

}  // namespace

Result<std::vector<int64_t>> MergedContacts(Call& call, const Value& contact_id) {
  MAILY_TRY(const Rows rows, QueryOwn(call, "merged_contacts", {{"contact_id", contact_id}}));
  std::vector<int64_t> ids;
  for (size_t row = 0; row < rows.size(); ++row) ids.push_back(rows.at(row, "contact_id").integer);
  return ids;
}

Result<TimelinePage> ReadTimeline(Call& call, const std::vector<int64_t>& contact_ids, const TimelinePlace& before, int64_t size) {
  std::vector<Source> sources;
  for (const int64_t contact_id : contact_ids) {
    // What happened to a contact of a lower id at the same place comes after.
    const bool same_too = contact_id < before.contact_id && before.noun_id < INT64_MAX;
    const std::vector<Parameter> parameters{{"contact_id", Value::Integer(contact_id)},
                                            {"at_us", Value::Integer(before.at_us)},
                                            {"place", Value::Integer(before.place)},
                                            {"id", Value::Integer(before.id)},
                                            {"noun_id", Value::Integer(before.noun_id + (same_too ? 1 : 0))},
                                            {"limit", Value::Integer(size + 1)}};
    for (const char* query : {"timeline_of_contact", "mail_timeline_of_contact"}) {
      MAILY_TRY(Rows rows, QueryOwn(call, query, parameters));
      sources.push_back({contact_id, std::move(rows)});
    }
  }
  const auto newest = [&] {
    return std::ranges::max_element(
        sources, [](const Source& a, const Source& b) { return a.empty() != b.empty() ? a.empty() : !a.empty() && a.place() < b.place(); });
  };
  TimelinePage page;
  auto next = newest();
  for (; next != sources.end() && !next->empty() && static_cast<int64_t>(page.items.size()) < size; next = newest()) {
    page.last = next->place();
    page.items.push_back(EntryOf(next->rows, next->taken++, next->contact_id));
  }
  page.more = next != sources.end() && !next->empty();
  return page;
}

void ShowContactTimeline(Call call) {
  const auto id = IdParam(call);
  if (!id) return Refuse(call, NoSuch("contact"));
  const auto size = NumberParameter(call, "page_size", kPageSizeDefault, 1, kPageSizeMax);
  if (!size) return Refuse(call, BadParameter("page_size", fmt::format("a number from 1 to {}", kPageSizeMax), 422));
  const auto keys = KeysOf(call);
  if (!keys) return Refuse(call, keys.error());
  TimelinePlace before;
  if (const auto token = call.request.Query("page_token")) {
    const auto decoded = gateway::DecodeCursor(*token, LabelOf(Number(*id)), **keys);
    if (!decoded || decoded->size() != 5) return Refuse(call, BadParameter("page_token", "not one that this list gave out"));
    before = {(*decoded)[0].integer, (*decoded)[1].integer, (*decoded)[2].integer, (*decoded)[3].integer, (*decoded)[4].integer};
  }
  ReadOfContact(std::move(call), *id, "", [id = *id, before, size = *size, keys = *keys](Call& c, const Rows&) -> Result<Json> {
    MAILY_TRY(const auto contact_ids, MergedContacts(c, Number(id)));
    MAILY_TRY(const TimelinePage page, ReadTimeline(c, contact_ids, before, size));
    Json body{{"items", page.items}};
    if (page.more) {
      const std::array<Value, 5> last{Value::Integer(page.last.at_us), Value::Integer(page.last.place), Value::Integer(page.last.id),
                                      Value::Integer(page.last.noun_id), Value::Integer(page.last.contact_id)};
      body["next_page_token"] = gateway::EncodeCursor(LabelOf(Number(id)), last, *keys);
    }
    return body;
  });
}

}  // namespace maily::api
