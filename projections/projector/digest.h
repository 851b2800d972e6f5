// Tells whether two databases hold the same rows, in whatever order: the sum, mod 2^128, of XXH3_128 over every canonical row.
//
// canonical row = table name, then each column in the order of the schema: type u8 (0 null, 1 integer, 2 text, 3 blob), then 8 bytes
// little-endian, or length and bytes. Personal and judged tables are summed apart: what they hold
// depends on which keys still exist.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "projections/projector/read_model.h"
#include "projections/sql/sql.h"
#include "streams/base/hash.h"
#include "streams/base/result.h"

namespace maily::projections {

struct TableDigest {
  std::string table;
  TableKind kind = TableKind::kFolded;
  uint64_t rows = 0;
  Hash128 sum;
  bool operator==(const TableDigest&) const = default;
};

struct GroupDigest {
  std::vector<TableDigest> tables;

  // Over the folded tables; equal rows give equal totals on every backend.
  Hash128 total() const;
  // 32 hexadecimal digits of total().
  std::string ToHex() const;
  // The first folded table in which the two differ, or empty. Personal and judged tables are not compared.
  std::string Difference(const GroupDigest& other) const;
};

Hash128 Add(Hash128 a, Hash128 b);

// Sums in steps, so that the thread can do other things between. Run it inside a transaction: then it sees one snapshot.
class Digester {
 public:
  Digester(sql::Connection& connection, const Group& group);
  // Reads up to `rows_max` more rows. True: done, digest() holds.
  Result<bool> Step(size_t rows_max);
  const GroupDigest& digest() const { return digest_; }

 private:
  sql::Connection& connection_;
  GroupDigest digest_;
  size_t table_ = 0;                     // the one being read
  sql::Statement* statement_ = nullptr;  // null = not begun
  std::string row_;
};

}  // namespace maily::projections
