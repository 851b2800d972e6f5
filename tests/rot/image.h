// A data directory in memory: its files, what kind each one is, and how it is laid out again with one bit turned over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/rot/read.h"

namespace maily::rot {

// What has to be there to read a kind of file, and is read.
enum class Area : uint8_t { kInstance, kLog, kState, kKeys, kViews, kCareful, kAttempts, kSnapshots };

struct File {
  std::string path;  // below the root: data/log/000012.sst
  std::string bytes;
  std::string kind;  // "log table"
  Area area = Area::kInstance;
};

struct Flip {
  size_t image = 0;
  size_t file = 0;
  uint64_t byte = 0;
  uint8_t bit = 0;
};

class Image {
 public:
  // All files below `root`, which holds `data` and, where its identity record is, `identity`. `made`: the root where they were made.
  Image(std::string name, const std::string& root, std::string made);

  const std::string& name() const { return name_; }
  const std::vector<File>& files() const { return files_; }
  // Lays what is read with files of this area out below `root`, in place of what is there; `flip` may be null.
  void LayOut(const std::string& root, Area area, const Flip* flip) const;

 private:
  const std::string name_;
  const std::string made_;  // the identity record holds it
  std::vector<File> files_;
};

// What is read where a file of this area may be damaged.
Parts PartsOf(Area area);

}  // namespace maily::rot
