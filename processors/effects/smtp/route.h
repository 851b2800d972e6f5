// Where mails to a domain go: its mail servers by the DNS (RFC 5321 §5.1), and the site that these are.
//
// A site is named after its mail servers, so that domains that share them share limits: after the longest end that all their names share
// for the large providers of the table in route.cc, else after the first of the most preferred ones.
#pragma once

#include <string>
#include <vector>

#include "processors/effects/smtp/session.h"
#include "streams/base/result.h"
#include "streams/port/env.h"
#include "streams/port/net.h"
#include "streams/port/resolver.h"

namespace maily::smtp {

struct Route {
  std::string site;
  std::vector<std::string> hosts;  // in A-labels; the most preferred first, equals in an order by chance
};

// `domain` in A-labels. The route, or the verdict on all mails there: a null MX (RFC 7505) and a name that does not exist are bounces,
// what may pass is deferred. Lives on one executor with its callers.
class Router {
 public:
  // All outlive it and its answers.
  Router(Resolver& resolver, Executor& executor, Entropy& entropy) : resolver_(resolver), executor_(executor), entropy_(entropy) {}

  struct Found {
    Route route = {};      // if there is no verdict
    Verdict verdict = {};  // kind kDelivered: there is none
    bool ok() const { return !route.hosts.empty(); }
  };
  void Find(const std::string& domain, std::move_only_function<void(Found)> done);

 private:
  Resolver& resolver_;
  Executor& executor_;
  Entropy& entropy_;
};

// Seen by tests: the site of these mail servers, the most preferred first.
std::string SiteOf(const std::vector<std::string>& hosts);

// Opens connections to the hosts of a route in turn, beginning behind those that failed before. Lives on one executor.
class Connector {
 public:
  struct Options {
    std::vector<Endpoint> hosts;  // names or IP literals
    Duration dial_timeout = Seconds(30);
    bool look_up = false;                // by the resolver; else the dialer does
    std::vector<std::string> from = {};  // addresses of this machine, one of a family at most; empty: the system chooses
    bool private_allowed = false;        // else addresses of this machine and of private networks are passed by
  };
  struct Connected {
    std::unique_ptr<Connection> connection;
    std::string host;  // whose certificate it has to show
  };
  using Done = std::move_only_function<void(Result<Connected>)>;

  // `resolver` may be null if it is not asked. All outlive it and its answers.
  Connector(Options options, Dialer& dialer, Resolver* resolver, Executor& executor);
  ~Connector();
  // Tries each host and address once. kRetry: none could be reached; the message is of the last.
  void Connect(Done done);
  // The connection that came last was of no use (a 4xx greeting): the next one begins with another host.
  void Useless();
  std::string name() const;  // of the first host, for people

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::smtp
