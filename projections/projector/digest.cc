// Implements the order-independent digest.
#include "projections/projector/digest.h"

#include "streams/base/bytes.h"

namespace maily::projections {

Hash128 Add(Hash128 a, Hash128 b) {
  const uint64_t low = a.low + b.low;
  return {low, a.high + b.high + (low < a.low ? 1 : 0)};
}

Hash128 GroupDigest::total() const {
  Hash128 sum;
  for (const TableDigest& table : tables) {
    if (table.kind == TableKind::kFolded) sum = Add(sum, table.sum);
  }
  return sum;
}

std::string GroupDigest::ToHex() const {
  const Hash128 sum = total();
  return fmt::format("{:016x}{:016x}", sum.high, sum.low);
}

std::string GroupDigest::Difference(const GroupDigest& other) const {
  const auto folded = [](const GroupDigest& digest, const std::string& name) -> const TableDigest* {
    for (const TableDigest& table : digest.tables) {
      if (table.table == name && table.kind == TableKind::kFolded) return &table;
    }
    return nullptr;
  };
  for (const TableDigest& table : tables) {
    if (table.kind != TableKind::kFolded) continue;
    const TableDigest* twin = folded(other, table.table);
    if (twin == nullptr || !(*twin == table)) return table.table;
  }
  for (const TableDigest& table : other.tables) {
    if (table.kind == TableKind::kFolded && folded(*this, table.table) == nullptr) return table.table;
  }
  return {};
}

Digester::Digester(sql::Connection& connection, const Group& group) : connection_(connection) {
  for (const ReadModel& model : group.models) {
    for (const Table& table : model.tables) {
      if (table.kind != TableKind::kConstant) digest_.tables.push_back({table.name, table.kind, 0, {}});
    }
  }
}

Result<bool> Digester::Step(size_t rows_max) {
  for (size_t read = 0; table_ < digest_.tables.size();) {
    if (read == rows_max) return false;
    TableDigest& table = digest_.tables[table_];
    if (statement_ == nullptr) {
      MAILY_TRY(statement_, connection_.Prepare("SELECT * FROM " + table.table));
    }
    MAILY_TRY(const bool any, statement_->Step());
    if (!any) {
      statement_->Reset();
      statement_ = nullptr;
      ++table_;
      continue;
    }
    row_.clear();
    PutBytes(row_, table.table);
    for (int c = 0; c < statement_->column_count(); ++c) {
      const sql::Type type = statement_->type(c);
      row_.push_back(static_cast<char>(type));
      if (type == sql::Type::kInteger) PutFixed(row_, statement_->integer(c));
      if (type == sql::Type::kText || type == sql::Type::kBlob) PutBytes(row_, statement_->bytes(c));
    }
    table.sum = Add(table.sum, Xxh3_128(row_));
    ++table.rows;
    ++read;
  }
  return true;
}

}  // namespace maily::projections
