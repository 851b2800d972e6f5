// See inbound_fate.h.
#include "api/inbound_fate.h"

#include <mutex>

namespace maily::api {

using gateway::Outcome;
using gateway::Verdict;

Fate FateOf(std::span<const Verdict> verdicts) {
  bool recorded = false;
  bool duplicate = false;
  for (const Verdict& verdict : verdicts) {
    if (verdict.kind == Verdict::Kind::kUnavailable || verdict.decided() == Outcome::kRetryLater) return Fate::kUnavailable;
    if (verdict.kind == Verdict::Kind::kPending || verdict.outcome == Outcome::kDone) recorded = true;
    // The same news in other words, too.
    if (verdict.outcome == Outcome::kDuplicate || verdict.outcome == Outcome::kReused || verdict.outcome == Outcome::kUnchanged)
      duplicate = true;
  }
  return recorded ? Fate::kRecorded : duplicate ? Fate::kDuplicate : Fate::kUnknownSend;
}

void SubmitNews(Shared& api, const std::vector<inbound::Command>& commands, const std::string& actor, const TraceId& trace,
                std::move_only_function<void(Verdicts)> done) {
  if (commands.empty()) return done({});
  struct Pending {
    std::mutex mutex;
    size_t waiting = 0;
    Verdicts verdicts;
    std::move_only_function<void(Verdicts)> done;
  };
  auto pending = std::make_shared<Pending>();
  pending->waiting = commands.size();
  pending->verdicts.resize(commands.size());
  pending->done = std::move(done);
  for (size_t i = 0; i < commands.size(); ++i) {
    api.gateway.Submit({commands[i].tenant, actor, trace}, commands[i].order, kDecisionTimeout, [pending, i](Verdict verdict) {
      {
        const std::lock_guard lock(pending->mutex);
        pending->verdicts[i] = std::move(verdict);
        if (--pending->waiting > 0) return;
      }
      std::exchange(pending->done, nullptr)(std::move(pending->verdicts));
    });
  }
}

}  // namespace maily::api
