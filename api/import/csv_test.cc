// Tests the bounded CSV reader on the files that people really have.
#include "api/import/csv.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace maily::import {
namespace {

struct Outcome {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<uint64_t> lines;
  std::vector<CsvReject> rejects;
  bool failed = false;
};

Outcome Read(std::string_view file, size_t piece = 7) {
  Outcome outcome;
  const auto copy = [](const CsvRow& row) { return std::vector<std::string>(row.fields.begin(), row.fields.end()); };
  CsvReader reader({}, {.header =
                            [&](const CsvRow& row) {
                              outcome.header = copy(row);
                              return true;
                            },
                        .row =
                            [&](const CsvRow& row) {
                              outcome.rows.push_back(copy(row));
                              outcome.lines.push_back(row.line);
                            },
                        .reject = [&](CsvReject reject) { outcome.rejects.push_back(std::move(reject)); }});
  for (size_t at = 0; at < file.size(); at += piece) reader.Feed(file.substr(at, piece));
  reader.Finish();
  outcome.failed = reader.failed();
  return outcome;
}

using Rows = std::vector<std::vector<std::string>>;

TEST(Csv, BomCrlfQuotedCommasAndNewlinesAreUnderstood) {
  const Outcome o = Read(
      "\xEF\xBB\xBF"
      "email,name\r\na@x.io,\"Doe, \"\"Al\"\"\"\r\nb@x.io,\"two\r\nlines\"\r\n\r\nc@x.io,\r\n");
  EXPECT_EQ(o.header, (std::vector<std::string>{"email", "name"}));
  EXPECT_EQ(o.rows, (Rows{{"a@x.io", "Doe, \"Al\""}, {"b@x.io", "two\r\nlines"}, {"c@x.io", ""}}));
  EXPECT_EQ(o.lines, (std::vector<uint64_t>{2, 3, 6}));
  EXPECT_TRUE(o.rejects.empty());
}

TEST(Csv, OtherDelimitersAndLineEndsAreFound) {
  for (const std::string d : {",", ";", "\t", "|"}) {
    for (const std::string end : {"\n", "\r", "\r\n"}) {
      const Outcome o = Read("email" + d + "city" + end + "a@x.io" + d + "Rome" + end + "b@x.io" + d + "Oslo");
      EXPECT_EQ(o.rows, (Rows{{"a@x.io", "Rome"}, {"b@x.io", "Oslo"}})) << d;
      EXPECT_EQ(o.lines, (std::vector<uint64_t>{2, 3}));
    }
  }
}

TEST(Csv, Utf16WithBomIsDecoded) {
  const auto encode = [](std::u16string_view text, bool big) {
    std::string out = big ? "\xFE\xFF" : "\xFF\xFE";
    for (const char16_t unit : text) {
      const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
      out += big ? std::string{high, low} : std::string{low, high};
    }
    return out;
  };
  for (const bool big : {false, true}) {
    const Outcome o = Read(encode(u"email,name\nä@x.io,\U0001F600\n", big), 1);
    EXPECT_EQ(o.rows, (Rows{{"ä@x.io", "\xF0\x9F\x98\x80"}}));
    EXPECT_EQ(Read(encode(std::u16string(u"email,name\na@x.io,") + char16_t(0xD800) + u"\nb@x.io,B\n", big)).rejects.at(0).code,
              "invalid_utf8");
  }
}

TEST(Csv, EachBadRowIsListedAndTheGoodOnesGoIn) {
  const std::string big(1'000'000, 'x');
  std::string file = "email,name\n";
  file += "a@x.io\n";                                       // 2: a column is missing
  file += "b@x.io,B,more\n";                                // 3: one too many
  file += std::string("c@x.io,\0C\n", 10);                  // 4
  file += "d@x.io,\xC3\x28\n";                              // 5
  file += "e@x.io," + big + "\n";                           // 6
  file += "f@x.io,\"" + big + "\"\n";                       // 7
  file += "g@x.io,\"G\"G\n";                                // 8
  file += "good@x.io,Good\n";                               // 9
  file += "h@x.io,\"" + std::string(70'000, 'y') + "\"\n";  // 10
  file += "last@x.io";                                      // 11: cut off
  for (const size_t piece : {5, 4096, 1 << 20}) {
    const Outcome o = Read(file, piece);
    EXPECT_EQ(o.rows, (Rows{{"good@x.io", "Good"}}));
    EXPECT_EQ(o.lines, std::vector<uint64_t>{9});
    std::vector<std::string> codes;
    std::vector<uint64_t> lines;
    std::vector<uint32_t> columns;
    for (const CsvReject& reject : o.rejects) {
      codes.push_back(reject.code);
      lines.push_back(reject.line);
      columns.push_back(reject.column);
      EXPECT_LE(reject.raw.size(), 200u);
      EXPECT_FALSE(reject.reason.empty());
    }
    EXPECT_EQ(codes, (std::vector<std::string>{"columns", "columns", "nul", "invalid_utf8", "too_large", "too_large", "quote", "too_large",
                                               "truncated"}));
    EXPECT_EQ(lines, (std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 10, 11}));
    EXPECT_EQ(columns, (std::vector<uint32_t>{2, 3, 2, 2, 2, 2, 2, 2, 1}));
  }
}

TEST(Csv, AnOpenQuoteCostsOneLine) {
  std::string file = "email,name\na@x.io,\"open\n";
  for (int i = 0; i < 20'000; ++i) file += "c" + std::to_string(i) + "@x.io,Name\n";
  const Outcome o = Read(file, 10'000);
  EXPECT_EQ(o.rows.size(), 20'000u);
  ASSERT_EQ(o.rejects.size(), 1u);
  EXPECT_EQ(o.rejects[0].line, 2u);
  EXPECT_EQ(o.rejects[0].raw, "a@x.io,\"open");
  EXPECT_EQ(o.lines.back(), 20'002u);

  const Outcome end = Read("email,name\na@x.io,A\nb@x.io,\"open\nc@x.io,C\n");
  EXPECT_EQ(end.rows, (Rows{{"a@x.io", "A"}, {"c@x.io", "C"}}));
  EXPECT_EQ(end.rejects.at(0).code, "truncated");
  EXPECT_EQ(end.rejects.at(0).line, 3u);

  const Outcome closed = Read("email,name\na@x.io,\"open\nb@x.io,\"B\"\nc@x.io,C\n");
  EXPECT_EQ(closed.rows, (Rows{{"b@x.io", "B"}, {"c@x.io", "C"}}));
  EXPECT_EQ(closed.rejects.size(), 1u);
}

TEST(Csv, ACharacterOverTwoFieldsIsNone) {
  const Outcome o = Read("email,name\na@x.io\xC3,\xA4\nb@x.io,\xC3\xA4\n");
  ASSERT_EQ(o.rejects.size(), 1u);
  EXPECT_EQ(o.rejects[0].code, "invalid_utf8");
  EXPECT_EQ(o.rejects[0].column, 1u);
  EXPECT_EQ(o.rows, (Rows{{"b@x.io", "\xC3\xA4"}}));
}

TEST(Csv, ARowIsTooLargeInWhateverPiecesItArrives) {
  const std::string file = "email,name\na@x.io," + std::string(300'000, 'A') + "\nb@x.io,B\n";
  for (const size_t piece : {size_t{100'000}, file.size(), file.size() - 10}) {
    const Outcome o = Read(file, piece);
    ASSERT_EQ(o.rejects.size(), 1u) << piece;
    EXPECT_EQ(o.rejects[0].code, "too_large");
    EXPECT_NE(o.rejects[0].reason.find("the row"), std::string::npos) << o.rejects[0].reason;
    EXPECT_EQ(o.rows.size(), 1u);
  }
}

TEST(Csv, AnEmptyFileHasNoHeader) {
  EXPECT_TRUE(Read("").failed);
  EXPECT_TRUE(Read("\n\n").failed);
  EXPECT_FALSE(Read("email").failed);
  EXPECT_TRUE(Read("email,\"na").failed);
}

TEST(Csv, RandomBytesNeverLoseALineOrTheReader) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::string_view kAlphabet = "ab@\",;\r\n\n\"x\xC3\xA4";
  for (int round = 0; round < 300; ++round) {
    std::string file = "email,name\n";
    for (int i = 0; i < 400; ++i) file.push_back(kAlphabet[random() % kAlphabet.size()]);
    const Outcome a = Read(file, 1);
    const Outcome b = Read(file, file.size());
    EXPECT_EQ(a.rows, b.rows);
    EXPECT_EQ(a.lines, b.lines);
    EXPECT_EQ(a.rejects.size(), b.rejects.size());
  }
}

// All rows, of a reader with these options.
Outcome ReadWith(CsvReader::Options options, std::string_view file, size_t piece) {
  Outcome outcome;
  const auto copy = [](const CsvRow& row) { return std::vector<std::string>(row.fields.begin(), row.fields.end()); };
  CsvReader reader(options, {.header =
                                 [&](const CsvRow& row) {
                                   outcome.header = copy(row);
                                   return true;
                                 },
                             .row = [&](const CsvRow& row) { outcome.rows.push_back(copy(row)); },
                             .reject = [&](CsvReject reject) { outcome.rejects.push_back(std::move(reject)); }});
  for (size_t at = 0; at < file.size(); at += piece) reader.Feed(file.substr(at, piece));
  reader.Finish();
  outcome.failed = reader.failed();
  return outcome;
}

TEST(Csv, OneByteEncodingsAreReadWhenAskedFor) {
  const std::string file = "email,name\na@x.io,Caf\xE9 \x80\n";
  EXPECT_EQ(Read(file).rejects.at(0).code, "invalid_utf8");
  EXPECT_EQ(ReadWith({.encoding = CsvEncoding::kLatin1}, file, 3).rows, (Rows{{"a@x.io", "Caf\xC3\xA9 \xC2\x80"}}));
  EXPECT_EQ(ReadWith({.encoding = CsvEncoding::kWindows1252}, file, 3).rows, (Rows{{"a@x.io", "Caf\xC3\xA9 \xE2\x82\xAC"}}));
  // A byte that means nothing there.
  EXPECT_EQ(ReadWith({.encoding = CsvEncoding::kWindows1252}, "email\na\x81@x.io\n", 3).rejects.at(0).code, "invalid_utf8");
}

TEST(Csv, WithoutAHeaderTheFirstLineIsARow) {
  const Outcome o = ReadWith({.has_header = false}, "a@x.io;Rome\nb@x.io\nc@x.io;Oslo\n", 4);
  EXPECT_EQ(o.header.size(), 2u);
  EXPECT_EQ(o.rows, (Rows{{"a@x.io", "Rome"}, {"c@x.io", "Oslo"}}));
  EXPECT_EQ(o.rejects.at(0).code, "columns");
  EXPECT_FALSE(o.failed);
}

TEST(Csv, RawBytesAreKeptUpToTheirLimit) {
  const std::string file = "email,x\n" + std::string(500, 'a') + "\n";
  EXPECT_EQ(Read(file).rejects.at(0).raw.size(), 200u);
  EXPECT_EQ(ReadWith({.raw_bytes_max = 8192}, file, 7).rejects.at(0).raw, std::string(500, 'a'));
}

// Any table, in any spelling that is understood, comes back as it was.
TEST(Csv, AnyTableComesBackInAnyShape) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::vector<std::u16string> pieces = {u"a", u"@", u"\u00e9", u"\"", u" ",  u"1",    u"=",
                                              u",", u";", u"|",      u"\t", u"\n", u"\r\n", u"\U0001F600"};
  for (int round = 0; round < 300; ++round) {
    const size_t shape = random() % 4;  // UTF-8, with BOM, UTF-16 LE, UTF-16 BE
    const char16_t delimiter = u",;\t|"[random() % 4];
    const std::u16string line_end = std::vector<std::u16string>{u"\n", u"\r\n", u"\r"}[random() % 3];
    std::vector<std::vector<std::u16string>> table = {{u"email", u"one", u"two"}};
    for (size_t rows = 1 + random() % 5; rows > 0; --rows) {
      table.emplace_back();
      for (int column = 0; column < 3; ++column) {
        std::u16string field = column == 0 ? u"x" : u"";
        for (size_t n = random() % 4; n > 0; --n) field += pieces[random() % pieces.size()];
        table.back().push_back(field);
      }
    }
    std::u16string text;
    for (const auto& row : table) {
      for (size_t i = 0; i < row.size(); ++i) {
        if (i > 0) text += delimiter;
        const bool plain = row[i].find_first_of(u"\",;\t|\r\n") == std::u16string::npos && random() % 2 == 0;
        if (!plain) text += u'"';
        for (const char16_t c : row[i]) text += c == u'"' ? std::u16string(u"\"\"") : std::u16string(1, c);
        if (!plain) text += u'"';
      }
      text += line_end;
    }
    const auto utf8 = [](const std::u16string& from) {
      std::string out;
      for (size_t i = 0; i < from.size(); ++i) {
        uint32_t c = from[i];
        if (c >= 0xD800 && c < 0xDC00) c = 0x10000 + ((c - 0xD800) << 10) + (from[++i] - 0xDC00u);
        if (c < 0x80) {
          out += static_cast<char>(c);
        } else if (c < 0x800) {
          out += {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};
        } else {
          out += {static_cast<char>(0xF0 | (c >> 18)), static_cast<char>(0x80 | ((c >> 12) & 0x3F)),
                  static_cast<char>(0x80 | ((c >> 6) & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
        }
      }
      return out;
    };
    std::string file;
    if (shape < 2) {
      file = (shape == 1 ? "\xEF\xBB\xBF" : "") + utf8(text);
    } else {
      for (const char16_t unit : u"\uFEFF" + text) {
        const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
        file += shape == 3 ? std::string{high, low} : std::string{low, high};
      }
    }
    Rows wanted;
    for (size_t i = 1; i < table.size(); ++i) {
      wanted.emplace_back();
      for (const auto& field : table[i]) wanted.back().push_back(utf8(field));
    }
    const Outcome o = Read(file, 1 + random() % 9);
    EXPECT_EQ(o.rows, wanted) << "shape " << shape << ", round " << round;
    EXPECT_TRUE(o.rejects.empty());
  }
}

}  // namespace
}  // namespace maily::import
