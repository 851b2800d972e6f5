// Looks in the DNS whether a sending domain is set up as receivers want it, and says how to mend what is not (docs/compliance.md).
//
// Rules of Gmail, Yahoo and Microsoft for bulk senders: DKIM, SPF, DMARC, alignment, forward-confirmed reverse DNS; a return path that
// takes bounces in; RFC 8058: one-click over https. No HTTP, no state.
#pragma once

#include <string>
#include <vector>

#include "streams/port/env.h"
#include "streams/port/resolver.h"

namespace maily::api {

// A key that signs, or will once it is activated.
struct PublishedKey {
  std::string selector;
  std::string dns_value;  // of the TXT record
};

struct DomainToCheck {
  std::string name;  // in A-labels and lower case, as return_path
  std::vector<PublishedKey> keys = {};
  std::string return_path = {};                    // empty: bounces go to the address in From
  std::string mail_host = {};                      // where this instance takes bounces in; empty: it does not know
  std::vector<std::string> source_addresses = {};  // IP literals that mails leave from; empty: not known, and no line of rule ptr
  std::string tracking_base_url = {};
  bool live = false;  // else links may begin with http on loopback
};

// A rule and how it stands. Texts are printable ASCII.
struct RuleLine {
  std::string rule;  // "dkim:m1r", "spf", "dmarc", "alignment", "return_path_mx", "ptr:192.0.2.1", "one_click"
  bool ok = false;
  std::string found;
  std::string fix = {};  // what to publish, or to do; empty if ok
};

// Asks `resolver` on `executor`, as often as the rules need, and calls `done` once there, after `timeout` at the latest: what is not
// answered by then counts as a temporary failure, which makes its line not ok. Both outlive the answer; where either is destroyed before,
// `done` is dropped. Thread: any.
using RuleLinesDone = std::move_only_function<void(std::vector<RuleLine>)>;
void CheckDomain(DomainToCheck domain, Resolver& resolver, Executor& executor, Duration timeout, RuleLinesDone done);

}  // namespace maily::api
