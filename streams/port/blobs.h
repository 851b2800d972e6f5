// The blobs port: named byte strings that several processes share, written once and whole: snapshots of state. Adapters: disk (a folder),
// sim. Guarantees that every adapter keeps: tests/contract/blobs_contract.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "streams/base/result.h"

namespace maily {

struct BlobEntry {
  std::string name;
  uint64_t bytes = 0;
  bool operator==(const BlobEntry&) const = default;
};

// All calls block, perhaps for seconds: not for an executor that decides. Thread: any. Errors: kInvalid for a name that CheckBlobName
// refuses; kRetry where the place cannot be reached, or is full.
class Blobs {
 public:
  static constexpr size_t kBytesMax = 64 << 20;  // of one blob

  virtual ~Blobs() = default;

  // All of it or nothing, in place of what had this name: a reader sees the old bytes or the new ones. When it returns, they survive a
  // crash and loss of power as far as the place does. After an error either may be there. kInvalid: more than kBytesMax.
  virtual Result<void> Put(const std::string& name, std::string_view bytes) = 0;

  // At most `bytes_max` bytes from `offset` on; fewer only at the end. kNotFound: there is no such blob.
  virtual Result<std::string> Get(const std::string& name, uint64_t offset, size_t bytes_max) = 0;

  // At most `count_max` blobs whose names begin with `prefix` and come after `after`, in the order of unsigned bytes. `prefix` is empty, or
  // what a name may begin with.
  virtual Result<std::vector<BlobEntry>> List(const std::string& prefix, const std::string& after, size_t count_max) = 0;

  // What is not there is no error.
  virtual Result<void> Delete(const std::string& name) = 0;

  // Where it is, for operators: "file:///mnt/shared".
  virtual std::string place() const = 0;
};

// Where there is a blob a/b, none may be called a. Segments of A-Z a-z 0-9 - _ . that do not begin with a dot, with / between them; 400
// bytes in all, 100 a segment.
Result<void> CheckBlobName(std::string_view name);
// The same of what a name may begin with: empty is fine, and so is a / at its end.
Result<void> CheckBlobPrefix(std::string_view prefix);

}  // namespace maily
