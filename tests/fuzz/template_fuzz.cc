// Templates: parsed, linted, compiled, rendered and composed into a mail. Subject, HTML and text are divided by bytes 0x01; the values of
// the contact are the input itself.
#include "processors/effects/smtp/message.h"
#include "processors/personalization/links.h"
#include "processors/personalization/render.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

using personalization::Source;

// CRLF lines of at most 998 bytes, 7 bit, and nothing of the input among the headers' names.
void CheckMail(std::string_view mail) {
  size_t start = 0;
  bool header = true;
  while (start < mail.size()) {
    const size_t end = mail.find("\r\n", start);
    MAILY_CHECK(end != std::string_view::npos, "a last line without CRLF");
    const std::string_view line = mail.substr(start, end - start);
    MAILY_CHECK(line.size() <= 998 && line.find_first_of("\r\n") == std::string_view::npos, "a line of {} bytes", line.size());
    for (const char c : line) MAILY_CHECK(static_cast<uint8_t>(c) < 0x80 && c != '\0', "a byte {:02x}", static_cast<uint8_t>(c));
    if (line.empty()) header = false;
    MAILY_CHECK(!header || !line.starts_with("X-Injected"), "a value began a header");
    start = end + 2;
  }
  MAILY_CHECK(!header, "a mail without a body");
}

void TryMail(const Source& source, std::span<const std::string> links, std::string_view value) {
  const auto mailing = smtp::Mailing::Make({.tenant = TenantId(1),
                                            .campaign_id = 7,
                                            .list_id = 1,
                                            .from = "Shop <news@example.com>",
                                            .reply_to = {},
                                            .source = source,
                                            .links = links,
                                            .postal_address = value,
                                            .company = value,
                                            .tracking_base_url = "http://127.0.0.1:8080"});
  if (!mailing) return;
  const std::vector<personalization::Value> values(mailing->attributes().size(), personalization::Value::String(value));
  std::string mail;
  const auto& keys = **Keys().FindTenant(TenantId(1));
  const auto composed = mailing->Compose({.partition = PartitionId(2),
                                          .ordinal = 9,
                                          .address = "ann@example.com",
                                          .attributes = values,
                                          .date = Instant{1'700'000'000'000'000}},
                                         keys, mail);
  if (composed) CheckMail(mail);
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  using namespace maily::personalization;
  const std::string_view input = fuzz::View(data, size);
  std::string_view rest = input;
  const std::string_view subject = fuzz::TakeUntil(rest, '\1');
  const std::string_view html = fuzz::TakeUntil(rest, '\1');
  const Source source{.subject = subject, .html = html, .text = rest};
  const Parsed parsed = Parse(source);
  for (const Violation& violation : parsed.violations) MAILY_CHECK(!violation.ToString().empty() && !violation.code.empty(), "no words");
  static_cast<void>(Lint(source, [](std::string_view name) { return name.size() % 2 == 0; }));
  const std::vector<std::string> links = LinkTable(html, rest);
  MAILY_CHECK(links.size() <= kLinksMax, "{} links", links.size());
  const auto compiled = Compiled::Compile(source, links);
  MAILY_CHECK(compiled.has_value() == parsed.violations.empty(), "compiled, in spite of violations, or the other way round");
  if (!compiled) return 0;
  const std::vector<Value> values(compiled->attributes().size(), Value::String(input));
  const std::vector<std::string> urls(compiled->link_count(), "http://127.0.0.1/c/x");
  Rendered out;
  const auto rendered =
      compiled->Render({.attributes = values, .email = "ann@example.com", .postal_address = input, .company = input},
                       {.links = urls, .open_pixel = "http://127.0.0.1/o/x.gif", .unsubscribe = "http://127.0.0.1/u/x"}, out);
  if (rendered) MAILY_CHECK(out.subject.size() + out.html.size() + out.text.size() <= kOutputBytesMax, "too large");
  fuzz::TryMail(source, links, input);
  return 0;
}
