// The identity of an e-mail address: which spellings mean the same mailbox. [format]
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"

namespace maily::schema {

struct Address {
  std::string spelled;     // as given, trimmed: what stands on the wire
  std::string local;       // NFC, lower case without regard to any locale
  std::string domain;      // A-labels (IDNA2008; UTS #46, non-transitional), lower case
  std::string normalised;  // local@domain: equal for the same contact
};

// Code of every refusal in answers and reports.
inline constexpr std::string_view kInvalidAddress = "invalid_address";

// Only case, Unicode composition, the domain's spelling and surrounding space are looked through: a.nn@ and ann+x@ are others than ann@.
// kInvalid with a hint for people: not UTF-8, no @ or two, an empty part or label, a dot too many, local part > 64 or address > 254
// octets, control characters, spaces, quotes, an IP literal, `Name <a@b>`, a domain that no name server can know. Any top-level domain
// and any Unicode local part is accepted. Thread: any.
Result<Address> ParseAddress(std::string_view text);

}  // namespace maily::schema
