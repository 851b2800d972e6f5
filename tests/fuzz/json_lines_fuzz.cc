// NDJSON of an import: however the bytes are cut into pieces, the same objects and rejects come out, within their limits.
#include <nlohmann/json.hpp>

#include "api/import/json_lines.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

std::string Read(std::string_view bytes, size_t piece) {
  std::string said;
  import::JsonLines reader({.line_bytes_max = 256, .depth_max = 8},
                           {.row =
                                [&said](uint64_t line, const nlohmann::json& object, std::string_view raw) {
                                  MAILY_CHECK(object.is_object() && raw.size() <= 200 && line > 0, "line {}", line);
                                  said += fmt::format("row {} {}\n", line, object.dump());
                                },
                            .reject =
                                [&said](const import::CsvReject& reject) {
                                  MAILY_CHECK(reject.raw.size() <= 200 && !reject.code.empty() && !reject.reason.empty(), "{}",
                                              reject.reason);
                                  said += fmt::format("reject {} {}\n", reject.line, reject.code);
                                }});
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  reader.Finish();
  return said;
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const size_t piece = 1 + fuzz::TakeByte(input) % 64;
  const std::string whole = fuzz::Read(input, input.size() + 1);
  const std::string pieces = fuzz::Read(input, piece);
  MAILY_CHECK(whole == pieces, "in pieces of {} it reads otherwise:\n{}\n---\n{}", piece, whole, pieces);
  return 0;
}
