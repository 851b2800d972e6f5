// What MTA-STS asks of mails that go to the mail servers of a domain (RFC 8461 §4, §5): which of its hosts may have them, over which
// connections, and what is said of it in the event.
//
//   mode      hosts                      connections                                    an attempt says
//   enforce   those that the policy      TLS, with a certificate of a trusted           enforce; put off if no host is left, or none
//             names                      authority and of the host's name               of them can be spoken with so
//   testing   all                        as without a policy                            testing, and why it would have failed, if it would
//   none      all                        as without a policy                            nothing
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "maily/sends/v1/state.pb.h"
#include "processors/effects/mta_sts/policy_cache.h"
#include "processors/effects/smtp/route.h"
#include "streams/tls/channel.h"

namespace maily::smtp {

struct StsOptions {
  Fetch* fetch = nullptr;                             // outlives the effect; null: no policy is asked for
  std::shared_ptr<const tls::Context> tls = nullptr;  // of enforced connections
  std::vector<mta_sts::Entry> known = {};             // kept by `keep` before
  std::function<void(const mta_sts::Entry&)> keep;    // a policy was fetched; on the executor; may be empty
};

// A policy that is not of mode none. Null: there is none.
using Sts = std::shared_ptr<const mta_sts::Entry>;
inline bool Enforced(const Sts& policy) { return policy != nullptr && policy->policy.mode == mta_sts::Mode::kEnforce; }

// Lives on one executor with its callers.
class Policies {
 public:
  // All outlive it and its answers. `workers`: how many share the bounds of the cache.
  Policies(const StsOptions& options, Resolver& resolver, Executor& executor, Clock& clock, size_t workers);

  struct Found {
    Route route = {};      // with the hosts that are left
    Sts policy = nullptr;  //
    Verdict verdict = {};  // if no host is left, or nothing is known now: deferred
    bool ok() const { return !route.hosts.empty(); }
  };
  // `domain` in A-labels, `route` with one host at least. `done` once, never within the call.
  void Apply(const std::string& domain, Route route, std::move_only_function<void(Found)> done);

  // Makes its metrics be there from the start, whether policies are asked for or not.
  static void NameMetrics();

  // What the attempt's report says of the policy, and counts it. A deferral that is the policy's gets it said in its text.
  sends::v1::MtaSts Tell(const mta_sts::Entry& entry, Verdict& verdict);

 private:
  mta_sts::PolicyCache cache_;
};

}  // namespace maily::smtp
