// See compare.h.
#include "api/import/compare.h"

namespace maily::import {
namespace {

using contacts::v1::Attribute;
using Json = nlohmann::ordered_json;

Json ValueOf(const Attribute& attribute) {
  switch (attribute.value_case()) {
    case Attribute::kText:
      return attribute.text();
    case Attribute::kInteger:
      return attribute.integer();
    case Attribute::kNumber:
      return attribute.number();
    case Attribute::kBoolean:
      return attribute.boolean();
    default:
      return nullptr;
  }
}

// The attributes of the contact as they are shown, of both kinds; personal ones are text.
Json Shown(const projections::Rows& rows) {
  Json shown = Json::object();
  for (const char* column : {"attributes", "personal_attributes"}) {
    const Json some = Json::parse(rows.at(0, column).bytes, nullptr, false);
    if (some.is_object()) shown.update(some);
  }
  return shown;
}

}  // namespace

Result<char> Comparison::Look(uint64_t line, const contacts::v1::UpsertContact& row) {
  const auto tenant = sql::Value::Integer(tenant_.value());
  MAILY_TRY(const projections::Rows rows,
            views_.Query("contact_by_key", {{"tenant", tenant}, {"contact_key", sql::Value::Blob(row.contact_key())}}));
  const bool created = rows.empty();
  const Json shown = created ? Json::object() : Shown(rows);
  Json fields = Json::array();
  const auto add = [&](const std::string& name, Json old_value, Json new_value) {
    Json field{{"name", name}};
    if (shows_values_) field.update({{"old", std::move(old_value)}, {"new", std::move(new_value)}});
    fields.push_back(std::move(field));
  };
  if (created) add("email", nullptr, row.address());
  for (const Attribute& attribute : row.attributes()) {
    const auto old = shown.find(attribute.name());
    Json value = ValueOf(attribute);
    if (old == shown.end() || *old != value) add(attribute.name(), old == shown.end() ? Json() : *old, std::move(value));
  }
  for (const uint64_t list_id : row.join_lists()) {
    if (!created) {
      MAILY_TRY(const projections::Rows joined, views_.Query("membership", {{"tenant", tenant},
                                                                            {"list_id", sql::Value::Integer(static_cast<int64_t>(list_id))},
                                                                            {"contact_id", rows.at(0, "contact_id")}}));
      if (!joined.empty()) continue;
    }
    add("list:" + std::to_string(list_id), false, true);
  }
  if (fields.empty()) return 'n';
  if (diffs_.size() < kDiffsMax)
    diffs_.push_back({{"line", line}, {"result", created ? "created" : "updated"}, {"fields", std::move(fields)}});
  return created ? 'c' : 'u';
}

}  // namespace maily::import
