// See contact_timeline.h.
#include "api/contact_timeline.h"

#include <array>

#include "api/contact_gone.h"
#include "api/gateway/token.h"
#include "api/handlers.h"

namespace maily::api {
namespace {

constexpr std::string_view kLabel = "contact_timeline";

TimelinePlace PlaceOf(const Rows& rows, size_t row) {
  return {rows.at(row, "at_us").integer, rows.at(row, "place").integer, rows.at(row, "id").integer, rows.at(row, "noun_id").integer};
}

// {"at", "kind", "campaign_id": 3, "campaign": "spring", …}; what an entry has none of is left out.
Json EntryOf(const Rows& rows, size_t row) {
  Json entry{{"at", CellJson("at_us", rows.at(row, "at_us"))}, {"kind", rows.at(row, "kind").bytes}};
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

Result<TimelinePage> ReadTimeline(Call& call, const Value& contact_id, const TimelinePlace& before, int64_t size) {
  const std::vector<Parameter> parameters{
      {"contact_id", contact_id},        {"at_us", Value::Integer(before.at_us)},     {"place", Value::Integer(before.place)},
      {"id", Value::Integer(before.id)}, {"noun_id", Value::Integer(before.noun_id)}, {"limit", Value::Integer(size + 1)}};
  MAILY_TRY(const Rows people, QueryOwn(call, "timeline_of_contact", parameters));
  MAILY_TRY(const Rows mails, QueryOwn(call, "mail_timeline_of_contact", parameters));
  TimelinePage page;
  size_t p = 0, m = 0;
  while (static_cast<int64_t>(page.items.size()) < size && (p < people.size() || m < mails.size())) {
    const bool from_people = m == mails.size() || (p < people.size() && PlaceOf(people, p) > PlaceOf(mails, m));
    const Rows& rows = from_people ? people : mails;
    size_t& at = from_people ? p : m;
    page.last = PlaceOf(rows, at);
    page.items.push_back(EntryOf(rows, at++));
  }
  page.more = p < people.size() || m < mails.size();
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
    if (!decoded || decoded->size() != 4) return Refuse(call, BadParameter("page_token", "not one that this list gave out"));
    before = {(*decoded)[0].integer, (*decoded)[1].integer, (*decoded)[2].integer, (*decoded)[3].integer};
  }
  ReadOfContact(std::move(call), *id, "", [id = *id, before, size = *size, keys = *keys](Call& c, const Rows&) -> Result<Json> {
    MAILY_TRY(const TimelinePage page, ReadTimeline(c, Number(id), before, size));
    Json body{{"items", page.items}};
    if (page.more) {
      const std::array<Value, 4> last{Value::Integer(page.last.at_us), Value::Integer(page.last.place), Value::Integer(page.last.id),
                                      Value::Integer(page.last.noun_id)};
      body["next_page_token"] = gateway::EncodeCursor(LabelOf(Number(id)), last, *keys);
    }
    return body;
  });
}

}  // namespace maily::api
