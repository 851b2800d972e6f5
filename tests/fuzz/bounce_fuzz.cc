// Returned mails and replies: whatever a stranger sends, the report keeps its limits, a complaint or a bounce has somebody it is about,
// what is delayed is never hard, and a rule that decided is one of the table. The first byte chooses: a mail, or a reply.
#include <algorithm>

#include "processors/bounces/report.h"
#include "processors/bounces/rules.h"
#include "tests/fuzz/fuzz.h"

namespace maily::fuzz {
namespace {

void CheckMail(std::string_view mail, const bounces::Limits& limits) {
  const bounces::Report report = bounces::Read(mail, limits);
  MAILY_CHECK(report.recipients.size() <= 100, "{} recipients", report.recipients.size());
  MAILY_CHECK(report.kind != bounces::Kind::kFeedback || !report.recipients.empty(), "a complaint about nothing");
  for (const bounces::Recipient& one : report.recipients) {
    MAILY_CHECK(one.diagnostic.size() <= 8192, "{} bytes of diagnostic", one.diagnostic.size());
    MAILY_CHECK(!one.verdict.rule.empty(), "nothing decided");
    MAILY_CHECK(report.kind != bounces::Kind::kDelayed || one.verdict.cls != bounces::Class::kHard, "hard, and still tried");
  }
}

void CheckReply(std::string_view text, uint8_t choice) {
  const std::string enhanced = bounces::FindEnhancedCode(text);
  const bounces::Reply reply{.code = choice % 3 == 0 ? 550 : 0,
                             .enhanced = choice % 2 == 0 ? std::string_view(enhanced) : std::string_view(),
                             .text = text,
                             .diagnostic_type = choice % 5 == 0   ? "x-unix"
                                                : choice % 5 == 1 ? "prose"
                                                                  : "smtp",
                             .command = static_cast<bounces::Command>(choice % 6)};
  const bounces::Verdict verdict = bounces::Classify(reply);
  const auto rules = bounces::Rules();
  MAILY_CHECK(verdict.rule == "delivered" || std::ranges::any_of(rules, [&](const bounces::Rule& rule) { return rule.id == verdict.rule; }),
              "rule '{}' is not in the table", verdict.rule);
  const bool about_us = reply.command == bounces::Command::kMail || reply.command == bounces::Command::kHello;
  MAILY_CHECK(!about_us || verdict.cls != bounces::Class::kHard, "hard before a recipient was named: {}", verdict.rule);
}

}  // namespace
}  // namespace maily::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace maily;
  std::string_view input = fuzz::View(data, size);
  const uint8_t choice = fuzz::TakeByte(input);
  if (choice < 128) {
    fuzz::CheckMail(input, {});
    fuzz::CheckMail(input, {.bytes_max = 2048, .depth_max = 3, .parts_max = 8});
  } else {
    fuzz::CheckReply(input, choice);
  }
  return 0;
}
