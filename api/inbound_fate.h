// What became of news of a send, once its commands are durable: the same for mails that come back and for notices of providers.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "api/call.h"
#include "api/inbound/meaning.h"

namespace maily::api {

enum class Fate : uint8_t {
  kRecorded,     // the news is known now
  kDuplicate,    // it was known
  kNothing,      // there is nothing to record
  kUnknownSend,  // the token is ours, but no such mail went out
  kQuarantined,  // it is of no send of ours
  kUnavailable,  // not durable
};
inline constexpr const char* kFateNames[] = {"recorded", "duplicate", "nothing", "unknown_send", "quarantined", "unavailable"};

// Of commands of one piece of news, at least one. What is durable and not decided yet counts as recorded.
Fate FateOf(std::span<const gateway::Verdict> verdicts);

// Submits them all; `done` once, with their verdicts in order, when the last one is decided, or waited for in vain. On any thread; at once
// if there are none. Never blocks.
using Verdicts = std::vector<gateway::Verdict>;
void SubmitNews(Shared& api, const std::vector<inbound::Command>& commands, const std::string& actor, const TraceId& trace,
                std::move_only_function<void(Verdicts)> done);

}  // namespace maily::api
