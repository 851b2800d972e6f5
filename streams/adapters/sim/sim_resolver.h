// The DNS in the scheduler: a zone in memory, with latency and failures under the same seed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/resolver.h"

namespace maily::sim {

// A name without any record is NXDOMAIN; one with records of other types only has no data. What a script changes counts for the questions
// that are answered afterwards. Thread: the scheduler's.
class SimResolver : public Resolver {
 public:
  struct Options {
    Duration latency_min = Milliseconds(1);
    Duration latency_max = Milliseconds(50);
    double fail = 0;  // chance of a question to be kRetry
  };
  SimResolver(Scheduler& scheduler, Options options);
  // Drops what is under way.
  ~SimResolver() override;

  Options& options() { return options_; }

  // In the place of the records of this type that `name` had; none = it has none any more, and still is a name.
  void Set(DnsType type, const std::string& name, std::vector<DnsRecord> records, Duration ttl = Hours(1));
  // {{10, "mx1.example.com"}, …}
  void SetMx(const std::string& domain, const std::vector<std::pair<uint16_t, std::string>>& hosts);
  void SetAddresses(const std::string& host, const std::vector<std::string>& ips);
  void SetTxt(const std::string& name, const std::vector<std::string>& texts);
  void SetPtr(const std::string& ip, const std::vector<std::string>& names);
  // NXDOMAIN from now on.
  void Remove(const std::string& name);
  // Questions for `name`, of any type, are kRetry with `reason`; an empty one ends it.
  void Break(const std::string& name, const std::string& reason);
  // In the place of the latency by chance.
  void SetLatency(const std::string& name, Duration latency);

  void Ask(DnsQuestion question, Executor& on, DnsDone done) override;

  // How often it was asked.
  size_t asked(DnsType type, const std::string& name) const;

 private:
  struct Name {
    std::map<DnsType, DnsAnswer> answers;
  };
  Result<DnsAnswer> AnswerTo(const DnsQuestion& question);

  Scheduler& scheduler_;
  Options options_;
  std::map<std::string, Name> zone_;
  std::map<std::string, std::string> broken_;
  std::map<std::string, Duration> latency_;
  std::map<DnsQuestion, size_t> asked_;
  std::unique_ptr<Executor> executor_;  // the wire; destroyed first: its jobs point here
};

}  // namespace maily::sim
