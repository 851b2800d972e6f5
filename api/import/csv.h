// A bounded reader of CSV as people have it: rows, or rejects with line, column and reason; nothing in the bytes can stop it.
//
// Understood: UTF-8 with or without BOM, UTF-16 with BOM, and if asked for Latin-1 or Windows-1252; comma, semicolon, TAB or | (found in
// the first line); CRLF, LF or CR; quoted delimiters and newlines. A bad row costs its first line: reading goes on with the line after it,
// so an open quote or a field that is too large never swallows the rows behind it. Memory is bounded by row_bytes_max, whatever comes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace maily::import {

// One row; the views are valid during the call.
struct CsvRow {
  uint64_t line = 0;  // of its first byte, from 1
  std::vector<std::string_view> fields;
  std::string_view raw;  // its first bytes as they came, at most raw_bytes_max; of files that are not UTF-8, as UTF-8
};

// Why a row was not taken.
struct CsvReject {
  uint64_t line = 0;
  uint32_t column = 0;  // from 1; 0 = the row as a whole; of "columns" the first that is missing or too many
  std::string code;     // stable: "columns", "too_large", "quote", "invalid_utf8", "nul", "truncated"
  std::string reason;   // a sentence
  std::string raw;      // the row's first bytes as they came, at most raw_bytes_max
};

enum class CsvEncoding : uint8_t { kUnicode, kLatin1, kWindows1252 };
inline constexpr std::string_view kCsvEncodings[] = {"utf-8", "latin-1", "windows-1252"};  // by number

// Lives on one thread at a time.
class CsvReader {
 public:
  struct Options {
    size_t field_bytes_max = 64 * 1024;
    size_t row_bytes_max = 256 * 1024;
    size_t columns_max = 500;
    size_t raw_bytes_max = 200;
    CsvEncoding encoding = CsvEncoding::kUnicode;  // others have no BOM
    bool has_header = true;  // else the first row is given to `header`, which learns how many columns there are, and to `row`
  };
  // `header` gets the first row and may refuse it by returning false: then everything behind it is passed over. A header that cannot
  // be read comes as a reject of line 1, and failed() is true.
  struct Sink {
    std::function<bool(const CsvRow&)> header;
    std::function<void(const CsvRow&)> row;
    std::function<void(CsvReject)> reject;
  };
  CsvReader(Options options, Sink sink);
  ~CsvReader();

  // Takes any piece of the file.
  void Feed(std::string_view bytes);
  // The file ended. A last line without a newline is a row like others, unless it has fewer columns or an open quote: "truncated".
  void Finish();
  // No row can be read: the header was refused or not readable.
  bool failed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maily::import
