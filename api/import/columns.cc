// See columns.h.
#include "api/import/columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "api/import/cells.h"
#include "schemas/suppressions.h"

namespace maily::import {
namespace {

using nlohmann::json;
using Cells = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kIgnoredNamed = 500;

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// "First Name" as "first_name".
std::string ColumnName(std::string_view text) {
  std::string name;
  for (const char c : Trimmed(text)) name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == ' ' || c == '-' ? '_' : c);
  return name == "e_mail" || name == "email_address" ? "email" : name;
}

// Columns that only the files of a system have: what they say is for ReadStatus, or for nobody.
std::span<const std::string_view> SystemColumns(Origin origin) {
  static constexpr std::string_view kMailyColumns[] = {"maily:status"};
  static constexpr std::string_view kListmonkColumns[] = {
      "uuid", "id", "status", "created_at", "updated_at", "lists", "subscription_status"};
  static constexpr std::string_view kMailchimpColumns[] = {"member_rating",
                                                           "optin_time",
                                                           "optin_ip",
                                                           "confirm_time",
                                                           "confirm_ip",
                                                           "latitude",
                                                           "longitude",
                                                           "gmtoff",
                                                           "dstoff",
                                                           "timezone",
                                                           "cc",
                                                           "region",
                                                           "last_changed",
                                                           "leid",
                                                           "euid",
                                                           "notes",
                                                           "tags",
                                                           "unsub_time",
                                                           "unsub_campaign_id",
                                                           "unsub_reason",
                                                           "unsub_campaign_title",
                                                           "clean_time",
                                                           "clean_campaign_id",
                                                           "clean_campaign_title",
                                                           "unsub_reason_other"};
  static constexpr std::string_view kSendgridColumns[] = {"contact_id", "created_at", "updated_at", "created", "status", "reason", "ip"};
  switch (origin) {
    case Origin::kListmonk:
      return kListmonkColumns;
    case Origin::kMailchimp:
      return kMailchimpColumns;
    case Origin::kSendgrid:
      return kSendgridColumns;
    default:
      return kMailyColumns;
  }
}

const std::string* CellOf(const Cells& cells, std::string_view name) {
  const auto found = std::ranges::find(cells, name, &Cells::value_type::first);
  return found == cells.end() ? nullptr : &found->second;
}

bool IsReason(std::string_view text) {
  return std::ranges::find(schema::kSuppressionReasons, text) != std::end(schema::kSuppressionReasons);
}

std::string SendgridReason(const Cells& cells) {
  if (CellOf(cells, "ip") != nullptr) return "complaint";
  // RFC 3463 2: a class 5 whose subject is not policy says something of the address.
  if (const std::string* status = CellOf(cells, "status"))
    return status->starts_with('5') && !status->starts_with("5.7") ? "hard_bounce" : "blocked";
  if (CellOf(cells, "reason") != nullptr) return "invalid";
  return CellOf(cells, "created") != nullptr ? "unsubscribed" : "";
}

}  // namespace

Result<Mapping> ParseMapping(std::string_view text) {
  Mapping mapping;
  std::set<std::string> targets;
  std::set<std::string> sources;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view one = Trimmed(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const size_t equals = one.rfind('=');
    if (equals == std::string_view::npos || equals == 0) return Fail(Code::kInvalid, "\"{}\" is not COLUMN=ATTRIBUTE", one.substr(0, 100));
    const std::string source = ColumnName(one.substr(0, equals));
    const std::string target(Trimmed(one.substr(equals + 1)));
    if (!target.empty() && target != "email" && !gateway::IsAttributeName(target)) {
      return Fail(Code::kInvalid, "\"{}\" is no name of an attribute: it {}", target.substr(0, 100), gateway::kAttributeNameHint);
    }
    if (!sources.insert(source).second) return Fail(Code::kInvalid, "the column \"{}\" is mapped twice", source);
    if (!target.empty() && !targets.insert(target).second) return Fail(Code::kInvalid, "two columns are mapped to {}", target);
    if (mapping.size() >= kMappingsMax) return Fail(Code::kInvalid, "more than {} columns are mapped", kMappingsMax);
    mapping.emplace_back(source, target);
  }
  return mapping;
}

Columns::Column Columns::MeaningOf(std::string_view spelled) const {
  Column column{.name = ColumnName(spelled), .system = {}};
  const auto system = SystemColumns(options_.origin);
  if (std::ranges::find(system, column.name) != system.end() || column.name == kStatusColumn) column.system = column.name;
  column.spread = options_.origin == Origin::kListmonk && column.name == "attributes";
  column.email = column.name == "email";
  return column;
}

Columns::Column Columns::Meaning(std::string_view spelled, size_t number, std::vector<bool>& used) const {
  const std::string name = ColumnName(spelled);
  for (size_t i = 0; i < options_.mapping.size(); ++i) {
    const auto& [source, target] = options_.mapping[i];
    if ((!options_.has_header || source != name) && source != std::to_string(number)) continue;
    used[i] = true;
    return {.name = target, .system = {}, .email = target == "email"};
  }
  return options_.has_header ? MeaningOf(spelled) : Column();
}

void Columns::Ignore(std::string_view spelled) {
  if (ignored_.size() < kIgnoredNamed && std::ranges::find(ignored_, spelled) == ignored_.end())
    ignored_.emplace_back(spelled.substr(0, 100));
}

Result<void> Columns::TakeHeader(const CsvRow& row) {
  std::vector<bool> used(options_.mapping.size());
  bool email = false;
  for (size_t i = 0; i < row.fields.size(); ++i) {
    Column column = Meaning(row.fields[i], i + 1, used);
    column.email &= !email;
    email |= column.email;
    const bool twice = std::ranges::any_of(columns_, [&](const Column& other) { return other.name == column.name; });
    names_.emplace_back(options_.has_header ? std::string(row.fields[i].substr(0, 100)) : std::to_string(i + 1));
    if (column.system == kStatusColumn) options_.origin = Origin::kMaily;
    if (!column.email && !column.spread && (twice || !column.system.empty() || !gateway::IsAttributeName(column.name))) {
      if (column.system.empty()) Ignore(names_.back());
      column.name.clear();
    }
    columns_.push_back(std::move(column));
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) {
      return Fail(Code::kInvalid, "the mapping names the column \"{}\", which the file does not have; it has {}", options_.mapping[i].first,
                  fmt::join(std::span(names_).first(std::min<size_t>(names_.size(), 20)), ", "));
    }
  }
  if (email) return Ok();
  return options_.has_header ? Fail(Code::kInvalid, "the file has no column `email`; its first row names the columns")
                             : Fail(Code::kInvalid, "no column is mapped to email; without a header say which one: 1=email");
}

std::optional<Columns::Refused> Columns::ReadStatus(const Cells& cells, Said& said) const {
  switch (options_.origin) {
    case Origin::kAny:
      return std::nullopt;
    case Origin::kMailchimp:
      if (CellOf(cells, "clean_time") != nullptr) said.suppressed = "hard_bounce";
      if (CellOf(cells, "clean_time") == nullptr && CellOf(cells, "unsub_time") != nullptr) said.suppressed = "unsubscribed";
      return std::nullopt;
    case Origin::kSendgrid:
      said.suppressed = SendgridReason(cells);
      return std::nullopt;
    case Origin::kListmonk: {
      const std::string* status = CellOf(cells, "status");
      if (status == nullptr || *status == "enabled") return std::nullopt;
      if (*status != "blocklisted" && *status != "disabled")
        return Refused{"status", "unknown_status", fmt::format("\"{}\" is none of enabled, disabled, blocklisted", status->substr(0, 40))};
      said.suppressed = *status == "disabled" ? "manual" : "blocked";
      return std::nullopt;
    }
    case Origin::kMaily: {
      const std::string* status = CellOf(cells, kStatusColumn);
      if (status == nullptr || *status == "active") return std::nullopt;
      const std::string reason = status->starts_with("suppressed:") ? status->substr(11) : *status;
      if (!IsReason(reason)) {
        return Refused{std::string(kStatusColumn), "unknown_status",
                       fmt::format("\"{}\" is none of active, unsubscribed, suppressed:REASON", status->substr(0, 40))};
      }
      said.suppressed = reason;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<Columns::Refused> Columns::Read(const CsvRow& row, const gateway::Registry& registry, contacts::v1::UpsertContact& command,
                                              Said& said) const {
  Cells cells;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const std::string_view text = options_.origin == Origin::kMaily ? UnguardCell(row.fields[i]) : row.fields[i];
    if (!column.system.empty()) {
      cells.emplace_back(column.system, text);
    } else if (column.email) {
      auto parsed = schema::ParseAddress(text);
      if (!parsed) return Refused{names_[i], std::string(schema::kInvalidAddress), parsed.error().message};
      said.address = std::move(*parsed);
    } else if (column.spread && !text.empty()) {
      const json spread = json::parse(text, nullptr, false);
      if (!spread.is_object()) return Refused{names_[i], "invalid_value", "it is no JSON object"};
      for (const auto& [name, value] : spread.items()) {
        const std::string as = ColumnName(name);
        if (value.is_null() || value.is_structured() || !gateway::IsAttributeName(as)) continue;
        const std::string plain = value.is_string() ? value.get<std::string>() : value.dump();
        const auto set = gateway::AttributeFromText(registry, as, plain, *command.add_attributes());
        if (!set) return Refused{names_[i] + "/" + name, "invalid_value", set.error().message};
      }
    } else if (!column.name.empty() && !text.empty()) {
      if (const auto set = gateway::AttributeFromText(registry, column.name, text, *command.add_attributes()); !set) {
        return Refused{names_[i], "invalid_value", set.error().message};
      }
    }
  }
  return ReadStatus(cells, said);
}

std::optional<Columns::Refused> Columns::Read(const json& object, const gateway::Registry& registry, contacts::v1::UpsertContact& command,
                                              Said& said) {
  Cells cells;
  bool email = false;
  std::vector<bool> used(options_.mapping.size());
  const auto attribute = [&](const std::string& spelled, const std::string& name, const json& value) -> std::optional<Refused> {
    if (value.is_null()) return std::nullopt;
    if (!gateway::IsAttributeName(name)) {
      Ignore(spelled);
      return std::nullopt;
    }
    const auto set = gateway::AttributeFromJson(registry, name, value, *command.add_attributes());
    return set ? std::nullopt : std::optional(Refused{spelled, "invalid_value", set.error().message});
  };
  if (object.contains(kStatusColumn) && options_.origin == Origin::kAny) options_.origin = Origin::kMaily;
  for (const auto& [spelled, value] : object.items()) {
    const Column column = Meaning(spelled, 0, used);
    if (!column.system.empty()) {
      cells.emplace_back(column.system,
                         value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace));
    } else if (column.email) {
      if (!value.is_string()) return Refused{spelled, std::string(schema::kInvalidAddress), "the address is no text"};
      auto parsed = schema::ParseAddress(value.get<std::string>());
      if (!parsed) return Refused{spelled, std::string(schema::kInvalidAddress), parsed.error().message};
      said.address = std::move(*parsed);
      email = true;
    } else if (column.name == "attributes" && value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        if (auto refused = attribute("attributes/" + name, name, inner)) return refused;
      }
    } else if (auto refused = attribute(spelled, column.name, value)) {
      return refused;
    }
  }
  if (!email) return Refused{"email", "missing_column", "the object has no member email"};
  return ReadStatus(cells, said);
}

std::string Columns::NameOf(size_t column) const {
  if (column == 0) return "";
  return column > names_.size() ? std::to_string(column) : names_[column - 1];
}

}  // namespace maily::import
