// Remembers what another resolver has answered, and asks once what is asked many times at once. Sans-I/O.
#pragma once

#include <memory>

#include "streams/port/resolver.h"

namespace maily::dns {

struct CacheLimits {
  // Records live for their TTL, but no shorter and no longer than this.
  Duration records_min = Seconds(30);
  Duration records_max = Hours(1);
  Duration nothing = Seconds(60);  // no such name, no data
  Duration failure = Seconds(5);   // kRetry; kInvalid is not remembered
  // The least recently asked for goes first.
  size_t answers_max = 20'000;
  size_t answers_bytes_max = 16 << 20;  // of names and records; a greater answer is not remembered
  size_t callers_waiting_max = 20'000;  // for questions under way; beyond: kRetry
};

// A remembered answer has the TTL that is left of it. Thread: any.
class CachingResolver : public Resolver {
 public:
  // All outlive it. `executor` gets the answers of `under`; callers get theirs on their own.
  CachingResolver(Resolver& under, Executor& executor, Clock& clock, CacheLimits limits = {});
  ~CachingResolver() override;

  void Ask(DnsQuestion question, Executor& on, DnsDone done) override;

  size_t answers() const;

 private:
  struct State;
  Resolver& under_;
  Executor& executor_;
  const std::shared_ptr<State> state_;  // answers under way hold it too
};

}  // namespace maily::dns
