// E-mail addresses of contacts, and mailboxes of senders.
#include "processors/effects/smtp/message.h"
#include "schemas/address.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view input = fuzz::View(data, size);
  const auto breaks = [](std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7F; });
  };
  if (const auto address = schema::ParseAddress(input)) {
    MAILY_CHECK(!breaks(address->spelled) && address->spelled.size() <= 254, "'{}' would stand on the wire", address->spelled);
    MAILY_CHECK(address->normalised == address->local + "@" + address->domain, "{}", address->normalised);
    // The normal form is its own normal form: equal for the same mailbox.
    const auto again = schema::ParseAddress(address->normalised);
    MAILY_CHECK(again.has_value(), "'{}' is refused: {}", address->normalised, again.error().ToString());
    MAILY_CHECK(again->normalised == address->normalised, "'{}' becomes '{}'", address->normalised, again->normalised);
  } else {
    MAILY_CHECK(address.error().code == Code::kInvalid && !address.error().message.empty(), "{}", address.error().ToString());
  }
  if (const auto mailbox = smtp::ParseMailbox(input)) {
    MAILY_CHECK(!breaks(mailbox->name) && !breaks(mailbox->address) && smtp::IsPlainAddress(mailbox->address), "'{}' <{}>", mailbox->name,
                mailbox->address);
    MAILY_CHECK(!mailbox->domain().empty(), "{}", mailbox->address);
  }
  return 0;
}
