// CSV of an import: however the bytes are cut into pieces, the same rows and rejects come out, within their limits.
#include "api/import/csv.h"
#include "streams/base/utf8.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

constexpr import::CsvReader::Options kOptions{.field_bytes_max = 64, .row_bytes_max = 256, .columns_max = 8};

// All that the reader says, as text.
std::string Read(std::string_view bytes, size_t piece) {
  std::string said;
  const auto row = [&said](const char* what, const import::CsvRow& at) {
    MAILY_CHECK(at.line > 0 && at.fields.size() <= kOptions.columns_max, "line {}, {} fields", at.line, at.fields.size());
    said += fmt::format("{} {}", what, at.line);
    for (const std::string_view field : at.fields) {
      MAILY_CHECK(field.size() <= kOptions.field_bytes_max, "a field of {} bytes", field.size());
      MAILY_CHECK(IsUtf8(field) && field.find('\0') == std::string_view::npos, "a field that is no text");
      said += fmt::format("|{}", field);
    }
    said += "\n";
  };
  import::CsvReader reader(kOptions, {.header =
                                          [&row](const import::CsvRow& at) {
                                            row("header", at);
                                            return !at.fields.front().starts_with("refuse");
                                          },
                                      .row = [&row](const import::CsvRow& at) { row("row", at); },
                                      .reject =
                                          [&said](const import::CsvReject& reject) {
                                            MAILY_CHECK(reject.raw.size() <= 200 && !reject.code.empty() && !reject.reason.empty(), "{}",
                                                        reject.reason);
                                            said += fmt::format("reject {} {} {}\n", reject.line, reject.column, reject.code);
                                          }});
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  reader.Finish();
  return said + (reader.failed() ? "failed" : "");
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
