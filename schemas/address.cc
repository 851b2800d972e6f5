// The identity of an e-mail address, by ICU where it is not plain ASCII.
#include "schemas/address.h"

#include <unicode/bytestream.h>
#include <unicode/idna.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

#include <cstdint>

#include "streams/base/utf8.h"

namespace maily::schema {
namespace {

constexpr size_t kLocalMax = 64;                                    // octets, RFC 5321 §4.5.3.1.1
constexpr size_t kAddressMax = 254;                                 // octets, RFC 5321 §4.5.3.1.3 less the angle brackets
constexpr size_t kInputMax = 1024;                                  // octets looked at, spaces around it included
constexpr std::string_view kAtomSpecials = "!#$%&'*+-/=?^_`{|}~.";  // RFC 5322 §3.2.3, and the dot between atoms

bool IsAsciiAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
std::string AsciiLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

icu::UnicodeString FromUtf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

// The text without white space around it. Fails unless it is UTF-8.
Result<std::string_view> Trim(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  int32_t begin = -1;
  int32_t end = 0;
  for (int32_t i = 0; i < size;) {
    const int32_t at = i;
    UChar32 c = 0;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) return Fail(Code::kInvalid, "the address is not UTF-8 text");
    if (u_isUWhiteSpace(c) || c == 0xFEFF) continue;  // a byte order mark is no part of it either
    if (begin < 0) begin = at;
    end = i;
  }
  if (begin < 0) return Fail(Code::kInvalid, "the address is empty");
  return text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

// One dot-separated part of either side must not be empty.
Result<void> CheckDots(std::string_view text, const char* what) {
  if (text.front() == '.') return Fail(Code::kInvalid, "the {} begins with a dot", what);
  if (text.back() == '.') return Fail(Code::kInvalid, "the {} ends with a dot", what);
  if (text.find("..") != std::string_view::npos) return Fail(Code::kInvalid, "the {} has two dots in a row", what);
  return Ok();
}

Result<void> CheckCharacters(std::string_view text) {
  if (text.find_first_of("<>") != std::string_view::npos) {
    return Fail(Code::kInvalid, "give the address alone, without a name or angle brackets");
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < size;) {
    UChar32 c = 0;
    U8_NEXT(bytes, i, size, c);
    if (u_iscntrl(c)) return Fail(Code::kInvalid, "the address has a control character (U+{:04X})", static_cast<uint32_t>(c));
    if (u_isUWhiteSpace(c)) return Fail(Code::kInvalid, "the address has a space in it");
    const int8_t type = u_charType(c);
    if (type == U_FORMAT_CHAR || type == U_SURROGATE || type == U_UNASSIGNED) {
      return Fail(Code::kInvalid, "the address has an invisible or unassigned character (U+{:04X})", static_cast<uint32_t>(c));
    }
  }
  return Ok();
}

Result<std::string> NormaliseLocal(std::string_view local) {
  MAILY_TRY_VOID(CheckDots(local, "part before the @"));
  for (const char c : local) {
    if (static_cast<uint8_t>(c) >= 0x80 || IsAsciiAlnum(c) || kAtomSpecials.find(c) != std::string_view::npos) continue;
    return Fail(Code::kInvalid, "the part before the @ has a '{}', which no mailbox name has", c);
  }
  if (IsAscii(local)) return AsciiLower(local);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  MAILY_CHECK(U_SUCCESS(status), "ICU has no NFC: {}", u_errorName(status));
  icu::UnicodeString lower = nfc->normalize(FromUtf8(local), status).toLower(icu::Locale::getRoot());
  std::string out;
  nfc->normalize(lower, status).toUTF8String(out);  // lower-casing may decompose
  MAILY_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
  return out;
}

// Letters, digits and inner hyphens, at most 63 (RFC 1034 §3.5).
bool IsPlainLabel(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-' || label.starts_with("xn--")) return false;
  for (const char c : label) {
    if (!IsAsciiAlnum(c) && c != '-') return false;
  }
  return true;
}

bool IsPlainDomain(std::string_view lower) {
  for (size_t begin = 0;;) {
    const size_t dot = lower.find('.', begin);
    if (!IsPlainLabel(lower.substr(begin, dot - begin))) return false;
    if (dot == std::string_view::npos) return true;
    begin = dot + 1;
  }
}

const icu::IDNA& Uts46() {
  static const icu::IDNA* const idna = [] {
    UErrorCode status = U_ZERO_ERROR;
    const icu::IDNA* made = icu::IDNA::createUTS46Instance(
        UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE | UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ,
        status);
    MAILY_CHECK(U_SUCCESS(status), "ICU has no UTS #46: {}", u_errorName(status));
    return made;
  }();
  return *idna;
}

Result<std::string> NormaliseDomain(std::string_view domain) {
  if (domain.front() == '[') return Fail(Code::kInvalid, "the domain is an IP literal; give a domain name");
  MAILY_TRY_VOID(CheckDots(domain, "domain"));
  std::string ascii = AsciiLower(domain);
  if (!IsPlainDomain(ascii)) {
    ascii.clear();
    icu::StringByteSink<std::string> sink(&ascii);
    icu::IDNAInfo info;
    UErrorCode status = U_ZERO_ERROR;
    Uts46().nameToASCII_UTF8(icu::StringPiece(domain.data(), static_cast<int32_t>(domain.size())), sink, info, status);
    MAILY_CHECK(U_SUCCESS(status), "ICU: {}", u_errorName(status));
    const uint32_t errors = info.getErrors();
    if ((errors & (UIDNA_ERROR_EMPTY_LABEL)) != 0) return Fail(Code::kInvalid, "the domain has a dot too many");
    if ((errors & (UIDNA_ERROR_LABEL_TOO_LONG | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG)) != 0) {
      return Fail(Code::kInvalid, "the domain is too long");
    }
    if ((errors & (UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN)) != 0) {
      return Fail(Code::kInvalid, "a part of the domain begins or ends with a hyphen");
    }
    if (errors != 0 || ascii.empty() || ascii.back() == '.')
      return Fail(Code::kInvalid, "the domain is no valid (international) domain name");
  }
  const std::string_view top = std::string_view(ascii).substr(ascii.rfind('.') + 1);
  if (top.find_first_not_of("0123456789") == std::string_view::npos) {
    return Fail(Code::kInvalid, "the domain is an IP address; give a domain name");
  }
  return ascii;
}

}  // namespace

Result<Address> ParseAddress(std::string_view text) {
  if (text.size() > kInputMax) return Fail(Code::kInvalid, "the address is longer than {} octets", kAddressMax);
  MAILY_TRY(const std::string_view trimmed, Trim(text));
  MAILY_TRY_VOID(CheckCharacters(trimmed));
  const size_t at = trimmed.find('@');
  if (at == std::string_view::npos) return Fail(Code::kInvalid, "the address has no @");
  if (trimmed.find('@', at + 1) != std::string_view::npos) return Fail(Code::kInvalid, "the address has more than one @");
  if (at == 0) return Fail(Code::kInvalid, "nothing stands before the @");
  if (at + 1 == trimmed.size()) return Fail(Code::kInvalid, "no domain stands after the @");
  Address address;
  address.spelled = trimmed;
  MAILY_TRY(address.local, NormaliseLocal(trimmed.substr(0, at)));
  MAILY_TRY(address.domain, NormaliseDomain(trimmed.substr(at + 1)));
  address.normalised = address.local + "@" + address.domain;
  if (at > kLocalMax || address.local.size() > kLocalMax) {
    return Fail(Code::kInvalid, "the part before the @ is longer than {} octets", kLocalMax);
  }
  if (trimmed.size() > kAddressMax || address.normalised.size() > kAddressMax) {
    return Fail(Code::kInvalid, "the address is longer than {} octets", kAddressMax);
  }
  return address;
}

}  // namespace maily::schema
