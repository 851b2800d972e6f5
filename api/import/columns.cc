// See columns.h.
#include "api/import/columns.h"

#include <algorithm>

namespace maily::import {
namespace {

// "First Name" as "first_name".
std::string ColumnName(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  std::string name;
  for (const char c : text) name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == ' ' || c == '-' ? '_' : c);
  return name == "e_mail" || name == "email_address" ? "email" : name;
}

}  // namespace

bool Columns::TakeHeader(const CsvRow& row) {
  bool email = false;
  for (const std::string_view field : row.fields) {
    Column column{.name = ColumnName(field)};
    column.email = column.name == "email" && !email;
    const bool twice = std::ranges::any_of(columns_, [&](const Column& other) { return other.name == column.name; });
    email |= column.email;
    names_.emplace_back(field.substr(0, 100));
    if (!column.email && (twice || !gateway::IsAttributeName(column.name))) {
      ignored_.push_back(names_.back());
      column.name.clear();
    }
    columns_.push_back(std::move(column));
  }
  return email;
}

std::optional<Columns::Refused> Columns::Read(const CsvRow& row, const gateway::Registry& registry, contacts::v1::UpsertContact& command,
                                              schema::Address& address) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const std::string_view text = row.fields[i];
    if (column.email) {
      auto parsed = schema::ParseAddress(text);
      if (!parsed) return Refused{names_[i], std::string(schema::kInvalidAddress), parsed.error().message};
      address = std::move(*parsed);
    } else if (!column.name.empty() && !text.empty()) {
      if (const auto set = gateway::AttributeFromText(registry, column.name, text, *command.add_attributes()); !set) {
        return Refused{names_[i], "invalid_value", set.error().message};
      }
    }
  }
  return std::nullopt;
}

std::string Columns::NameOf(size_t column) const {
  if (column == 0) return "";
  return column > names_.size() ? std::to_string(column) : names_[column - 1];
}

}  // namespace maily::import
