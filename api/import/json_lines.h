// A bounded reader of NDJSON: a JSON object a line, or a reject with line and reason; nothing in the bytes can stop it.
//
// Lines end in LF or CRLF; empty ones are passed over; a UTF-8 BOM too. Memory is bounded by one line.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "api/import/csv.h"

namespace maily::import {

// Lives on one thread at a time.
class JsonLines {
 public:
  struct Options {
    size_t line_bytes_max = 256 * 1024;
    size_t depth_max = 64;
    size_t raw_bytes_max = 200;
  };
  struct Sink {
    std::function<void(uint64_t line, const nlohmann::json& object, std::string_view raw)> row;
    // Codes: "malformed_json", "not_an_object", "duplicate_member", "invalid_utf8", "nul", "too_large"; column 0.
    std::function<void(CsvReject)> reject;
  };
  JsonLines(Options options, Sink sink) : options_(options), sink_(std::move(sink)) {}

  // Takes any piece of the file.
  void Feed(std::string_view bytes);
  void Finish();

 private:
  void Take(std::string_view text);
  void Reject(std::string_view raw, std::string code, std::string reason);

  const Options options_;
  const Sink sink_;
  std::string buffer_;
  uint64_t line_ = 1;
  bool too_long_ = false;
};

}  // namespace maily::import
