// One lock over the table of answers, their order of use, and who waits for what.
#include "streams/adapters/dns/caching_resolver.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace maily::dns {
namespace {

struct Waiter {
  Executor* on;
  DnsDone done;
};

void Answer(Executor& on, DnsDone done, Result<DnsAnswer> answer) {
  on.Post([done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

size_t BytesOf(const DnsQuestion& question, const Result<DnsAnswer>& answer) {
  size_t bytes = 256 + 2 * question.name.size();
  if (!answer) return bytes + answer.error().message.size();
  for (const DnsRecord& record : answer->records) bytes += sizeof(record) + record.value.size();
  return bytes;
}

}  // namespace

struct CachingResolver::State {
  struct Remembered {
    Result<DnsAnswer> answer;
    Duration until;  // of steady time
    size_t bytes;
    std::list<DnsQuestion>::iterator use;
  };

  State(Clock& clock_in, CacheLimits limits_in) : clock(clock_in), limits(limits_in) {}

  Duration LifeOf(const Result<DnsAnswer>& answer) const {
    if (!answer) return answer.error().code == Code::kRetry ? limits.failure : Duration{};
    if (answer->kind != DnsAnswer::Kind::kRecords) return limits.nothing;
    return std::clamp(answer->ttl, limits.records_min, limits.records_max);
  }
  void Forget(std::map<DnsQuestion, Remembered>::iterator at) {
    bytes -= at->second.bytes;
    uses.erase(at->second.use);
    table.erase(at);
  }
  void Remember(const DnsQuestion& question, const Result<DnsAnswer>& answer) {
    const Duration life = LifeOf(answer);
    const size_t size = BytesOf(question, answer);
    if (const auto old = table.find(question); old != table.end()) Forget(old);
    if (life.us <= 0 || size > limits.answers_bytes_max || limits.answers_max == 0) return;
    uses.push_front(question);
    table.emplace(question, Remembered{answer, clock.Steady() + life, size, uses.begin()});
    bytes += size;
    while (table.size() > limits.answers_max || bytes > limits.answers_bytes_max) Forget(table.find(uses.back()));
  }

  std::optional<Result<DnsAnswer>> Recall(const DnsQuestion& question) {
    const auto found = table.find(question);
    if (found == table.end()) return std::nullopt;
    const Duration left = found->second.until - clock.Steady();
    if (left.us <= 0) {
      Forget(found);
      return std::nullopt;
    }
    uses.splice(uses.begin(), uses, found->second.use);
    Result<DnsAnswer> answer = found->second.answer;
    if (answer && !answer->records.empty()) answer->ttl = left;
    return answer;
  }

  Clock& clock;
  const CacheLimits limits;
  std::mutex mutex;  // guards what follows
  bool alive = true;
  std::map<DnsQuestion, Remembered> table;
  std::list<DnsQuestion> uses;  // the latest first
  size_t bytes = 0;
  std::map<DnsQuestion, std::vector<Waiter>> under_way;
  size_t callers_waiting = 0;
};

CachingResolver::CachingResolver(Resolver& under, Executor& executor, Clock& clock, CacheLimits limits)
    : under_(under), executor_(executor), state_(std::make_shared<State>(clock, limits)) {}

CachingResolver::~CachingResolver() {
  std::map<DnsQuestion, std::vector<Waiter>> dropped;  // after the lock
  const std::lock_guard lock(state_->mutex);
  state_->alive = false;
  dropped.swap(state_->under_way);
}

size_t CachingResolver::answers() const {
  const std::lock_guard lock(state_->mutex);
  return state_->table.size();
}

void CachingResolver::Ask(DnsQuestion question, Executor& on, DnsDone done) {
  auto name = HostName(question.name);
  if (!name) return Answer(on, std::move(done), name.error());
  question.name = std::move(*name);
  std::optional<Result<DnsAnswer>> known;
  {
    const std::lock_guard lock(state_->mutex);
    known = state_->Recall(question);
    if (!known && state_->callers_waiting >= state_->limits.callers_waiting_max) {
      known = Fail(Code::kRetry, "{}: {} callers wait for the DNS already", question.ToString(), state_->callers_waiting);
    }
    if (!known) {
      ++state_->callers_waiting;
      const auto [waiters, first] = state_->under_way.try_emplace(question);
      waiters->second.push_back({&on, std::move(done)});
      if (!first) return;
    }
  }
  if (known) return Answer(on, std::move(done), std::move(*known));
  under_.Ask(question, executor_, [state = state_, question](Result<DnsAnswer> answer) {
    std::vector<Waiter> waiters;
    {
      const std::lock_guard lock(state->mutex);
      const auto found = state->under_way.find(question);
      if (!state->alive || found == state->under_way.end()) return;
      waiters = std::move(found->second);
      state->under_way.erase(found);
      state->callers_waiting -= waiters.size();
      state->Remember(question, answer);
    }
    for (Waiter& waiter : waiters) Answer(*waiter.on, std::move(waiter.done), answer);
  });
}

}  // namespace maily::dns
