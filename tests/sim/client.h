// People outside: requests to the API of a process that may die under them, and are made again until they are answered.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/http/message.h"
#include "streams/adapters/sim/sim_env.h"
#include "tests/sim/site.h"

namespace maily::simulation {

struct Answer {
  int status = 0;
  nlohmann::json body;
  std::string token;  // Maily-Consistency-Token, or empty
};

// Lives outside of every simulated process, and longer.
class Client {
 public:
  // `site`: that of the process that is reached now; null = nobody answers.
  Client(sim::Scheduler& scheduler, std::function<Site*()> site);
  ~Client();

  void UseKey(std::string key);

  struct Asked {
    http::Method method = http::Method::kGet;
    std::string target;
    std::string body;
    std::string idempotency_key = {};
  };
  // Asks until it is answered otherwise than "not now": 412, 429, 503, 504, and a 202 that does not say how it was decided.
  void Ask(Asked asked, std::function<void(const Answer&)> done);
  // Asks once; nobody hears the answer.
  void Tell(const Asked& asked);
  // Posts a CSV file, and posts it again until the answer says that all of it was applied.
  void Upload(std::string target, std::string file, std::string idempotency_key, std::function<void(const Answer&)> done);

  size_t under_way() const;
  // Requests that were answered with a status that no fault excuses; empty = none.
  std::string wrong() const;

 private:
  struct State;
  struct Attempt;
  struct Uploading;
  std::shared_ptr<State> state_;
};

}  // namespace maily::simulation
