// What kind of program a user agent is of: the only thing that is kept of it in the open; and what is kept of it sealed.
#pragma once

#include <string>
#include <string_view>

#include "maily/engagements/v1/state.pb.h"

namespace maily::schema {

// By the words that programs put into `user_agent` (RFC 9110 §10.1.5), whatever their case; reads its first 512 bytes. Anyone may send any
// text, so this is a hint for reports, and never a reason to refuse. Thread: any; allocates nothing.
engagements::v1::AgentClass ClassifyAgent(std::string_view user_agent);

inline constexpr size_t kAgentBytesMax = 256;

// The first kAgentBytesMax bytes of it without control characters: what is sealed of it. Thread: any.
std::string BoundedAgent(std::string_view user_agent);

}  // namespace maily::schema
