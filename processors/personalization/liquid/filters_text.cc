// Filters of text. Characters are those of UTF-8.
#include <algorithm>

#include "processors/personalization/liquid/filters.h"
#include "processors/personalization/liquid/text.h"
#include "streams/base/utf8.h"

namespace maily::liquid {
namespace {

template <Case kCase>
Value Cased(const FilterCall& call) {
  std::string& out = call.work.Scratch();
  AppendCased(call.text(), kCase, out);
  return call.work.Keep(out);
}

// What is HTML already stays it, and is not escaped again.
template <void (*kAppend)(std::string_view, std::string&)>
Value Escaped(const FilterCall& call) {
  if (call.input.is_nil() || call.input.safe()) return call.input;
  std::string& out = call.work.Scratch();
  kAppend(call.text(), out);
  return call.work.Keep(out).AsSafe();
}

template <void (*kAppend)(std::string_view, std::string&)>
Value Changed(const FilterCall& call) {
  std::string& out = call.work.Scratch();
  kAppend(call.text(), out);
  return call.work.Keep(out);
}

Value UrlEncode(const FilterCall& call) { return call.input.is_nil() ? Value() : Changed<AppendUrlEncoded>(call); }

Value UrlDecode(const FilterCall& call) {
  if (call.input.is_nil()) return {};
  const Value decoded = Changed<AppendUrlDecoded>(call);
  if (!IsUtf8(decoded.string())) call.work.Fail("url_decode gives bytes that are no UTF-8");
  return decoded;
}

template <bool kUrl>
Value Base64Encode(const FilterCall& call) {
  std::string& out = call.work.Scratch();
  AppendBase64(call.text(), kUrl, out);
  return call.work.Keep(out);
}

template <bool kUrl>
Value Base64Decode(const FilterCall& call) {
  const auto bytes = ReadBase64(call.text(), kUrl);
  if (bytes) return call.work.Keep(*bytes);
  call.work.Fail("a text is no base64");
  return {};
}

// A part of the input is a view of it, and as safe as that is.
Value Strip(const FilterCall& call) { return Value::String(TrimFront(TrimBack(call.text()))).AsSafe(call.input.safe()); }
Value StripFront(const FilterCall& call) { return Value::String(TrimFront(call.text())).AsSafe(call.input.safe()); }
Value StripBack(const FilterCall& call) { return Value::String(TrimBack(call.text())).AsSafe(call.input.safe()); }

// One after the other; if one of them is HTML, the other is made it.
Value Joined(const FilterCall& call, const Value& left, const Value& right) {
  std::string& out = call.work.Scratch();
  const bool safe = (left.safe() || right.safe()) && call.work.escape_html();
  for (const Value* const part : {&left, &right}) {
    const std::string_view text = call.work.Text(*part);
    if (safe && !part->safe()) {
      AppendEscaped(text, out);
    } else {
      out += text;
    }
  }
  return call.work.Keep(out).AsSafe(safe);
}
Value Append(const FilterCall& call) { return Joined(call, call.input, call.argument(0)); }
Value Prepend(const FilterCall& call) { return Joined(call, call.argument(0), call.input); }

// Appends `replacement` with \0, \1, \\ and their like meaning what they do in the reference's substitutions.
void AppendReplacement(std::string_view replacement, std::string_view text, size_t at, size_t size, std::string& out) {
  for (size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '\\' || i + 1 == replacement.size()) {
      out.push_back(replacement[i]);
      continue;
    }
    const char next = replacement[++i];
    if (next == '0' || next == '&') {
      out.append(text, at, size);
    } else if (next == '`') {
      out.append(text, 0, at);
    } else if (next == '\'') {
      out.append(text, at + size);
    } else if (next == '\\') {
      out.push_back('\\');
    } else if (next < '1' || next > '9') {
      out.push_back('\\');
      out.push_back(next);
    }
  }
}

Value Substitute(const FilterCall& call, std::string_view replacement, bool all) {
  const std::string_view text = call.text();
  const std::string_view wanted = call.text(0);
  std::string& out = call.work.Scratch();
  size_t from = 0;
  while (from <= text.size()) {
    const size_t at = text.find(wanted, from);
    if (at == std::string_view::npos) break;
    out.append(text, from, at - from);
    const size_t before = out.size();
    AppendReplacement(replacement, text, at, wanted.size(), out);
    if (!call.work.Charge(1 + (out.size() - before) / 64) || out.size() > call.work.limits().memory_bytes) {
      call.work.Fail("a text becomes too long");
      return {};
    }
    from = at + wanted.size();
    if (wanted.empty()) {  // between any two characters
      const size_t step = FirstCharacter(text.substr(from));
      out.append(text, from, step);
      from += step == 0 ? 1 : step;
    }
    if (!all) break;
  }
  if (from < text.size()) out.append(text, from);
  return call.work.Keep(out);
}
Value Replace(const FilterCall& call) { return Substitute(call, call.text(1), true); }
Value ReplaceFirst(const FilterCall& call) { return Substitute(call, call.text(1), false); }
Value Remove(const FilterCall& call) { return Substitute(call, {}, true); }
Value RemoveFirst(const FilterCall& call) { return Substitute(call, {}, false); }

Value ReplaceLast(const FilterCall& call) {
  const std::string_view text = call.text();
  const std::string_view wanted = call.text(0);
  const size_t at = text.rfind(wanted);
  if (at == std::string_view::npos) return Value::String(text);
  std::string& out = call.work.Scratch();
  out.append(text, 0, at);
  out += call.text(1);
  out.append(text, at + wanted.size());
  return call.work.Keep(out);
}

Value Truncate(const FilterCall& call) {
  if (call.input.is_nil()) return {};
  const std::string_view text = call.text();
  Int length = 50;
  if (!call.arguments.empty()) {
    const auto given = IntegerOf(call.work, call.arguments[0]);
    if (!given) return {};
    length = *given;
  }
  const std::string_view end = call.arguments.size() > 1 ? call.text(1) : "...";
  if (static_cast<Int>(CountCharacters(text)) <= length) return Value::String(text);
  const Int kept = std::max<Int>(0, length - static_cast<Int>(CountCharacters(end)));
  std::string& out = call.work.Scratch();
  out.append(text, 0, OffsetOf(text, static_cast<size_t>(kept)));
  out += end;
  return call.work.Keep(out);
}

Value TruncateWords(const FilterCall& call) {
  if (call.input.is_nil()) return {};
  const std::string_view text = call.text();
  Int words = 15;
  if (!call.arguments.empty()) {
    const auto given = IntegerOf(call.work, call.arguments[0]);
    if (!given) return {};
    words = *given;
  }
  words = std::max<Int>(words, 1);
  if (words >= static_cast<Int>(text.size())) return Value::String(text);
  const auto most = static_cast<size_t>(words);
  std::vector<std::string_view> list = SplitWords(text, most + 1);
  if (list.size() <= most) return Value::String(text);
  std::string& out = call.work.Scratch();
  for (size_t i = 0; i < most; ++i) {
    if (i > 0) out.push_back(' ');
    out += list[i];
  }
  out += call.arguments.size() > 1 ? call.text(1) : "...";
  return call.work.Keep(out);
}

Value StripHtml(const FilterCall& call) { return Changed<AppendWithoutTags>(call); }

// Line ends, with the carriage return before them, become `with`.
void AppendLines(std::string_view text, std::string_view with, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (text[i] == '\n') {
      out += with;
    } else {
      out.push_back(text[i]);
    }
  }
}

Value StripNewlines(const FilterCall& call) {
  std::string& out = call.work.Scratch();
  AppendLines(call.text(), "", out);
  return call.work.Keep(out).AsSafe(call.input.safe());
}

// The breaks are HTML, so the rest is made it where that is asked for.
Value NewlineToBreak(const FilterCall& call) {
  std::string text;
  const bool escape = call.work.escape_html() && !call.input.safe();
  if (escape) {
    AppendEscaped(call.text(), text);
  } else {
    text = call.text();
  }
  std::string& out = call.work.Scratch();
  AppendLines(text, "<br />\n", out);
  return call.work.Keep(out).AsSafe(escape || call.input.safe());
}

Value Squish(const FilterCall& call) {
  if (call.input.is_nil()) return {};
  std::string& out = call.work.Scratch();
  for (const std::string_view word : SplitWords(call.text(), std::string_view::npos)) {
    if (!out.empty()) out.push_back(' ');
    out += word;
  }
  return call.work.Keep(out);
}

Value Split(const FilterCall& call) {
  const std::string_view text = call.text();
  const std::string_view mark = call.text(0);
  std::vector<std::string_view> parts;
  if (mark == " ") {
    parts = SplitWords(text, std::string_view::npos);
  } else {
    for (size_t at = 0; at < text.size();) {
      const size_t end = mark.empty() ? at + FirstCharacter(text.substr(at)) : text.find(mark, at);
      parts.push_back(text.substr(at, end - at));
      if (end == std::string_view::npos) break;
      at = end + mark.size();
    }
    while (!parts.empty() && parts.back().empty()) parts.pop_back();
  }
  if (!call.work.ChargeBytes(parts.size() * sizeof(Value))) return {};
  const std::span<Value> items = call.work.arena().MakeArray<Value>(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) items[i] = Value::String(parts[i]);
  return Value::Array(items);
}

constexpr FilterSpec kTexts[] = {{"upcase", 0, 0, Cased<Case::kUpper>},
                                 {"downcase", 0, 0, Cased<Case::kLower>},
                                 {"capitalize", 0, 0, Cased<Case::kCapital>},
                                 {"escape", 0, 0, Escaped<AppendEscaped>},
                                 {"h", 0, 0, Escaped<AppendEscaped>},
                                 {"escape_once", 0, 0, Escaped<AppendEscapedOnce>},
                                 {"url_encode", 0, 0, UrlEncode},
                                 {"url_decode", 0, 0, UrlDecode},
                                 {"base64_encode", 0, 0, Base64Encode<false>},
                                 {"base64_decode", 0, 0, Base64Decode<false>},
                                 {"base64_url_safe_encode", 0, 0, Base64Encode<true>},
                                 {"base64_url_safe_decode", 0, 0, Base64Decode<true>},
                                 {"strip", 0, 0, Strip},
                                 {"lstrip", 0, 0, StripFront},
                                 {"rstrip", 0, 0, StripBack},
                                 {"append", 1, 1, Append},
                                 {"prepend", 1, 1, Prepend},
                                 {"replace", 1, 2, Replace},
                                 {"replace_first", 1, 2, ReplaceFirst},
                                 {"replace_last", 2, 2, ReplaceLast},
                                 {"remove", 1, 1, Remove},
                                 {"remove_first", 1, 1, RemoveFirst},
                                 {"remove_last", 1, 1, ReplaceLast},
                                 {"truncate", 0, 2, Truncate},
                                 {"truncatewords", 0, 2, TruncateWords},
                                 {"strip_html", 0, 0, StripHtml},
                                 {"strip_newlines", 0, 0, StripNewlines},
                                 {"newline_to_br", 0, 0, NewlineToBreak},
                                 {"squish", 0, 0, Squish},
                                 {"split", 1, 1, Split}};

}  // namespace

std::span<const FilterSpec> TextFilters() { return kTexts; }

}  // namespace maily::liquid
