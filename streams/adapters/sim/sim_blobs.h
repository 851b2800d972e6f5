// Blobs in memory that fail, and are damaged, as a test says.
#pragma once

#include <map>
#include <string>

#include "streams/adapters/sim/sim_env.h"
#include "streams/port/blobs.h"

namespace maily::sim {

// It is the shared place: it outlives the simulated processes.
class SimBlobs : public Blobs {
 public:
  // Probabilities, of each call.
  struct Faults {
    double put_fails = 0;            // nothing is stored
    double put_fails_and_lands = 0;  // it is stored all the same
    double get_fails = 0;
    double list_fails = 0;
    double delete_fails = 0;
  };
  explicit SimBlobs(Scheduler& scheduler) : scheduler_(scheduler) {}

  Result<void> Put(const std::string& name, std::string_view bytes) override;
  Result<std::string> Get(const std::string& name, uint64_t offset, size_t bytes_max) override;
  Result<std::vector<BlobEntry>> List(const std::string& prefix, const std::string& after, size_t count_max) override;
  Result<void> Delete(const std::string& name) override;
  std::string place() const override { return "sim://"; }

  Faults& faults() { return faults_; }
  // What is there, to look at and to damage.
  std::map<std::string, std::string>& content() { return content_; }

 private:
  Scheduler& scheduler_;
  Faults faults_;
  std::map<std::string, std::string> content_;
};

}  // namespace maily::sim
