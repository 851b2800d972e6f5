// Reads the answer messages of the DNS (RFC 1035 §4): records with their TTLs, aliases followed. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

#include "streams/base/result.h"
#include "streams/port/resolver.h"

namespace maily::dns {

// TYPE of a record (RFC 1035 §3.2.2, RFC 3596 §2.1).
enum class WireType : uint16_t { kA = 1, kCname = 5, kPtr = 12, kMx = 15, kTxt = 16, kAaaa = 28 };

// What `message` says of `name` (as HostName() gives it) and `type`. Aliases (CNAME) within the message are followed, at most 16, in
// whatever order they stand; the message of a recursive server holds all of them. Records of other names, types and classes are passed
// over. An alias that ends without records of the type is kNoData.
// kRetry: a response code other than NOERROR and NXDOMAIN, or a message that is malformed: cut, a name that does not end, a loop of
// aliases, record data of the wrong size.
Result<DnsAnswer> ReadAnswer(std::string_view message, const std::string& name, WireType type);

}  // namespace maily::dns
