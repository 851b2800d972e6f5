// Keys of subjects for requests, without a synced write for each: what is asked for while keys are made durable shares the next write.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "streams/keyring/keyring.h"
#include "streams/port/env.h"

namespace maily::gateway {

// Thread: any. The queue is as long as requests are under way at once.
class SubjectKeys {
 public:
  // Both outlive it and what it has posted. `blocking` may be waited on.
  SubjectKeys(keyring::Keyring& keyring, Executor& blocking);

  // `done` on the blocking executor: a durable key for every subject, in their order, or why there is none.
  using Done = std::move_only_function<void(Result<std::vector<keyring::SubjectKey>>)>;
  void Get(TenantId tenant, std::vector<std::string> subjects, Done done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace maily::gateway
