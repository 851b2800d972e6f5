// See rejects.h.
#include "api/import/rejects.h"

#include <fmt/format.h>

#include <algorithm>

namespace maily::import {

namespace {
constexpr size_t kRawListed = 200;
}

std::string CsvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

void Rejects::Add(Reject reject) {
  ++count_;
  const size_t bytes = sizeof(Reject) + reject.column.size() + reject.code.size() + reject.reason.size() + reject.raw.size();
  if (rejects_.size() >= kRejectsKeptMax || bytes_ + bytes > kRejectBytesMax) return;
  bytes_ += bytes;
  rejects_.push_back(std::move(reject));
}

std::vector<const Reject*> Rejects::Sorted() const {
  std::vector<const Reject*> sorted;
  sorted.reserve(rejects_.size());
  for (const Reject& reject : rejects_) sorted.push_back(&reject);
  std::ranges::stable_sort(sorted, {}, &Reject::line);
  return sorted;
}

nlohmann::ordered_json Rejects::Listed() const {
  auto listed = nlohmann::ordered_json::array();
  for (const Reject* reject : Sorted()) {
    if (listed.size() >= kRejectsListedMax) break;
    auto& one = listed.emplace_back(
        nlohmann::ordered_json{{"line", reject->line}, {"column", reject->column}, {"code", reject->code}, {"reason", reject->reason}});
    if (!reject->raw.empty()) one["raw"] = reject->raw.substr(0, kRawListed);
  }
  return listed;
}

std::string Rejects::Csv() const {
  std::string csv = "line,column,code,reason,raw\r\n";
  for (const Reject* reject : Sorted()) {
    csv += fmt::format("{},{},{},{},{}\r\n", reject->line, CsvField(reject->column), reject->code, CsvField(reject->reason),
                       CsvField(reject->raw));
  }
  return csv;
}

}  // namespace maily::import
