// See html_entities.h.
#include "processors/personalization/html_entities.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>

namespace maily::personalization {
namespace {

struct Named {
  std::string_view name;
  uint32_t code;
};
// HTML 4.01 §24, Latin 1 and the signs that Western text is set with; in the order of their bytes.
constexpr Named kNamed[] = {
    {"AElig", 0xC6},    {"Aacute", 0xC1},   {"Acirc", 0xC2},  {"Agrave", 0xC0},   {"Aring", 0xC5},    {"Atilde", 0xC3},  {"Auml", 0xC4},
    {"Ccedil", 0xC7},   {"Dagger", 0x2021}, {"ETH", 0xD0},    {"Eacute", 0xC9},   {"Ecirc", 0xCA},    {"Egrave", 0xC8},  {"Euml", 0xCB},
    {"Iacute", 0xCD},   {"Icirc", 0xCE},    {"Igrave", 0xCC}, {"Iuml", 0xCF},     {"Ntilde", 0xD1},   {"OElig", 0x152},  {"Oacute", 0xD3},
    {"Ocirc", 0xD4},    {"Ograve", 0xD2},   {"Oslash", 0xD8}, {"Otilde", 0xD5},   {"Ouml", 0xD6},     {"Prime", 0x2033}, {"Scaron", 0x160},
    {"THORN", 0xDE},    {"Uacute", 0xDA},   {"Ucirc", 0xDB},  {"Ugrave", 0xD9},   {"Uuml", 0xDC},     {"Yacute", 0xDD},  {"Yuml", 0x178},
    {"aacute", 0xE1},   {"acirc", 0xE2},    {"acute", 0xB4},  {"aelig", 0xE6},    {"agrave", 0xE0},   {"amp", 0x26},     {"apos", 0x27},
    {"aring", 0xE5},    {"asymp", 0x2248},  {"atilde", 0xE3}, {"auml", 0xE4},     {"bdquo", 0x201E},  {"brvbar", 0xA6},  {"bull", 0x2022},
    {"ccedil", 0xE7},   {"cedil", 0xB8},    {"cent", 0xA2},   {"circ", 0x2C6},    {"clubs", 0x2663},  {"copy", 0xA9},    {"curren", 0xA4},
    {"dagger", 0x2020}, {"darr", 0x2193},   {"deg", 0xB0},    {"diams", 0x2666},  {"divide", 0xF7},   {"eacute", 0xE9},  {"ecirc", 0xEA},
    {"egrave", 0xE8},   {"emsp", 0x2003},   {"ensp", 0x2002}, {"eth", 0xF0},      {"euml", 0xEB},     {"euro", 0x20AC},  {"fnof", 0x192},
    {"frac12", 0xBD},   {"frac14", 0xBC},   {"frac34", 0xBE}, {"ge", 0x2265},     {"gt", 0x3E},       {"harr", 0x2194},  {"hearts", 0x2665},
    {"hellip", 0x2026}, {"iacute", 0xED},   {"icirc", 0xEE},  {"iexcl", 0xA1},    {"igrave", 0xEC},   {"infin", 0x221E}, {"iquest", 0xBF},
    {"iuml", 0xEF},     {"laquo", 0xAB},    {"larr", 0x2190}, {"ldquo", 0x201C},  {"le", 0x2264},     {"lrm", 0x200E},   {"lsaquo", 0x2039},
    {"lsquo", 0x2018},  {"lt", 0x3C},       {"macr", 0xAF},   {"mdash", 0x2014},  {"micro", 0xB5},    {"middot", 0xB7},  {"minus", 0x2212},
    {"nbsp", 0xA0},     {"ndash", 0x2013},  {"ne", 0x2260},   {"not", 0xAC},      {"ntilde", 0xF1},   {"oacute", 0xF3},  {"ocirc", 0xF4},
    {"oelig", 0x153},   {"ograve", 0xF2},   {"ordf", 0xAA},   {"ordm", 0xBA},     {"oslash", 0xF8},   {"otilde", 0xF5},  {"ouml", 0xF6},
    {"para", 0xB6},     {"permil", 0x2030}, {"plusmn", 0xB1}, {"pound", 0xA3},    {"prime", 0x2032},  {"quot", 0x22},    {"raquo", 0xBB},
    {"rarr", 0x2192},   {"rdquo", 0x201D},  {"reg", 0xAE},    {"rlm", 0x200F},    {"rsaquo", 0x203A}, {"rsquo", 0x2019}, {"sbquo", 0x201A},
    {"scaron", 0x161},  {"sect", 0xA7},     {"shy", 0xAD},    {"spades", 0x2660}, {"sup1", 0xB9},     {"sup2", 0xB2},    {"sup3", 0xB3},
    {"szlig", 0xDF},    {"thinsp", 0x2009}, {"thorn", 0xFE},  {"tilde", 0x2DC},   {"times", 0xD7},    {"trade", 0x2122}, {"uacute", 0xFA},
    {"uarr", 0x2191},   {"ucirc", 0xFB},    {"ugrave", 0xF9}, {"uml", 0xA8},      {"uuml", 0xFC},     {"yacute", 0xFD},  {"yen", 0xA5},
    {"yuml", 0xFF},     {"zwj", 0x200D},    {"zwnj", 0x200C},
};
static_assert(std::ranges::is_sorted(kNamed, {}, &Named::name));

constexpr size_t kNameMax = 8;
constexpr size_t kDigitsMax = 8;

void AppendUtf8(uint32_t code, std::string& out) {
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
  }
  put(0x80 | (code & 63));
}

size_t AppendNumeric(std::string_view text, std::string& out) {
  const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  const size_t from = hex ? 3 : 2;
  const std::string_view digits = text.substr(from, kDigitsMax);
  uint32_t code = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
  if (error != std::errc()) return 0;
  AppendUtf8(code, out);
  const size_t size = from + static_cast<size_t>(end - digits.data());
  return size < text.size() && text[size] == ';' ? size + 1 : size;
}

}  // namespace

size_t AppendEntity(std::string_view text, std::string& out) {
  if (text.size() < 3) return 0;
  if (text[1] == '#') return AppendNumeric(text, out);
  const size_t end = text.substr(0, kNameMax + 2).find(';');
  if (end == std::string_view::npos) return 0;
  const std::string_view name = text.substr(1, end - 1);
  const auto* found = std::ranges::lower_bound(kNamed, name, {}, &Named::name);
  if (found == std::end(kNamed) || found->name != name) return 0;
  AppendUtf8(found->code, out);
  return end + 1;
}

std::string DecodeEntities(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = text[at] == '&' ? AppendEntity(text.substr(at), out) : 0;
    if (size == 0) out.push_back(text[at]);
    at += std::max<size_t>(1, size);
  }
  return out;
}

}  // namespace maily::personalization
