// Tests the bounded reader of NDJSON.
#include "api/import/json_lines.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace maily::import {
namespace {

// "LINE object" of rows, "LINE code" of rejects, in order.
std::vector<std::string> Read(std::string_view file, size_t piece = 3) {
  std::vector<std::string> said;
  JsonLines reader({.line_bytes_max = 64},
                   {.row = [&](uint64_t line, const nlohmann::json& object,
                               std::string_view) { said.push_back(std::to_string(line) + " " + object.dump()); },
                    .reject = [&](CsvReject reject) { said.push_back(std::to_string(reject.line) + " " + reject.code); }});
  for (size_t at = 0; at < file.size(); at += piece) reader.Feed(file.substr(at, piece));
  reader.Finish();
  return said;
}

using Said = std::vector<std::string>;

TEST(JsonLines, EachLineIsAnObjectWhateverEndsIt) {
  EXPECT_EQ(Read("\xEF\xBB\xBF{\"a\":1}\r\n\n{\"b\":\"\xC3\xA9\"}\n{\"c\":null}"),
            (Said{"1 {\"a\":1}", "3 {\"b\":\"\xC3\xA9\"}", "4 {\"c\":null}"}));
  EXPECT_EQ(Read(""), Said{});
}

TEST(JsonLines, ABadLineCostsItself) {
  EXPECT_EQ(Read("{\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":\"\\u0000\"}\n{\"a\":\"\xff\"}\n{\"ok\":1}\n"),
            (Said{"1 malformed_json", "2 not_an_object", "3 duplicate_member", "4 nul", "5 invalid_utf8", "6 {\"ok\":1}"}));
  EXPECT_EQ(Read(std::string(1000, 'x') + "\n{\"ok\":1}\n"), (Said{"1 too_large", "2 {\"ok\":1}"}));
}

TEST(JsonLines, DeepNestingIsRefused) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  std::vector<std::string> said;
  JsonLines reader({}, {.row = [&](uint64_t, const nlohmann::json&, std::string_view) { said.emplace_back("row"); },
                        .reject = [&](CsvReject reject) { said.push_back(reject.reason); }});
  reader.Feed("{\"a\":" + deep + std::string(100, ']') + "}\n");
  EXPECT_EQ(said, (Said{"the line is nested deeper than 64"}));
}

}  // namespace
}  // namespace maily::import
