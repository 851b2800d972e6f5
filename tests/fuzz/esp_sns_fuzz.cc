// Envelopes of SNS, and signatures inside bodies of Mailgun: without the key nothing verifies, and no certificate is asked for that is not
// on a host of SNS.
#include "api/esp/mailgun.h"
#include "api/esp/sns.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  static const std::string topic = "arn:aws:sns:eu-west-1:111122223333:ses-events";
  const std::string_view body = fuzz::View(data, size);
  const esp::Window window{Instant{1'772'359'260'000'000}, esp::sns::kTolerance};
  bool asked = false;
  const auto envelope = esp::sns::Verify(body, {.topics = std::span(&topic, 1),
                                                .certificate_at = [&](const std::string& url) -> Result<std::string> {
                                                  MAILY_CHECK(esp::sns::IsCertificateUrl(url), "{}", url);
                                                  asked = true;
                                                  return Fail(Code::kRetry, "no certificate here");
                                                },
                                                .window = window});
  MAILY_CHECK(!envelope, "verified without a certificate");
  MAILY_CHECK(envelope.error().code == (asked ? Code::kRetry : Code::kInvalid), "{}", envelope.error().ToString());
  const auto token = esp::mailgun::Verify(body, "a key that nobody knows", window);
  MAILY_CHECK(!token && token.error().code == Code::kInvalid, "verified without the key");
  return 0;
}
