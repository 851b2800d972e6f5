// Answers of DNS servers: whatever comes, records keep their limits and forms, and the rest is a temporary failure. The first byte chooses
// the type; a second one of 1 puts the header and question of a good answer before the input.
#include "streams/adapters/dns/message.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void CheckRecord(const DnsRecord& record, dns::WireType type) {
  switch (type) {
    case dns::WireType::kA:
    case dns::WireType::kAaaa:
      MAILY_CHECK(ReverseName(record.value).has_value(), "'{}' is no address", record.value);
      break;
    case dns::WireType::kTxt:
      break;
    default:
      MAILY_CHECK(!record.value.empty() && record.value.size() <= 4 * 255, "a name of {} bytes", record.value.size());
      for (const char c : record.value) MAILY_CHECK(c > 0x20 && c < 0x7F && !(c >= 'A' && c <= 'Z'), "'{}' in a name", c);
  }
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  using dns::WireType;
  constexpr WireType kTypes[] = {WireType::kMx, WireType::kA, WireType::kAaaa, WireType::kTxt, WireType::kPtr};
  std::string_view input = fuzz::View(data, size);
  const WireType type = kTypes[fuzz::TakeByte(input) % std::size(kTypes)];
  const bool framed = fuzz::TakeByte(input) == 1;
  std::string message(input);
  if (framed) message.insert(0, std::string("id\x81\x80\0\1\0\4\0\0\0\0\7example\3com\0\0\xFF\0\1", 29));
  const auto answer = dns::ReadAnswer(message, "example.com", type);
  if (!answer) {
    MAILY_CHECK(answer.error().code == Code::kRetry && !answer.error().message.empty(), "{}", answer.error().ToString());
    return 0;
  }
  MAILY_CHECK(answer->records.empty() == (answer->kind != DnsAnswer::Kind::kRecords), "{} records", answer->records.size());
  MAILY_CHECK(answer->records.size() <= DnsAnswer::kRecordsMax && answer->ttl >= Seconds(0), "{} records", answer->records.size());
  for (const DnsRecord& record : answer->records) fuzz::CheckRecord(record, type);
  return 0;
}
