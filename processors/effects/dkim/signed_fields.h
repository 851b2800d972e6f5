// Which header fields a signature covers. Pure; thread: any.
//
// Always covered once more than they are present, so that none can be added, replaced or found first in another place:
//   From Sender Reply-To To Cc Subject Date Message-ID In-Reply-To References MIME-Version Content-Type Content-Transfer-Encoding List-ID
//   List-Unsubscribe List-Unsubscribe-Post Feedback-ID
// These are the fields a mail has once (RFC 5322 §3.6; Bcc is not, since it is taken out on the way), those that say how the body is read,
// and those that a receiver acts on: RFC 8058 §4 wants both List-Unsubscribe fields covered, and an opt-out that another adds is not ours.
// Covered as often as they are present: Resent-*, List-Help List-Subscribe List-Owner List-Post List-Archive, Content-Disposition
// Content-Language Content-ID Content-Description, Auto-Submitted Precedence, X-Maily-Trace.
// Not covered: what relays write (Received, Return-Path, Authentication-Results, ARC-*, DKIM-Signature), and anything unknown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace maily::dkim {

struct Selection {
  std::vector<std::string_view> names;  // of h=, in order; of static storage
  std::string canonical;                // the fields that they name, in that order, relaxed; of several of a name the last comes first
};
// `section`: the header with or without the empty line at its end. Lines that are no field are passed over.
Selection SelectFields(std::string_view section);

}  // namespace maily::dkim
