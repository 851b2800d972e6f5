// See csv.h. libcsv splits the fields; this file cuts the lines, so that a row that fails costs one line and a bound holds everywhere.
#include "api/import/csv.h"

#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "streams/base/utf8.h"

namespace maily::import {
namespace {

constexpr std::string_view kDelimiters = ",;\t|";

int NoSpace(unsigned char) { return 0; }  // spaces belong to the field (RFC 4180 §2.4)

// The delimiter that stands most often outside of quotes.
char DelimiterOf(std::string_view line) {
  std::array<size_t, kDelimiters.size()> counts{};
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (const size_t which = kDelimiters.find(c); which != std::string_view::npos) ++counts[which];
  }
  return kDelimiters[static_cast<size_t>(std::ranges::max_element(counts) - counts.begin())];
}

// Where a byte stands next, looking at every byte once.
struct NextByte {
  char byte;
  size_t at = std::string::npos;
  size_t searched = 0;

  size_t In(const std::string& text, size_t from) {
    if (at != std::string::npos && at >= from) return at;
    at = text.find(byte, std::max(from, searched));
    searched = at == std::string::npos ? text.size() : at;
    return at;
  }
  void Shift(size_t by) {
    if (at != std::string::npos) at = at >= by ? at - by : std::string::npos;
    searched = searched >= by ? searched - by : 0;
  }
};

void AppendUtf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

// What the bytes 80 to 9F mean in Windows-1252; 0 = nothing.
constexpr std::array<uint16_t, 32> kWindows1252 = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                                   0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                                   0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

void AppendOneByte(std::string& out, uint8_t byte, CsvEncoding encoding) {
  const bool special = encoding == CsvEncoding::kWindows1252 && byte >= 0x80 && byte < 0xA0;
  const uint32_t c = special ? kWindows1252[byte - 0x80u] : byte;
  if (special && c == 0) {
    out.push_back('\xFF');  // no UTF-8 has it: its row is rejected
  } else {
    AppendUtf8(out, c);
  }
}

}  // namespace

struct CsvReader::Impl {
  enum class Encoding { kUnknown, kUtf8, kUtf16 };

  Impl(Options options_in, Sink sink_in) : options(options_in), sink(std::move(sink_in)) {
    csv_init(&parser, CSV_STRICT);
    csv_set_space_func(&parser, NoSpace);
    csv_set_blk_size(&parser, 4096);
  }
  ~Impl() { csv_free(&parser); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Bytes to UTF-8, behind what is in `buffer`. What is no UTF-16 becomes a byte that no UTF-8 has, so that its row is rejected.
  void Decode(std::string_view bytes) {
    if (options.encoding != CsvEncoding::kUnicode) {
      for (const char c : bytes) AppendOneByte(buffer, static_cast<uint8_t>(c), options.encoding);
      return;
    }
    if (encoding == Encoding::kUnknown) {
      undecoded.append(bytes);
      if (undecoded.size() < 3 && !finished) return;
      const std::string_view begin = undecoded;
      size_t mark = 0;
      if (begin.starts_with("\xEF\xBB\xBF")) mark = 3;
      if (begin.starts_with("\xFF\xFE") || begin.starts_with("\xFE\xFF")) {
        mark = 2;
        big_endian = begin[0] == '\xFE';
        encoding = Encoding::kUtf16;
      } else {
        encoding = Encoding::kUtf8;
      }
      const std::string rest = undecoded.substr(mark);
      undecoded.clear();
      return Decode(rest);
    }
    if (encoding == Encoding::kUtf8) {
      buffer.append(bytes);
      return;
    }
    undecoded.append(bytes);
    size_t at = 0;
    for (; at + 2 <= undecoded.size(); at += 2) {
      const auto a = static_cast<uint8_t>(undecoded[at]);
      const auto b = static_cast<uint8_t>(undecoded[at + 1]);
      const uint32_t unit = big_endian ? (a << 8u) | b : (b << 8u) | a;
      const bool low = unit >= 0xDC00 && unit < 0xE000;
      if (high_surrogate != 0) {
        const uint32_t high = std::exchange(high_surrogate, 0);
        if (low) {
          AppendUtf8(buffer, 0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00));
          continue;
        }
        buffer.push_back('\xFF');
      }
      if (unit >= 0xD800 && unit < 0xDC00) {
        high_surrogate = unit;
      } else if (low) {
        buffer.push_back('\xFF');
      } else {
        AppendUtf8(buffer, unit);
      }
    }
    undecoded.erase(0, at);
  }

  // One past the line that begins at `from`, its CR, LF or CRLF included; none: it is not complete yet.
  std::optional<size_t> LineEnd(size_t from) {
    const size_t first = std::min(next_lf.In(buffer, from), next_cr.In(buffer, from));
    if (first == std::string::npos) return std::nullopt;
    if (buffer[first] == '\n') return first + 1;
    if (first + 1 == buffer.size() && !finished) return std::nullopt;  // an LF may follow
    return first + 1 < buffer.size() && buffer[first + 1] == '\n' ? first + 2 : first + 1;
  }

  void Run() {
    while (!failed) {
      const std::optional<size_t> end = LineEnd(line_begin);
      const size_t text_end = std::min({next_lf.In(buffer, line_begin), next_cr.In(buffer, line_begin), buffer.size()});  // as far as known
      if (skipping) {
        Consume(end.value_or(text_end));
        if (!end) return;
        skipping = false;
        ++line;
        continue;
      }
      if (text_end - row_begin > options.row_bytes_max) {
        Parse(std::max(line_begin, row_begin + options.row_bytes_max));  // to know the column
        Reject(static_cast<uint32_t>(ends.size() + 1), "too_large", fmt::format("the row has more than {} bytes", options.row_bytes_max),
               true);
        continue;
      }
      if (!end) return;
      const bool blank = buffer[line_begin] == '\r' || buffer[line_begin] == '\n';
      if (blank && line_begin == row_begin) {
        Consume(*end);
        ++line;
        continue;
      }
      if (delimiter == 0) {
        delimiter = DelimiterOf(std::string_view(buffer).substr(line_begin, *end - line_begin));
        csv_set_delim(&parser, static_cast<unsigned char>(delimiter));
      }
      if (row_begin == line_begin) first_line_end = *end;
      const size_t size = *end - line_begin;
      if (Parse(*end) < size) {
        Reject(static_cast<uint32_t>(ends.size() + 1), "quote", "a quote stands where none may: quotes inside a quoted field are doubled",
               false);
        continue;
      }
      if (!row_done) {
        line_begin = *end;
        ++lines_in_row;
        if (parser.entry_pos > options.field_bytes_max || line_begin - row_begin > options.row_bytes_max) {
          Reject(static_cast<uint32_t>(ends.size() + 1), "too_large",
                 fmt::format("the quoted field has more than {} bytes: its closing quote may be missing", options.field_bytes_max), false);
        }
        continue;
      }
      TakeRow(*end);
    }
    buffer.clear();
  }

  // The file ended inside a quoted field: its first line is lost, the ones behind it are rows.
  void EndOpenQuote() { Reject(static_cast<uint32_t>(ends.size() + 1), "truncated", "the file ends inside a quoted field", false); }

  // Feeds libcsv the bytes from line_begin on; how many it took.
  size_t Parse(size_t end) {
    row_done = false;
    return csv_parse(
        &parser, buffer.data() + line_begin, end - line_begin,
        [](void* field, size_t size, void* self) {
          auto& impl = *static_cast<Impl*>(self);
          impl.text.append(static_cast<const char*>(field), size);
          impl.ends.push_back(impl.text.size());
        },
        [](int, void* self) { static_cast<Impl*>(self)->row_done = true; }, this);
  }

  void ResetParser() {
    csv_fini(&parser, nullptr, nullptr, nullptr);
    text.clear();
    ends.clear();
    lines_in_row = 1;
  }

  // Forgets the buffer up to `upto`; the next row begins there.
  void Consume(size_t upto) {
    row_begin = line_begin = upto;
    if (row_begin < 64 * 1024 && row_begin < buffer.size()) return;
    next_lf.Shift(row_begin);
    next_cr.Shift(row_begin);
    buffer.erase(0, row_begin);
    row_begin = line_begin = 0;
  }

  void Reject(uint32_t column, std::string code, std::string reason, bool skip_rest_of_line) {
    ResetParser();
    CsvReject reject{.line = line, .column = column, .code = std::move(code), .reason = std::move(reason), .raw = {}};
    const size_t end = skip_rest_of_line ? buffer.size() : first_line_end;
    reject.raw = buffer.substr(row_begin, std::min(options.raw_bytes_max, end - row_begin));
    while (!reject.raw.empty() && (reject.raw.back() == '\n' || reject.raw.back() == '\r')) reject.raw.pop_back();
    if (columns == 0 && options.has_header) failed = true;
    // A row of several lines that never got its end by itself: the lines behind the first are read again.
    if (skip_rest_of_line && row_begin == line_begin) {
      skipping = true;
      Consume(row_begin + options.row_bytes_max);
    } else {
      if (line_begin > row_begin) {
        next_lf = {'\n'};
        next_cr = {'\r'};
      }
      Consume(first_line_end);
      ++line;
    }
    sink.reject(std::move(reject));
  }

  void RejectRow(size_t end, uint32_t column, std::string code, std::string reason) {
    first_line_end = end;
    const uint64_t lines = lines_in_row;
    Reject(column, std::move(code), std::move(reason), false);
    line += lines - 1;
  }

  void TakeRow(size_t end) {
    const bool cut = finished && unterminated && end == buffer.size();
    if (columns != 0 && ends.size() != columns) {
      const auto count = static_cast<uint32_t>(ends.size());
      std::string reason = fmt::format("the row has {} columns, the header has {}", ends.size(), columns);
      if (cut && ends.size() < columns) return RejectRow(end, count, "truncated", std::move(reason) + ", and the file ends here");
      return RejectRow(end, std::min(count, static_cast<uint32_t>(columns)) + 1, "columns", std::move(reason));
    }
    if (ends.size() > options.columns_max) {
      return RejectRow(end, 0, "columns", fmt::format("{} columns; at most {} are read", ends.size(), options.columns_max));
    }
    row.line = line;
    row.fields.clear();
    size_t begin = 0;
    bool whole = true;  // no field begins inside a character
    for (const size_t field_end : ends) {
      row.fields.push_back(std::string_view(text).substr(begin, field_end - begin));
      whole = whole && (begin == field_end || (static_cast<uint8_t>(text[begin]) & 0xC0) != 0x80);
      begin = field_end;
    }
    if (const bool clean = whole && IsUtf8(text) && text.find('\0') == std::string::npos && text.size() <= options.field_bytes_max;
        !clean) {
      for (size_t i = 0; i < row.fields.size(); ++i) {
        const auto column = static_cast<uint32_t>(i + 1);
        if (row.fields[i].size() > options.field_bytes_max) {
          return RejectRow(end, column, "too_large",
                           fmt::format("the field has {} bytes; at most {} are taken", row.fields[i].size(), options.field_bytes_max));
        }
        if (row.fields[i].find('\0') != std::string_view::npos) return RejectRow(end, column, "nul", "the field holds a NUL byte");
        if (!IsUtf8(row.fields[i])) return RejectRow(end, column, "invalid_utf8", "the field is not valid UTF-8");
      }
    }
    row.raw = std::string_view(buffer).substr(row_begin, std::min(options.raw_bytes_max, end - row_begin));
    while (row.raw.ends_with('\n') || row.raw.ends_with('\r')) row.raw.remove_suffix(1);
    if (columns == 0) {
      columns = ends.size();
      failed = !sink.header(row);
      if (!failed && !options.has_header) sink.row(row);
    } else {
      sink.row(row);
    }
    const uint64_t lines = lines_in_row;
    text.clear();
    ends.clear();
    lines_in_row = 1;
    line += lines;
    Consume(end);
  }

  const Options options;
  const Sink sink;

  Encoding encoding = Encoding::kUnknown;
  bool big_endian = false;
  uint32_t high_surrogate = 0;
  std::string undecoded;

  std::string buffer;         // UTF-8 from the current row on, and up to 64 KiB before it
  size_t row_begin = 0;       // of the current row in `buffer`
  size_t line_begin = 0;      // of its line that is read next
  size_t first_line_end = 0;  // of the current row
  NextByte next_lf{'\n'};
  NextByte next_cr{'\r'};
  bool skipping = false;  // to the end of a line whose row was rejected
  bool finished = false;
  bool unterminated = false;  // the file's last line had no line end
  bool failed = false;

  csv_parser parser{};
  char delimiter = 0;
  size_t columns = 0;  // of the header; 0 = not read yet
  uint64_t line = 1;   // of row_begin
  uint64_t lines_in_row = 1;
  bool row_done = false;
  std::string text;  // the row's fields, one after another
  std::vector<size_t> ends;
  CsvRow row;
};

CsvReader::CsvReader(Options options, Sink sink) : impl_(std::make_unique<Impl>(options, std::move(sink))) {}
CsvReader::~CsvReader() = default;

void CsvReader::Feed(std::string_view bytes) {
  while (!bytes.empty() && !impl_->failed) {  // in pieces, so that the buffer stays within its bound
    const std::string_view piece = bytes.substr(0, 64 * 1024);
    bytes.remove_prefix(piece.size());
    impl_->Decode(piece);
    impl_->Run();
  }
}

void CsvReader::Finish() {
  Impl& impl = *impl_;
  impl.finished = true;
  impl.Decode({});
  if (!impl.undecoded.empty() || impl.high_surrogate != 0) impl.buffer.push_back('\xFF');
  if (!impl.failed) {
    if (!impl.buffer.empty() && impl.buffer.back() != '\n' && impl.buffer.back() != '\r' && impl.buffer.size() > impl.row_begin) {
      impl.unterminated = true;
      impl.buffer.push_back('\n');
    }
    impl.Run();
    while (!impl.failed && impl.line_begin > impl.row_begin) {
      impl.EndOpenQuote();
      impl.Run();
    }
  }
}

bool CsvReader::failed() const { return impl_->failed || impl_->columns == 0; }

}  // namespace maily::import
