// See refusal.h.
#include "api/inbound/refusal.h"

#include "processors/bounces/classify.h"

namespace maily::inbound {

Judgement JudgeRefusal(const Refusal& refusal) {
  const bounces::Verdict verdict = bounces::Classify(
      {.code = refusal.code, .enhanced = refusal.enhanced, .text = refusal.text, .command = bounces::CommandOfStage(refusal.stage)});
  return {verdict.cls == bounces::Class::kHard, bounces::ReasonName(verdict.reason), std::string(verdict.rule)};
}

}  // namespace maily::inbound
