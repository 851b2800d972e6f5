// Mails that come back: whatever a stranger sends, it becomes a few commands at most, each of a send that a token named, whose texts are
// printable, short and without an address; and the same mail has the same natural keys.
#include <algorithm>

#include "api/inbound/meaning.h"
#include "maily/sends/v1/commands.pb.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

// Tokens with "good" in them are ours; all others are forged.
Result<inbound::Send> ReadToken(std::string_view token) {
  const size_t good = token.find("good");
  if (good == token.npos || good + 5 > token.size()) return Fail(Code::kInvalid, "not ours");
  return inbound::Send{TenantId(1), PartitionId(static_cast<uint16_t>(token[good + 4] % 8)), 7, static_cast<uint8_t>(token.back())};
}

void CheckText(std::string_view text, size_t bytes_max) {
  MAILY_CHECK(text.size() <= bytes_max, "{} bytes", text.size());
  MAILY_CHECK(text.find('@') == text.npos, "an address is left");
  MAILY_CHECK(std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; }), "not printable");
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  const std::string_view mail = fuzz::View(data, size);
  const inbound::Readers readers{.return_path = fuzz::ReadToken,
                                 .message_id = fuzz::ReadToken,
                                 .opt_out = fuzz::ReadToken,
                                 .redact = [](std::string_view text, std::string_view /*address*/) { return std::string(text); },
                                 .partition_count = 4};
  for (const std::vector<std::string>& recipients :
       {std::vector<std::string>{}, {"bgood1aaaaaaaaaaaaaaaa@b.example"}, {"ugood1aaaaaaaaaaaaaaaa@b.example"}}) {
    const auto meaning = inbound::Interpret(recipients, mail, "smtp", readers);
    MAILY_CHECK(meaning.has_value(), "{}", meaning.error().ToString());
    MAILY_CHECK(meaning->commands.size() <= inbound::kSendsMax, "{} commands", meaning->commands.size());
    const auto again = inbound::Interpret(recipients, mail, "smtp", readers);
    MAILY_CHECK(again->what == meaning->what && again->commands.size() == meaning->commands.size(), "understood otherwise");
    for (size_t i = 0; i < meaning->commands.size(); ++i) {
      const gateway::Order& order = meaning->commands[i].order;
      MAILY_CHECK(order.partition && order.partition->value() < 4, "a partition that is not there");
      MAILY_CHECK(order.natural_key == again->commands[i].order.natural_key && order.natural_key.size() <= 200, "another key");
      if (meaning->what == inbound::What::kOptOut) continue;
      sends::v1::RecordNotice notice;
      MAILY_CHECK(notice.ParseFromString(order.plain.empty() ? order.payload : order.plain), "no notice");
      fuzz::CheckText(notice.diagnostic(), 500);
      fuzz::CheckText(notice.reporting_mta(), 255);
      for (const std::string* word : {&notice.reason(), &notice.rule(), &notice.status(), &notice.source()}) fuzz::CheckText(*word, 64);
    }
  }
  return 0;
}
