// What the columns of an import's file mean: the address, attributes by name, those that are ignored, and, of files of other systems,
// what says that somebody gets no mail.
//
// A column is named as its header says, in lower case, spaces and dashes as underscores; a mapping names it otherwise. Of a known system's
// file (Origin) the columns that are only that system's are ignored, and its status becomes the reason of a suppression:
//   listmonk   status: blocklisted = blocked, disabled = manual; attributes, a JSON object, is spread
//   mailchimp  UNSUB_TIME = unsubscribed, CLEAN_TIME = hard_bounce: the file has the column, so all of its members are
//   sendgrid   files of suppressions: with ip = complaint; with status = hard_bounce or blocked; with reason = invalid; with created alone
//   =
//              unsubscribed
// A file that our own export wrote is known by its column maily:status; its cells are freed of their guards (cells.h).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/gateway/contact_fields.h"
#include "api/import/csv.h"
#include "maily/contacts/v1/commands.pb.h"
#include "schemas/address.h"
#include "streams/base/result.h"

namespace maily::import {

enum class Origin : uint8_t { kAny, kMaily, kListmonk, kMailchimp, kSendgrid };
inline constexpr std::string_view kOrigins[] = {"any", "maily", "listmonk", "mailchimp", "sendgrid"};  // by number
inline constexpr std::string_view kStatusColumn = "maily:status";  // of our exports: active, unsubscribed, or suppressed:REASON
inline constexpr size_t kMappingsMax = 500;

// "E-mail=email,Vorname=first_name,3=city,Notes=": columns by their header in any case, or by number from 1; to nothing = ignored.
// kInvalid: it is malformed, names a target that is no attribute, or a column or target twice.
using Mapping = std::vector<std::pair<std::string, std::string>>;
Result<Mapping> ParseMapping(std::string_view text);

class Columns {
 public:
  struct Options {
    Mapping mapping = {};
    Origin origin = Origin::kAny;
    bool has_header = true;
  };
  Columns() = default;
  explicit Columns(Options options) : options_(std::move(options)) {}

  // kInvalid: there is no column of addresses, or the mapping names a column that is not there.
  Result<void> TakeHeader(const CsvRow& row);

  // Why a row is not taken, and which column says so.
  struct Refused {
    std::string column;
    std::string code;
    std::string reason;
  };
  // What a row says beside its attributes.
  struct Said {
    schema::Address address;
    std::string suppressed;  // the reason of a suppression; empty: none
  };
  // Reads the address and the attributes of a row, which go into `command`. An empty cell is absent.
  std::optional<Refused> Read(const CsvRow& row, const gateway::Registry& registry, contacts::v1::UpsertContact& command, Said& said) const;
  // The same of a JSON object: its members are columns, null is absent, values have their types; the members of "attributes" too.
  std::optional<Refused> Read(const nlohmann::json& object, const gateway::Registry& registry, contacts::v1::UpsertContact& command,
                              Said& said);

  // As the file spells it; its number if it has no name; empty for 0. Columns count from 1.
  std::string NameOf(size_t column) const;
  const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  struct Column {
    std::string name;    // as an attribute; empty = ignored
    std::string system;  // of a column that only a system's file has, its name; else empty
    bool email = false;
    bool spread = false;  // a JSON object of attributes
  };
  Column Meaning(std::string_view spelled, size_t number, std::vector<bool>& used) const;
  Column MeaningOf(std::string_view spelled) const;
  void Ignore(std::string_view spelled);
  // The reason of a suppression, from the cells of the system's columns.
  std::optional<Refused> ReadStatus(const std::vector<std::pair<std::string, std::string>>& cells, Said& said) const;

  Options options_;
  std::vector<Column> columns_;
  std::vector<std::string> names_;  // as the file spells them
  std::vector<std::string> ignored_;
};

}  // namespace maily::import
