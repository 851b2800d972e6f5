// What today's rules say of a refusal in a conversation of ours, as events keep it: for reviews of those of old. Pure; thread: any.
#pragma once

#include <string>
#include <string_view>

namespace maily::inbound {

struct Refusal {
  int code = 0;
  std::string_view enhanced = {};  // RFC 3463, or empty
  std::string_view text = {};
  std::string_view stage = {};  // of sends.v1.RecordAttempt
};
struct Judgement {
  bool hard = false;  // the address is bad for good
  std::string reason = {};
  std::string rule = {};
};
Judgement JudgeRefusal(const Refusal& refusal);

}  // namespace maily::inbound
