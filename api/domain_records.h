// Reads the TXT records that say who may send for a domain: lists of tags (DKIM, DMARC), and SPF. Pure; thread: any.
//
// Records come from anybody: at most 64 KiB each (a DNS message), read once from the left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily::api {

// "p=none" of "v=DMARC1; p=none". White space around both is taken off, and what is in the value stays.
struct Tag {
  std::string name;
  std::string value;
};
// RFC 6376 §3.2. kInvalid: a part without "=", an empty name, or a name that stands twice.
Result<std::vector<Tag>> ParseTags(std::string_view record);
// The value of that tag, or `fallback`.
std::string TagValue(const std::vector<Tag>& tags, std::string_view name, std::string_view fallback = "");
// Whether the list begins with this tag: "v=DMARC1" (RFC 7489 §6.6.3). Letters count as they are.
bool BeginsWithTag(std::string_view record, std::string_view name, std::string_view value);
std::string WithoutSpace(std::string_view text);

// A mechanism or a modifier (RFC 7208 §4.6.1).
struct SpfTerm {
  char qualifier = '+';  // of mechanisms: + - ~ ?
  std::string name;      // in lower case: "include", "all", "redirect", …
  std::string value;     // a domain, with macros; an address or network of ip4 and ip6; else empty
  bool modifier = false;
  // It costs one of the DNS lookups that a receiver grants (RFC 7208 §4.6.4).
  bool asks() const;
  // The value is known only when a mail is there.
  bool has_macro() const { return value.find('%') != std::string::npos; }
};
// Version v=spf1 (RFC 7208 §4.5).
bool IsSpf(std::string_view record);
// kInvalid: the term that no receiver would take, and why. Modifiers that nobody knows are left out.
Result<std::vector<SpfTerm>> ParseSpf(std::string_view record);

}  // namespace maily::api
