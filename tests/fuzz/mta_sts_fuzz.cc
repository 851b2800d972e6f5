// MTA-STS (RFC 8461): what strangers publish, and what is kept of it. The first byte chooses: a record, a policy with a host, or kept
// bytes.
#include "processors/effects/mta_sts/entry.h"
#include "streams/base/bytes.h"
#include "streams/base/hash.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void CheckRecord(std::string_view text) {
  const auto id = mta_sts::ParseRecord(text);
  if (id) {
    MAILY_CHECK(mta_sts::IsId(*id) && text.find("id=" + *id) != std::string_view::npos, "id '{}'", *id);
  } else {
    MAILY_CHECK(id.error().code == Code::kInvalid && !id.error().message.empty(), "{}", id.error().ToString());
  }
  const auto chosen = mta_sts::ChooseId({{.value = "v=spf1"}, {.value = std::string(text)}});
  MAILY_CHECK(chosen.has_value() == id.has_value(), "'{}' is one thing alone and another beside others", text);
}

void CheckPolicy(std::string_view host, std::string_view text) {
  const auto policy = mta_sts::ParsePolicy(text);
  if (!policy) {
    MAILY_CHECK(policy.error().code == Code::kInvalid && policy.error().message.size() < 1'000, "{}", policy.error().ToString());
    return;
  }
  MAILY_CHECK(policy->max_age >= Seconds(0) && policy->max_age <= mta_sts::kMaxAgeMax, "max_age {} us", policy->max_age.us);
  MAILY_CHECK(!policy->mx.empty() || policy->mode == mta_sts::Mode::kNone, "no patterns");
  for (const std::string& pattern : policy->mx) {
    MAILY_CHECK(mta_sts::ParsePattern(pattern).value() == pattern, "'{}' is not in its own form", pattern);
    MAILY_CHECK(!mta_sts::Fits(pattern, host) || HostName(host).has_value(), "'{}' fits what is no host", pattern);
    if (pattern.starts_with("*.") && pattern.size() < 250) {
      MAILY_CHECK(mta_sts::Fits(pattern, "a" + pattern.substr(1)) && !mta_sts::Fits(pattern, "a.a" + pattern.substr(1)), "{}", pattern);
    }
  }
  const mta_sts::Entry entry{.domain = "example.com", .id = "1", .policy = *policy, .fetched_at = {1}};
  MAILY_CHECK(mta_sts::DecodeEntry(mta_sts::EncodeEntry(entry)).value() == entry, "kept, it is another");
}

void CheckEntry(std::string_view bytes) {
  std::string hashed(bytes);
  PutFixed(hashed, Xxh3_64(hashed));
  for (const std::string_view each : {bytes, std::string_view(hashed)}) {
    const auto entry = mta_sts::DecodeEntry(each);
    if (entry) {
      MAILY_CHECK(mta_sts::DecodeEntry(mta_sts::EncodeEntry(*entry)).value() == *entry, "written again, it means something else");
    } else {
      MAILY_CHECK(entry.error().code == Code::kCorrupt, "{}", entry.error().ToString());
    }
  }
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  switch (fuzz::TakeByte(input)) {
    case 'r':
      fuzz::CheckRecord(input);
      break;
    case 'p': {
      const std::string_view host = fuzz::TakeUntil(input, '\n');
      fuzz::CheckPolicy(host, input);
      break;
    }
    default:
      fuzz::CheckEntry(input);
  }
  return 0;
}
