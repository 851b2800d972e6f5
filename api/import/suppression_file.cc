// See suppression_file.h.
#include "api/import/suppression_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "api/import/cells.h"
#include "api/import/csv.h"
#include "schemas/address.h"
#include "schemas/suppressions.h"

namespace maily::import {
namespace {

using nlohmann::json;
using Cells = std::map<std::string, std::string, std::less<>>;  // by the column's name

constexpr size_t kLineBytesMax = 256 * 1024;
constexpr size_t kRawShown = 200;

// "Email Address" as "email", "UNSUB_TIME" as "unsub_time".
std::string ColumnName(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  std::string name;
  for (const char c : text) name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == ' ' || c == '-' ? '_' : c);
  return name == "e_mail" || name == "email_address" ? "email" : name;
}

std::string_view Cell(const Cells& cells, std::string_view name) {
  const auto found = cells.find(name);
  return found == cells.end() ? std::string_view() : std::string_view(found->second);
}

// Whose file has these columns.
SuppressionFormat Guess(const Cells& cells) {
  const auto has = [&](std::string_view name) { return cells.contains(name); };
  if (has("unsub_time") || has("clean_time") || has("member_rating") || has("leid")) return SuppressionFormat::kMailchimp;
  if (has("uuid") && has("status")) return SuppressionFormat::kListmonk;
  if (has("created") && !has("stream")) return SuppressionFormat::kSendgrid;
  return SuppressionFormat::kMaily;
}

// Cut to `bytes` at most, between characters.
std::string Shortened(std::string_view text, size_t bytes) {
  if (text.size() > bytes) {
    while (bytes > 0 && (static_cast<uint8_t>(text[bytes]) & 0xC0) == 0x80) --bytes;
    text = text.substr(0, bytes);
  }
  return std::string(text);
}

// A reject without its place.
struct Wrong {
  std::string code;
  std::string reason;
};

// RFC 3463 2: a class 5 whose subject is not policy says something of the address.
std::string_view SendgridReason(const Cells& cells) {
  if (cells.contains("ip")) return "complaint";
  const std::string_view status = Cell(cells, "status");
  if (cells.contains("status")) return status.starts_with('5') && !status.starts_with("5.7") ? "hard_bounce" : "blocked";
  return cells.contains("reason") ? "invalid" : "unsubscribed";
}

std::optional<Wrong> CheckWord(const std::string& given, std::span<const std::string_view> words, const char* code, const char* what) {
  if (std::ranges::find(words, given) != words.end()) return std::nullopt;
  return Wrong{code, fmt::format("\"{}\" is no {}; it is one of {}", given.substr(0, 40), what, fmt::join(words, ", "))};
}

// The address or the domain.
std::optional<Wrong> ReadWho(const Cells& cells, SuppressionRow& row) {
  const std::string_view email = Cell(cells, "email");
  std::string_view domain = Cell(cells, "domain");
  if (email.starts_with('@') && domain.empty()) domain = email;
  if (!domain.empty() && (email.empty() || email == domain)) {
    if (domain.starts_with('@')) domain.remove_prefix(1);
    const auto parsed = schema::ParseAddress("x@" + std::string(domain));
    if (!parsed) return Wrong{"invalid_domain", fmt::format("\"{}\" is no domain like example.com", domain.substr(0, 100))};
    row.domain = parsed->domain;
    return std::nullopt;
  }
  if (email.empty())
    return Wrong{"missing",
                 "there is no address and no domain; of an erased address only its hash is left, which is good where it was made"};
  const auto parsed = schema::ParseAddress(email);
  if (!parsed) return Wrong{std::string(schema::kInvalidAddress), parsed.error().message};
  row.email = parsed->spelled;
  return std::nullopt;
}

}  // namespace

std::optional<SuppressionFormat> SuppressionFormatOf(std::string_view name) {
  const auto found = std::ranges::find(kSuppressionFormats, name);
  if (found == std::end(kSuppressionFormats)) return std::nullopt;
  return static_cast<SuppressionFormat>(found - std::begin(kSuppressionFormats));
}

struct SuppressionReader::Impl {
  Impl(Options options_in, Sink sink_in)
      : options(std::move(options_in)),
        sink(std::move(sink_in)),
        format(options.format),
        csv({}, {.header = [this](const CsvRow& row) { return TakeHeader(row); },
                 .row = [this](const CsvRow& row) { TakeCsv(row); },
                 .reject = [this](CsvReject reject) { TakeReject(std::move(reject)); }}) {}

  bool TakeHeader(const CsvRow& row) {
    Cells cells;
    for (const std::string_view field : row.fields) {
      columns.push_back(ColumnName(field));
      cells.emplace(columns.back(), "");
    }
    if (format == SuppressionFormat::kAuto) format = Guess(cells);
    if (!cells.contains("email") && !cells.contains("domain")) {
      trouble = fmt::format("the file has no column email or domain; it has {}", fmt::join(columns, ", "));
    }
    return trouble.empty() && FormatFits(cells);
  }
  bool FormatFits(const Cells& cells) {
    if (format != SuppressionFormat::kMailchimp || !options.reason.empty()) return true;
    if (cells.contains("unsub_time") || cells.contains("clean_time")) return true;
    trouble =
        "the file has neither UNSUB_TIME nor CLEAN_TIME, so its members may be subscribed; export the unsubscribed or the cleaned ones, or "
        "say with a reason that all of them are to be suppressed";
    return false;
  }
  void TakeCsv(const CsvRow& row) {
    Cells cells;
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string_view text = row.fields[i];
      cells.emplace(columns[i], format == SuppressionFormat::kMaily ? UnguardCell(text) : text);
    }
    Take(row.line, cells, row.raw);
  }
  void TakeReject(CsvReject reject) {
    if (columns.empty()) {
      trouble = fmt::format("the header cannot be read: {}", reject.reason);
      return;
    }
    sink.reject({reject.line, std::move(reject.code), std::move(reject.reason), std::move(reject.raw)});
  }

  void TakeJson(std::string_view text) {
    while (text.ends_with('\r') || text.ends_with(' ')) text.remove_suffix(1);
    if (text.empty()) return;
    const std::string_view raw = text.substr(0, kRawShown);
    const json parsed = json::parse(text, nullptr, false);
    if (!parsed.is_object()) return Refuse(raw, {"malformed_json", "the line is no JSON object"});
    Cells cells;
    for (const auto& [name, value] : parsed.items()) {
      if (!value.is_null())
        cells.emplace(ColumnName(name),
                      value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, json::error_handler_t::replace));
    }
    if (format == SuppressionFormat::kAuto) format = Guess(cells);
    if (!FormatFits(cells)) return;
    Take(line, cells, raw);
  }
  void Refuse(std::string_view raw, Wrong wrong) { sink.reject({line, std::move(wrong.code), std::move(wrong.reason), std::string(raw)}); }

  void Take(uint64_t at, const Cells& cells, std::string_view raw) {
    if (format == SuppressionFormat::kListmonk && Cell(cells, "status") != "blocklisted" && Cell(cells, "status") != "disabled" &&
        options.reason.empty()) {
      return sink.passed();
    }
    SuppressionRow row{.line = at, .reason = ReasonOf(cells), .stream = "all", .raw = std::string(raw)};
    auto wrong = ReadWho(cells, row);
    if (!wrong) wrong = CheckWord(row.reason, schema::kSuppressionReasons, "unknown_reason", "reason");
    if (!wrong) wrong = ReadWords(cells, row);
    if (wrong) return sink.reject({at, std::move(wrong->code), std::move(wrong->reason), std::string(raw)});
    sink.row(std::move(row));
  }
  // Of a kind of mails, and the note.
  std::optional<Wrong> ReadWords(const Cells& cells, SuppressionRow& row) const {
    static constexpr std::string_view kStreams[] = {"all", "marketing", "transactional"};
    if (format == SuppressionFormat::kMailchimp) row.note = Shortened(Cell(cells, "unsub_reason"), kSuppressionNoteBytesMax);
    if (format == SuppressionFormat::kSendgrid) row.note = Shortened(Cell(cells, "reason"), kSuppressionNoteBytesMax);
    if (format != SuppressionFormat::kMaily) return std::nullopt;
    row.note = Cell(cells, "note");
    if (row.note.size() > kSuppressionNoteBytesMax)
      return Wrong{"too_long", fmt::format("the note has {} bytes, at most {} are taken", row.note.size(), kSuppressionNoteBytesMax)};
    if (const std::string_view stream = Cell(cells, "stream"); !stream.empty()) row.stream = stream;
    return CheckWord(row.stream, kStreams, "unknown_stream", "stream");
  }
  std::string ReasonOf(const Cells& cells) const {
    if (!options.reason.empty()) return options.reason;
    switch (format) {
      case SuppressionFormat::kMailchimp:
        return cells.contains("clean_time") ? "hard_bounce" : "unsubscribed";
      case SuppressionFormat::kSendgrid:
        return std::string(SendgridReason(cells));
      case SuppressionFormat::kListmonk:
        return Cell(cells, "status") == "blocklisted" ? "blocked" : "manual";
      default:
        return Cell(cells, "reason").empty() ? "manual" : std::string(Cell(cells, "reason"));
    }
  }

  // Lines of JSON: a line that is too long costs itself.
  void FeedLines(std::string_view bytes) {
    while (!bytes.empty() && trouble.empty()) {
      const size_t end = bytes.find('\n');
      if (!too_long) buffer.append(bytes.substr(0, std::min(end, kLineBytesMax + 1 - buffer.size())));
      if (!too_long && buffer.size() > kLineBytesMax) {
        too_long = true;
        Refuse(std::string_view(buffer).substr(0, kRawShown), {"too_large", fmt::format("the line has more than {} bytes", kLineBytesMax)});
      }
      if (end == std::string_view::npos) return;
      if (!too_long) TakeJson(buffer);
      buffer.clear();
      too_long = false;
      ++line;
      bytes.remove_prefix(end + 1);
    }
  }

  const Options options;
  const Sink sink;
  SuppressionFormat format;
  CsvReader csv;
  std::optional<bool> lines;  // of JSON; none: nothing came yet
  std::vector<std::string> columns;
  std::string trouble;
  std::string buffer;
  bool too_long = false;
  uint64_t line = 1;
};

SuppressionReader::SuppressionReader(Options options, Sink sink) : impl_(std::make_unique<Impl>(std::move(options), std::move(sink))) {}
SuppressionReader::~SuppressionReader() = default;

void SuppressionReader::Feed(std::string_view bytes) {
  if (!impl_->trouble.empty() || bytes.empty()) return;
  if (!impl_->lines) {
    impl_->lines = bytes.starts_with('{');
    if (bytes.starts_with('[')) {
      impl_->trouble = "the file is a JSON array; give an object a line, as jq -c '.[]' writes it";
      return;
    }
  }
  if (*impl_->lines) return impl_->FeedLines(bytes);
  impl_->csv.Feed(bytes);
}

void SuppressionReader::Finish() {
  if (!impl_->trouble.empty()) return;
  if (!impl_->lines) {
    impl_->trouble = "the file is empty";
  } else if (*impl_->lines) {
    if (!impl_->too_long) impl_->TakeJson(impl_->buffer);
  } else {
    impl_->csv.Finish();
  }
}

const std::string& SuppressionReader::trouble() const { return impl_->trouble; }
SuppressionFormat SuppressionReader::format() const { return impl_->format; }

}  // namespace maily::import
