// Implements the rewriting of the shared dialect.
#include "projections/sql/postgres/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace maily::sql::postgres {
namespace {

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// Hands out a text piece by piece.
class Pieces {
 public:
  enum class Kind { kEnd, kSpace, kComment, kQuoted, kWord, kOther };
  struct Piece {
    Kind kind = Kind::kEnd;
    std::string_view text;
  };
  explicit Pieces(std::string_view text) : rest_(text) {}

  Piece Next() {
    if (rest_.empty()) return {};
    const char c = rest_[0];
    if (IsSpace(c)) return Take(Kind::kSpace, CountWhile(IsSpace));
    if (IsWord(c)) return Take(Kind::kWord, CountWhile(IsWord));
    if (rest_.starts_with("--")) return Take(Kind::kComment, std::min(rest_.find('\n'), rest_.size()));
    if (c == '\'' || c == '"') {
      const size_t end = rest_.find(c, 1);  // a doubled quote is two quoted pieces side by side
      return Take(Kind::kQuoted, end == std::string_view::npos ? rest_.size() : end + 1);
    }
    return Take(Kind::kOther, 1);
  }

 private:
  template <class Test>
  size_t CountWhile(Test test) const {
    return static_cast<size_t>(std::find_if_not(rest_.begin(), rest_.end(), test) - rest_.begin());
  }
  Piece Take(Kind kind, size_t size) {
    const Piece piece{kind, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return piece;
  }
  std::string_view rest_;
};
using Kind = Pieces::Kind;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

// In quotes, those inside doubled.
std::string Between(char quote, std::string_view text) {
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote) out += quote;
    out += c;
  }
  return out + quote;
}

// One past the bracket that closes the one at `open`, or npos.
size_t AfterClosing(std::string_view text, size_t open) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (quoted) continue;
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && --depth == 0) return i + 1;
  }
  return std::string_view::npos;
}

// COMMENT ON for one script, from its lines.
std::string Comments(std::string_view sql) {
  std::string out;
  std::string above;
  std::string table;
  while (!sql.empty()) {
    const size_t end = sql.find('\n');
    const std::string_view line = Trimmed(sql.substr(0, end));
    sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 1);
    if (line.starts_with("--")) {
      above += std::string(above.empty() ? "" : " ") + std::string(Trimmed(line.substr(2)));
      continue;
    }
    if (line.starts_with("CREATE TABLE ")) {
      Pieces pieces(line.substr(13));
      table = pieces.Next().text;
      if (!above.empty()) out += fmt::format("\nCOMMENT ON TABLE {} IS {};", table, Literal(above));
      if (line.ends_with(";")) table.clear();
    } else if (line.starts_with(")")) {
      table.clear();
    } else if (!table.empty()) {
      Pieces pieces(line);
      const std::string_view column = pieces.Next().text;
      for (Pieces::Piece piece = pieces.Next(); piece.kind != Kind::kEnd; piece = pieces.Next()) {
        if (piece.kind != Kind::kComment) continue;
        out += fmt::format("\nCOMMENT ON COLUMN {}.{} IS {};", table, column, Literal(Trimmed(piece.text.substr(2))));
      }
    }
    above.clear();
  }
  return out;
}

}  // namespace

Rewritten RewriteStatement(std::string_view sql) {
  Rewritten out;
  Pieces pieces(sql);
  char before = ' ';
  for (Pieces::Piece piece = pieces.Next(); piece.kind != Kind::kEnd; piece = pieces.Next()) {
    if (piece.kind == Kind::kComment) continue;
    if (piece.text == "?" || (piece.text == ":" && before != ':')) {
      const Pieces::Piece name = pieces.Next();
      size_t number = 0;
      if (name.kind == Kind::kWord && piece.text == "?") {
        number = static_cast<size_t>(std::strtoul(std::string(name.text).c_str(), nullptr, 10));
        if (out.names.size() < number) out.names.resize(number);
      } else if (name.kind == Kind::kWord) {
        const auto found = std::find(out.names.begin(), out.names.end(), name.text);
        number = static_cast<size_t>(found - out.names.begin()) + 1;
        if (found == out.names.end()) out.names.emplace_back(name.text);
      } else {
        out.text += piece.text;
        out.text += name.text;
        before = name.text.empty() ? ' ' : name.text.back();
        continue;
      }
      out.text += fmt::format("${}", number);
      before = '$';
      continue;
    }
    if (piece.kind == Kind::kWord) {
      std::string word = Lower(piece.text);
      if (std::find(out.words.begin(), out.words.end(), word) == out.words.end()) out.words.push_back(std::move(word));
    }
    out.text += piece.text;
    before = piece.text.back();
  }
  return out;
}

std::string RewriteScript(std::string_view sql) {
  std::string out;
  Pieces pieces(sql);
  for (Pieces::Piece piece = pieces.Next(); piece.kind != Kind::kEnd; piece = pieces.Next()) {
    if (piece.kind == Kind::kComment) continue;
    if (piece.text == "WITHOUT") {
      const Pieces::Piece space = pieces.Next();
      const Pieces::Piece word = pieces.Next();
      if (word.text != "ROWID") out.append(piece.text).append(space.text).append(word.text);
    } else if (piece.text == "BLOB") {
      out += "BYTEA";
    } else if (piece.text == "TEXT") {
      out += "TEXT COLLATE \"C\"";
    } else {
      out += piece.text;
    }
  }
  return out + Comments(sql);
}

std::optional<RowInsert> AsRowInsert(std::string_view text) {
  text = Trimmed(text);
  constexpr std::string_view kInto = "INSERT INTO ";
  if (!text.starts_with(kInto)) return std::nullopt;
  const size_t columns = text.find('(');
  const size_t columns_end = columns == std::string_view::npos ? columns : AfterClosing(text, columns);
  if (columns_end == std::string_view::npos) return std::nullopt;
  const std::string_view table = Trimmed(text.substr(kInto.size(), columns - kInto.size()));
  std::string_view rest = Trimmed(text.substr(columns_end));
  if (!rest.starts_with("VALUES")) return std::nullopt;
  const size_t values = rest.find('(');
  const size_t values_end = values == std::string_view::npos ? values : AfterClosing(rest, values);
  if (values_end == std::string_view::npos || table.find_first_of(" \n(") != std::string_view::npos) return std::nullopt;
  const std::string_view after = Trimmed(rest.substr(values_end));
  if (!after.empty() && !(after.starts_with("ON CONFLICT") && after.ends_with("DO NOTHING"))) return std::nullopt;
  const std::string_view inner = rest.substr(values + 1, values_end - values - 2);
  if (inner.find('$') == std::string_view::npos || after.find('$') != std::string_view::npos) return std::nullopt;
  return RowInsert{std::string(table), std::string(text.substr(0, columns_end)), std::string(inner), std::string(after)};
}

std::string ManyRows(const RowInsert& insert, const std::vector<std::string>& types) {
  std::string arrays;
  std::string names;
  for (size_t i = 1; i <= types.size(); ++i) {
    arrays += fmt::format("{}${}::{}[]", i == 1 ? "" : ", ", i, types[i - 1]);
    names += fmt::format("{}p{}", i == 1 ? "" : ", ", i);
  }
  std::string values;
  Pieces pieces(insert.values);
  for (Pieces::Piece piece = pieces.Next(); piece.kind != Kind::kEnd; piece = pieces.Next()) {
    values += piece.text == "$" ? "u.p" : std::string(piece.text);
  }
  return fmt::format("{} SELECT {} FROM unnest({}) AS u({}){}{}", insert.before, values, arrays, names, insert.after.empty() ? "" : " ",
                     insert.after);
}

std::string Quoted(std::string_view name) { return Between('"', name); }
std::string Literal(std::string_view text) { return Between('\'', text); }

}  // namespace maily::sql::postgres
