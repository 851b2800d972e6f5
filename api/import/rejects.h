// The rows of an import that were not taken, kept in memory alone (they are personal data, and nothing in plain touches a disk): the first
// kRejectsKeptMax, or as many as have kRejectBytesMax; all others are counted.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace maily::import {

inline constexpr size_t kRejectsListedMax = 1000;   // in a job
inline constexpr size_t kRejectsKeptMax = 100'000;  // as a file
inline constexpr size_t kRejectBytesMax = 8 * 1024 * 1024;
inline constexpr size_t kRejectRawMax = 8 * 1024;  // of a row; what is behind is cut off

struct Reject {
  uint64_t line = 0;
  std::string column = {};  // as the file spells it; empty: of the row as a whole
  std::string code = {};
  std::string reason = {};
  std::string raw = {};  // the row's first bytes
};

// Thread: one at a time.
class Rejects {
 public:
  void Add(Reject reject);
  uint64_t count() const { return count_; }
  size_t kept() const { return rejects_.size(); }
  size_t bytes() const { return bytes_; }
  // By line, the first kRejectsListedMax, as a job shows them: of the row's bytes at most 200.
  nlohmann::ordered_json Listed() const;
  // line,column,code,reason,raw; RFC 4180, the raw bytes as they came. By line.
  std::string Csv() const;

 private:
  std::vector<const Reject*> Sorted() const;
  std::vector<Reject> rejects_;
  size_t bytes_ = 0;
  uint64_t count_ = 0;
};

// A field of CSV, quoted if it must be.
std::string CsvField(std::string_view text);

}  // namespace maily::import
