// What a bounce says in prose, or in the fields of a delivery status: recipients, and for each what was said of it and when.
//
// There is no standard for prose; what is known here are forms that many servers share (an address at the head of a paragraph, a transcript
// of the conversation, a copy of the mail below a line). Linear in the text; no form is tied to one sample.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "processors/bounces/classify.h"
#include "processors/bounces/text.h"

namespace maily::bounces {

inline constexpr size_t kRecipientsMax = 100;

struct Said {
  std::string address = {};          // as it is written; may be empty
  std::string action = {};           // "failed", "delayed", … in lower case; empty in prose
  std::string status = {};           // "5.1.1"; empty if there is none
  std::string diagnostic_type = {};  // in lower case; "prose" where there is no field
  std::string diagnostic = {};
  std::string remote_mta = {};
  Command command = Command::kUnknown;
};

// The groups of fields of a message/delivery-status body (RFC 3464), also where they stand in the midst of prose; at most kRecipientsMax.
std::vector<Said> ReadStatus(std::string_view text);

// Parts prose and the copy of the original mail below it (its header, and what follows); the copy is empty if there is none.
struct Notice {
  std::string_view prose;
  std::string_view copy;
};
Notice SplitNotice(std::string_view text);
// Without the header of our own mail that prose repeats: a subject "Virus" says nothing of a virus.
std::string WithoutHeader(std::string_view prose);
// A notice that a person forwarded, without the '>' before its lines.
std::string Unquoted(std::string_view text);

// Recipients of the prose, each with its paragraph. `known` are addresses that other headers name (X-Failed-Recipients), `not_these` are
// addresses that are no recipients (our own).
std::vector<Said> ReadProse(std::string_view prose, const std::vector<std::string>& known, const std::vector<std::string>& not_these);

// At which command the server said it, by the words that mail programs use around it.
Command CommandIn(std::string_view text);
// RCPT is told of in many more ways than CommandIn knows; where prose names no other command, it is the one.
Command OnlyCommandIn(std::string_view text);
// The command before the reply `diagnostic` in a transcript ("<<< 550 …"), or kUnknown.
Command CommandInTranscript(std::string_view prose, std::string_view diagnostic);

}  // namespace maily::bounces
