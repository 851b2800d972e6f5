// Events of Mailgun: whatever comes, an error, or elements that keep the limits of notices; the same bytes give the same ids.
#include "api/esp/mailgun.h"
#include "tests/esp_notices.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view body = fuzz::View(data, size);
  const auto elements = esp::mailgun::Read(body);
  if (!elements) {
    MAILY_CHECK(elements.error().code == Code::kInvalid, "{}", elements.error().ToString());
    return 0;
  }
  const std::string wrong = test::WrongWith(*elements);
  MAILY_CHECK(wrong.empty(), "{}", wrong);
  const auto again = esp::mailgun::Read(body);
  MAILY_CHECK(again.has_value() && again->size() == elements->size(), "read otherwise");
  for (size_t i = 0; i < elements->size(); ++i) {
    const Result<esp::Notice>& one = (*elements)[i].notice;
    MAILY_CHECK(one.has_value() == (*again)[i].notice.has_value(), "read otherwise");
    MAILY_CHECK(!one || one->dedup_id == (*again)[i].notice->dedup_id, "another id");
  }
  return 0;
}
