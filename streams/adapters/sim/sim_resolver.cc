// A question waits on the resolver's own executor, and its answer is read from the zone when it is due.
#include "streams/adapters/sim/sim_resolver.h"

namespace maily::sim {
namespace {

std::string Spelled(const std::string& name) { return HostName(name).value(); }

std::vector<DnsRecord> Records(const std::vector<std::string>& values) {
  std::vector<DnsRecord> records;
  for (const std::string& value : values) records.push_back({.value = value});
  return records;
}

}  // namespace

SimResolver::SimResolver(Scheduler& scheduler, Options options)
    : scheduler_(scheduler), options_(options), executor_(scheduler.MakeExecutor()) {}
SimResolver::~SimResolver() = default;

void SimResolver::Set(DnsType type, const std::string& name, std::vector<DnsRecord> records, Duration ttl) {
  DnsAnswer& answer = zone_[Spelled(name)].answers[type];
  answer = {};
  if (records.empty()) return;
  answer = {.kind = DnsAnswer::Kind::kRecords, .records = std::move(records), .ttl = ttl};
}

void SimResolver::SetMx(const std::string& domain, const std::vector<std::pair<uint16_t, std::string>>& hosts) {
  std::vector<DnsRecord> records;
  for (const auto& [preference, host] : hosts) records.push_back({.value = host, .preference = preference});
  Set(DnsType::kMx, domain, std::move(records));
}

void SimResolver::SetAddresses(const std::string& host, const std::vector<std::string>& ips) { Set(DnsType::kAddress, host, Records(ips)); }
void SimResolver::SetTxt(const std::string& name, const std::vector<std::string>& texts) { Set(DnsType::kTxt, name, Records(texts)); }
void SimResolver::SetPtr(const std::string& ip, const std::vector<std::string>& names) {
  Set(DnsType::kPtr, ReverseName(ip).value(), Records(names));
}

void SimResolver::Remove(const std::string& name) { zone_.erase(Spelled(name)); }

void SimResolver::Break(const std::string& name, const std::string& reason) {
  if (reason.empty()) {
    broken_.erase(Spelled(name));
  } else {
    broken_[Spelled(name)] = reason;
  }
}

void SimResolver::SetLatency(const std::string& name, Duration latency) { latency_[Spelled(name)] = latency; }

size_t SimResolver::asked(DnsType type, const std::string& name) const {
  const auto found = asked_.find({type, Spelled(name)});
  return found == asked_.end() ? 0 : found->second;
}

void SimResolver::Ask(DnsQuestion question, Executor& on, DnsDone done) {
  auto name = HostName(question.name);
  if (!name) {
    on.Post([done = std::move(done), error = name.error()]() mutable { done(std::move(error)); });
    return;
  }
  question.name = std::move(*name);
  ++asked_[question];
  const auto scripted = latency_.find(question.name);
  const Duration latency =
      scripted == latency_.end() ? scheduler_.RandomDuration(options_.latency_min, options_.latency_max) : scripted->second;
  executor_->After(latency, [this, question, &on, done = std::move(done)]() mutable {
    on.Post([done = std::move(done), answer = AnswerTo(question)]() mutable { done(std::move(answer)); });
  });
}

Result<DnsAnswer> SimResolver::AnswerTo(const DnsQuestion& question) {
  if (const auto broken = broken_.find(question.name); broken != broken_.end()) {
    return Fail(Code::kRetry, "{}: {}", question.ToString(), broken->second);
  }
  if (scheduler_.Chance(options_.fail)) return Fail(Code::kRetry, "{}: SERVFAIL", question.ToString());
  const auto found = zone_.find(question.name);
  if (found == zone_.end()) return DnsAnswer{.kind = DnsAnswer::Kind::kNoName};
  const auto answer = found->second.answers.find(question.type);
  if (answer == found->second.answers.end()) return DnsAnswer{.kind = DnsAnswer::Kind::kNoData};
  return answer->second;
}

}  // namespace maily::sim
