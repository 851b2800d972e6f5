// What the columns of an import's file mean: the address, attributes by name, and those that are ignored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/gateway/contact_fields.h"
#include "api/import/csv.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/address.h"

namespace maily::import {

class Columns {
 public:
  // False: there is no column of addresses.
  bool TakeHeader(const CsvRow& row);

  // Why a row is not taken, and which column says so.
  struct Refused {
    std::string column;
    std::string code;
    std::string reason;
  };
  // Reads the address and the attributes of a row, which go into `command`. An empty cell is absent.
  std::optional<Refused> Read(const CsvRow& row, const gateway::Registry& registry, contacts::v1::UpsertContact& command,
                              schema::Address& address) const;

  // As the file spells it; its number if it has no name; empty for 0. Columns count from 1.
  std::string NameOf(size_t column) const;
  const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  struct Column {
    std::string name;  // as an attribute; empty = ignored
    bool email = false;
  };
  std::vector<Column> columns_;
  std::vector<std::string> names_;  // as the file spells them
  std::vector<std::string> ignored_;
};

}  // namespace maily::import
