// What webhooks.h remembers between requests.
#include <algorithm>

#include "api/webhooks.h"

namespace maily::api {

Result<std::string> SnsCertificates::Find(const std::string& url) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(url);
  if (found == kept_.end()) return Fail(Code::kNotFound, "the certificate of SNS is not here yet");
  const Kept& kept = found->second;
  if (clock_.Steady() - kept.at > (kept.pem.empty() ? kKeepFailure : kKeep)) return Fail(Code::kNotFound, "the certificate is too old");
  if (kept.pem.empty()) return Fail(Code::kRetry, "the certificate of SNS cannot be had: {}", kept.trouble);
  return kept.pem;
}

void SnsCertificates::Get(const std::string& url, Executor& on, Job done) {
  {
    const std::lock_guard lock(mutex_);
    if (under_way_ >= kFetchesMax) return done();
    ++under_way_;
  }
  fetch_.Get(url, on, [this, url, done = std::move(done)](Fetched fetched) mutable {
    const bool is_there = fetched.answered() && fetched.status == 200 && !fetched.body.empty();
    {
      const std::lock_guard lock(mutex_);
      --under_way_;
      if (kept_.size() >= kKeptMax && !kept_.contains(url))
        kept_.erase(std::ranges::min_element(kept_, {}, [](const auto& each) { return each.second.at; }));
      kept_[url] = {clock_.Steady(), is_there ? std::move(fetched.body) : std::string(),
                    fetched.answered() ? fmt::format("HTTP status {}", fetched.status) : std::move(fetched.reason)};
    }
    done();
  });
}

}  // namespace maily::api
