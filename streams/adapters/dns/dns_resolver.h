// port/resolver.h over c-ares: one thread, its sockets, UDP first and TCP for what is truncated.
//
// Questions of this process share one UDP socket a server while any is under way, so it is the 16 bits of an id and that port which a
// forger has to guess: the servers should be near (a validating resolver on this machine, or behind the same router).
#pragma once

#include <memory>
#include <vector>

#include "streams/port/live.h"
#include "streams/port/net.h"
#include "streams/port/resolver.h"

namespace maily::dns {

struct DnsOptions {
  // IP literals with ports, asked in this order; empty = those of /etc/resolv.conf, read once (and its options, such as rotate).
  std::vector<Endpoint> servers = {};
  // How long the first try at each server waits; twice as long in each further round. A server that refuses or fails is not asked again.
  Duration try_timeout = Seconds(3);
  int tries = 3;  // rounds over the servers
  // A question for addresses counts once. Beyond both: kRetry at once.
  size_t questions_under_way_max = 256;
  size_t questions_waiting_max = 4096;
};

// What it may reach is set by the capability, for good: sandbox = those of the servers that are on loopback; held = none; live = all. Where
// none is left every question is kInvalid.
// Of A and AAAA, one that fails while the other has records leaves those, for kPartialTtl at most.
class DnsResolver : public Resolver {
 public:
  static constexpr Duration kPartialTtl = Seconds(30);

  // kInvalid: a server is no IP literal, or a limit is no positive number. kFatal: there is no memory, or no descriptor.
  static Result<std::unique_ptr<DnsResolver>> Make(DnsOptions options, LiveCapability capability);
  // Waits for the thread, not for answers.
  ~DnsResolver() override;

  void Ask(DnsQuestion question, Executor& on, DnsDone done) override;

 private:
  struct Impl;
  explicit DnsResolver(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace maily::dns
