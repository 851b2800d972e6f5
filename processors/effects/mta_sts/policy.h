// What a domain asks of those who send to it (RFC 8461): its DNS record, its policy, and the hosts that the policy fits. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"
#include "streams/base/time.h"
#include "streams/port/resolver.h"

namespace maily::mta_sts {

inline constexpr size_t kPolicyBytesMax = 64 << 10;          // §3.3
inline constexpr Duration kMaxAgeMax = Seconds(31'557'600);  // §3.2: about a year

enum class Mode : uint8_t {
  kEnforce,  // to hosts that fail the validation nothing is sent
  kTesting,  // it is sent all the same; reports are wanted (RFC 8460)
  kNone,     // as if there were no policy
};
std::string_view ModeName(Mode mode);  // "enforce", "testing", "none"

struct Policy {
  Mode mode = Mode::kNone;
  // In lower case, without a dot at the end: "mx.example.com", "*.example.com". At least one, unless the mode is none.
  std::vector<std::string> mx = {};
  Duration max_age = {};  // from the moment of its fetch; 0 … kMaxAgeMax
  bool operator==(const Policy&) const = default;
};

// The id of the record `text` of _mta-sts.DOMAIN (§3.1). White space at its end is forgiven. kInvalid: why it is none.
Result<std::string> ParseRecord(std::string_view text);
// The id that the TXT records of that name have together: those that do not begin as one of ours are passed over, and then there must be
// exactly one (§3.1). kNotFound: there is none. kInvalid: there are several, or it is not well-formed.
Result<std::string> ChooseId(const std::vector<DnsRecord>& records);
// 1 to 32 letters and digits (§3.1).
bool IsId(std::string_view text);

// A policy file (§3.2). Unknown fields are passed over, of fields that stand twice the first counts, empty lines are forgiven, and a
// max_age over the limit is the limit: to have no policy would protect its domain less. kInvalid: the field and line that are wrong or
// missing.
Result<Policy> ParsePolicy(std::string_view text);
// "*.", or nothing, and a host name. kInvalid: why it is no pattern.
Result<std::string> ParsePattern(std::string_view text);

// §4.1: equal, or under a pattern that begins with "*." the same after its first label. `host`: in any case, with or without a last dot.
bool Fits(std::string_view pattern, std::string_view host);
// One of the patterns fits.
bool Fits(const Policy& policy, std::string_view host);

}  // namespace maily::mta_sts
