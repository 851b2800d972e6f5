// Records of an inbox: header lines "name:value", an empty line, the value.
#include "api/inbox_event.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  api::InboxRecord record{.tenant = TenantId(1), .actor = "inbox:fuzz", .value = {}, .headers = {}};
  while (!input.empty()) {
    std::string_view line = fuzz::TakeUntil(input, '\n');
    if (line.empty()) break;
    const std::string name(fuzz::TakeUntil(line, ':'));
    record.headers.emplace_back(name, line);
  }
  record.value.emplace(input);
  const auto read = api::ReadInboxEvent(record);
  if (const auto* refusal = std::get_if<api::InboxRefusal>(&read)) {
    MAILY_CHECK(!refusal->code.empty() && !refusal->message.empty(), "a refusal that says nothing");
    return 0;
  }
  const auto& event = std::get<api::InboxEvent>(read);
  MAILY_CHECK(!event.type.empty(), "an event of no type");
  const size_t space = event.name.find(' ');
  MAILY_CHECK(space != std::string::npos && space > 0 && space + 1 < event.name.size(), "an event without source or id");
  MAILY_CHECK(event.name.size() <= api::kInboxIdentityBytesMax + 1, "a name of {} bytes", event.name.size());
  MAILY_CHECK(event.data.size() <= 8 * api::kInboxValueBytesMax, "data of {} bytes", event.data.size());
  return 0;
}
