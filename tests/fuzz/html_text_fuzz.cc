// What authors give as HTML: the text that is made of it, its warnings, and the assets that it names.
#include "processors/personalization/asset_refs.h"
#include "processors/personalization/html_text.h"
#include "processors/personalization/warnings.h"
#include "streams/base/result.h"
#include "streams/base/utf8.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view html = fuzz::View(data, size);
  const std::string text = personalization::TextFromHtml(html);
  MAILY_CHECK(text == personalization::TextFromHtml(html), "two texts of one HTML");
  MAILY_CHECK(text.empty() || (text.ends_with('\n') && !text.starts_with('\n')), "lines are not clean");
  MAILY_CHECK(text.find(" \n") == std::string::npos && text.find("\n\n\n") == std::string::npos, "blanks are left");
  MAILY_CHECK(text.find('\r') == std::string::npos && text.find('\0') == std::string::npos, "control characters are left");
  MAILY_CHECK(!IsUtf8(html) || IsUtf8(text), "UTF-8 became something else");
  MAILY_CHECK(text.size() <= 4096 + html.size() * 48, "{} bytes of {}", text.size(), html.size());
  MAILY_CHECK(personalization::WarningsOf(html).size() <= 50, "too many warnings");
  size_t end = 0;
  for (const personalization::AssetRef& ref : personalization::FindAssetRefs(html)) {
    MAILY_CHECK(ref.offset >= end && ref.offset + ref.size <= html.size(), "references overlap");
    end = ref.offset + ref.size;
  }
  MAILY_CHECK(personalization::ReplaceAssetRefs(html, [](const auto&) { return std::string(); }) == html, "nothing was to be replaced");
  personalization::FindHostedIds(html, 7);
  return 0;
}
