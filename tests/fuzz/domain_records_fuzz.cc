// TXT records of anybody's domain: lists of tags and SPF are read or refused with a short reason, and what is read keeps its forms.
#include "api/domain_records.h"
#include "streams/port/resolver.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view record = fuzz::View(data, size);
  if (const auto terms = api::ParseSpf(record)) {
    for (const api::SpfTerm& term : *terms) {
      if (term.name == "include" && !term.has_macro()) MAILY_CHECK(HostName(term.value).has_value(), "'{}' is included", term.value);
    }
  } else {
    MAILY_CHECK(terms.error().code == Code::kInvalid && terms.error().message.size() < 300, "{}", terms.error().ToString());
  }
  if (const auto tags = api::ParseTags(record)) {
    for (const api::Tag& tag : *tags) MAILY_CHECK(api::TagValue(*tags, tag.name) == tag.value, "tag {}", tag.name);
  }
  return 0;
}
